"""`crdtgraph fsck`: check everything from the bytes."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, Output, examples, graph_options

_FETCH_OBJECTS = "let a node check it (crdtgraph serve, fsck --node): it fetches damaged objects again from its peers"
_START_ANEW = "keep the store as it is; make a new one and let it fetch from a healthy peer"


@click.command("fsck", epilog=examples("crdtgraph fsck", "crdtgraph fsck -o json"))
@graph_options
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Check a replica: every signature, every commit's id, every object, the projection against one made from scratch.

    Exit code 5 if anything is wrong; every problem is listed.
    """
    from cli.answers import of, table_of
    from cli.output import print_document
    from cli.progress import progress_bar
    from cli.render import print_lines, printable
    from crdtgraph.errors import CorruptError

    problems: list[str] = []
    damaged_objects = 0
    segments: dict[str, int] = {}
    commits: dict[str, int] = {}
    objects = 0
    with invocation.open(Access.READ) as backend, progress_bar("checking segments") as show:
        for finding in map(table_of, backend.stream("fsck")):
            plane, problem = of(str, finding["plane"]), of(str, finding["problem"])
            show(of(int, finding["checked"]), of(int, finding["total"]))
            if plane == "objects":
                objects = of(int, finding["total"])
                if problem:
                    problems.append(problem)
                    damaged_objects += 1
                continue
            segments[plane], commits[plane] = of(int, finding["total"]), of(int, finding["commits"])
            if problem:
                problems.append(f"plane {plane}: {problem}")
    if invocation.output is not Output.TEXT:
        counts = {"segments": sum(segments.values()), "commits": sum(commits.values()), "objects": objects}
        print_document(invocation.output, {**counts, "problems": problems})
    else:
        print_lines(printable(problem) for problem in problems)
        checked = f"{sum(segments.values())} segments with {sum(commits.values())} commits"
        print_lines([f"checked {checked}" + (f", and {objects} objects" if objects else "")])
    if problems:
        only_objects = len(problems) == damaged_objects
        raise CorruptError(f"{len(problems)} problems found", hint=_FETCH_OBJECTS if only_objects else _START_ANEW)
