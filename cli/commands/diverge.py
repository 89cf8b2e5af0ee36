"""`crdtgraph diverge`: how replicas differ."""

from __future__ import annotations

from contextlib import ExitStack

import click

from cli.context import Access, Invocation, Output, every_option, examples, output_option

SHOWN_COMMITS = 20


@click.command(
    "diverge",
    epilog=examples(
        "crdtgraph diverge left.db right.db",
        "crdtgraph diverge search.db left.db right.db --stat",
        "crdtgraph diverge left.db right.db --graph",
        "crdtgraph diverge left.db right.db -o json",
    ),
)
@click.argument("places", metavar="A B [C]...", nargs=-1, required=True)
@click.option("--graph", is_flag=True, help="Draw what only some have, from the fork points on.")
@click.option("--stat", is_flag=True, help="Only the table and counts.")
@click.option("--watch", is_flag=True, help="Look again until they are equal; a line for each change.")
@every_option
@click.option(
    "-n",
    "--max-count",
    "limit",
    type=click.IntRange(min=0),
    default=SHOWN_COMMITS,
    metavar="N",
    help=f"At most N lines of each list; of commits the latest (default: {SHOWN_COMMITS}).",
)
@output_option
@click.pass_context
def command(
    ctx: click.Context, places: tuple[str, ...], graph: bool, stat: bool, watch: bool, every_s: float, limit: int
) -> None:
    """Compare two or more replicas, each a store, the control socket of a running node, or a context.

    The table says for each replica how many commits it has that another lacks, and how many it lacks of all. Below it
    stands what is apart: the generation where the histories part, the commits that they fork from, those that only some
    have; refs (fast-forward: an exchange moves them on; missing; replaced: moved by force; conflicted: an exchange
    leaves them in conflict); paths that several sides changed, and whether the merge that they will need is clean;
    metadata, counters, discards; records that wait for commits; and what has to be carried to make them equal, between
    two replicas with the messages around it and the round trips from connecting on.

    CSV has a row for every replica and every other one; with --watch all formats for programs have a document for each
    look. Exit code 0 if they are equal, 1 if not.
    """
    from cli.copies import graph_in_process
    from cli.diverging.documents import PAIR_COLUMNS, document, pairs
    from cli.diverging.report import examine
    from cli.diverging.text import lines, summary_lines
    from cli.output import print_document, print_documents
    from cli.places import open_places
    from cli.render import print_lines

    invocation = ctx.find_object(Invocation) or Invocation()
    if watch:
        _watch(places, every_s, invocation.output)
        return
    with open_places(places, Access.READ) as opened, ExitStack() as stack:
        graphs = [stack.enter_context(graph_in_process(place.backend)) for place in opened]
        report = examine(opened, graphs)
        match invocation.output:
            case Output.TEXT if graph:
                from cli.diverging.picture import picture_lines

                print_lines(summary_lines(report) if stat else ())
                print_lines(picture_lines(report, limit))
            case Output.TEXT:
                print_lines(summary_lines(report) if stat else lines(report, limit))
            case Output.CSV:
                print_documents(Output.CSV, pairs(report), PAIR_COLUMNS)
            case output:
                print_document(output, document(report))
        equal = report.found.equal
    ctx.exit(0 if equal else 1)


def _watch(places: tuple[str, ...], every_s: float, output: Output) -> None:
    from cli.diverging.watching import COLUMNS, at_once, changed, document, line, looks
    from cli.failures import ExitCode, StoppedError
    from cli.output import print_documents

    seen = looks(places, every_s)
    try:
        if output is Output.TEXT:
            for look in changed(seen):
                click.echo(line(look))
        else:
            print_documents(output, at_once(map(document, seen)), COLUMNS)
    except KeyboardInterrupt:
        raise StoppedError("stopped before they were equal", ExitCode.INTERRUPTED) from None
