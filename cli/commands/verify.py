"""`crdtgraph verify`: is a replica still what it was when it was exported?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, graph_options

if TYPE_CHECKING:
    from crdtgraph import CommitId, Divergence, Graph

SHOWN = 10
"""Commits and names of each kind in the text; documents for programs have all."""


@click.command(
    "verify",
    epilog=examples("crdtgraph verify --compare graph.jsonl", "crdtgraph verify --compare graph.jsonl -o json"),
)
@click.option("--compare", "file", metavar="FILE|-", help="What `export jsonl` wrote.")
@graph_options
@click.pass_context
def command(ctx: click.Context, file: str | None) -> None:
    """Compare a replica with the export of one, which is verified itself while it is read.

    Names the commits, refs, metadata, counters and discards that only one of them has. Exit code 0 if they are equal,
    1 if not. To check a replica by itself use `crdtgraph fsck`.
    """
    from cli.copies import graph_in_process
    from cli.files import input_lines
    from cli.progress import progress_bar
    from cli.render import print_lines
    from crdtgraph.divergence import compare
    from crdtgraph.interchange import read_lines

    if file is None:
        raise click.UsageError("compare with what? Give --compare FILE; `crdtgraph fsck` checks a replica by itself")
    invocation = ctx.find_object(Invocation) or Invocation()
    with invocation.open(Access.READ) as backend:
        graph = graph_in_process(backend)
        with input_lines(file) as lines, progress_bar("verifying the file") as show:
            exported = read_lines(lines, cluster=graph.cluster, progress=lines.counted(show))
        with exported:
            found = compare(graph, exported)
            if invocation.output is not Output.TEXT:
                from cli.output import print_document

                print_document(invocation.output, _document(file, found))
            else:
                print_lines(_lines(file, invocation, graph, exported, found))
    ctx.exit(0 if found.equal else 1)


def _document(file: str, found: Divergence) -> dict[str, object]:
    return {
        "file": file,
        "equal": found.equal,
        "digest": found.digests[0],
        "digest_of_file": found.digests[1],
        "only_here": found.scattered.held_by(0),
        "only_in_file": found.scattered.held_by(1),
        "refs": [{"name": each.name, "here": each.targets[0], "in_file": each.targets[1]} for each in found.refs],
        "metadata": [each.name for each in found.metadata],
        "set_apart": found.set_apart,
        "counters": [each.commit for each in found.counters],
        "discarded": sorted({*found.discarded[0], *found.discarded[1]}),
        "pending": {"here": len(found.pending[0]), "in_file": len(found.pending[1])},
    }


def _lines(file: str, invocation: Invocation, graph: Graph, exported: Graph, found: Divergence) -> Iterator[str]:
    from cli.render import printable, table
    from cli.views import short

    name = printable(file)
    place = next(filter(None, invocation.place()), "")
    yield f"{printable(place)} {'equals' if found.equal else 'differs from'} {name}"
    if found.equal:
        yield f"digest {found.digests[0].hex()}"
        return
    yield from _commits("commits only here", graph, found.scattered.held_by(0))
    yield from _commits(f"commits only in {name}", exported, found.scattered.held_by(1))
    if found.refs:
        yield f"refs that differ: {len(found.refs)}"
        rows = [
            [f"  {printable(each.name)}", *(", ".join(map(short, side)) or "missing" for side in each.targets)]
            for each in found.refs
        ]
        yield from table([["  ", "here", f"in {name}"], *rows])
    yield from _names("metadata that differs", (printable(each.name) for each in found.metadata))
    yield from _names("set to the same value by other records", map(printable, found.set_apart))
    yield from _names("commits with other counters", (short(each.commit) for each in found.counters))
    yield from _names("discarded on one side only", map(short, sorted({*found.discarded[0], *found.discarded[1]})))
    if any(found.pending):
        waiting = f"{len(found.pending[0])} here, {len(found.pending[1])} in {name}"
        yield f"records that wait for missing commits: {waiting}"


def _commits(title: str, graph: Graph, commits: Sequence[CommitId]) -> Iterator[str]:
    from cli.answers import KnownCommit
    from cli.views import commit_line

    if not commits:
        return
    shown = commits[-SHOWN:]
    yield f"{title}: {len(commits)}" + (f", the last {len(shown)} of them" if len(shown) < len(commits) else "")
    for commit, content in zip(shown, graph.get_many(shown), strict=True):
        yield f"  {commit_line(KnownCommit(commit, content), {})}"


def _names(title: str, names: Iterator[str]) -> Iterator[str]:
    from crdtgraph.errors import first_few

    found = list(names)
    if found:
        yield f"{title}: {len(found)} ({first_few(found, most=SHOWN)})"
