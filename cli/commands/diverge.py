"""`crdtgraph diverge`: how replicas differ."""

from __future__ import annotations

from contextlib import ExitStack

import click

from cli.context import Access, Invocation, Output, examples, graph_options

SHOWN_COMMITS = 20
WATCH_S = 2.0


@click.command(
    "diverge",
    epilog=examples(
        "crdtgraph diverge left.db right.db",
        "crdtgraph diverge search.db left.db right.db --stat",
        "crdtgraph diverge left.db right.db -o json",
    ),
)
@click.argument("places", metavar="A B [C]...", nargs=-1, required=True)
@click.option("--stat", is_flag=True, help="Only the table and counts.")
@click.option(
    "-n",
    "--max-count",
    "limit",
    type=click.IntRange(min=0),
    default=SHOWN_COMMITS,
    metavar="N",
    help=f"At most N lines of each list; of commits the latest (default: {SHOWN_COMMITS}).",
)
@graph_options
@click.pass_context
def command(ctx: click.Context, places: tuple[str, ...], stat: bool, limit: int) -> None:
    """Compare two or more replicas, each a store, the control socket of a running node, or a context.

    The table says for each replica how many commits it has that another lacks, and how many it lacks of all. Below it
    stands what is apart: the generation where the histories part, the commits that they fork from, those that only some
    have; refs (fast-forward: an exchange moves them on; missing; replaced: moved by force; conflicted: an exchange
    leaves them in conflict); paths that several sides changed, and whether the merge that they will need is clean;
    metadata, counters, discards; records that wait for commits; and what has to be carried to make them equal, between
    two replicas with the messages around it and the round trips from connecting on.

    CSV has a row for every replica and every other one. Exit code 0 if they are equal, 1 if not.
    """
    from cli.copies import graph_in_process
    from cli.diverging.documents import PAIR_COLUMNS, document, pairs
    from cli.diverging.report import examine
    from cli.diverging.text import lines, summary_lines
    from cli.output import print_document, print_documents
    from cli.places import open_places
    from cli.render import print_lines

    invocation = ctx.find_object(Invocation) or Invocation()
    with open_places(places, Access.READ) as opened, ExitStack() as stack:
        graphs = [stack.enter_context(graph_in_process(place.backend)) for place in opened]
        report = examine(opened, graphs)
        match invocation.output:
            case Output.TEXT:
                print_lines(summary_lines(report) if stat else lines(report, limit))
            case Output.CSV:
                print_documents(Output.CSV, pairs(report), PAIR_COLUMNS)
            case output:
                print_document(output, document(report))
        equal = report.found.equal
    ctx.exit(0 if equal else 1)
