"""`crdtgraph converge`: make replicas equal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, output_option

if TYPE_CHECKING:
    from cli.places import Place

COLUMNS = ("name", "place", "replica", "commits_before", "commits", "segments_in", "bytes_in", "bytes_out", "digest")


@click.command(
    "converge",
    epilog=examples(
        "crdtgraph converge left.db right.db --dry-run",
        "crdtgraph converge left.db right.db",
        "crdtgraph converge search.db left.db right.db -o json",
    ),
)
@click.argument("places", metavar="A B [C]...", nargs=-1, required=True)
@click.option("--dry-run", is_flag=True, help="Only say what would be carried; exit code 1 if that is anything.")
@output_option
@click.pass_context
def command(ctx: click.Context, places: tuple[str, ...], dry_run: bool) -> None:
    """Carry what is missing between two or more replicas until they are equal, and prove it by their digests.

    Each is a store, the control socket of a running node, or a context. The nodes need no link between them: everything
    goes through this process, and a node passes on to its peers what is news to it. What was carried is verified by
    whoever takes it in and stays, whatever stops the rest; run again, it goes on from there. Conflicts are left as they
    are, for `crdtgraph merge`.

    CSV has a row for each replica. Exit code 0 if they are equal in the end, 1 if not, as when somebody keeps writing.
    """
    from cli.output import print_document, print_documents
    from cli.places import open_places
    from cli.render import print_lines

    invocation = ctx.find_object(Invocation) or Invocation()
    with open_places(places, Access.READ if dry_run else Access.WRITE) as opened:
        outcomes = _foretold(opened) if dry_run else _carried(opened)
    equal = len({each.after.digest for each in outcomes}) == 1
    match invocation.output:
        case Output.TEXT:
            print_lines(_lines(outcomes, equal=equal, dry_run=dry_run))
        case Output.CSV:
            print_documents(Output.CSV, map(_document, outcomes), COLUMNS)
        case output:
            replicas = [_document(each) for each in outcomes]
            print_document(output, {"equal": equal, "dry_run": dry_run, "replicas": replicas})
    ctx.exit(0 if equal else 1)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """One replica before and after, and what was carried to it and from it; from it None where that is not known."""

    before: Place
    after: Place
    segments_in: int
    bytes_in: int
    bytes_out: int | None


def _foretold(places: Sequence[Place]) -> list[_Outcome]:
    """What would be carried."""
    from cli.copies import graph_in_process
    from crdtgraph.divergence import lacking

    with ExitStack() as stack:
        graphs = [stack.enter_context(graph_in_process(place.backend)) for place in places]
        found = [(each.segments + each.by_key, each.bytes) for each in lacking(*graphs)]
    return [_Outcome(place, place, *lacks, None) for place, lacks in zip(places, found, strict=True)]


def _carried(places: Sequence[Place]) -> list[_Outcome]:
    """Carry it."""
    from cli.courier import Courier
    from cli.failures import ExitCode, StoppedError
    from cli.progress import progress_bar
    from crdtgraph.errors import StoreError, UnreachableError

    with progress_bar("carrying segments") as bar:
        courier = Courier([place.backend for place in places], progress=bar)
        try:
            courier.converge()
            after = [place.looked_at_again() for place in places]
        except KeyboardInterrupt:
            raise StoppedError(f"stopped; {_so_far(courier.segments)}", ExitCode.INTERRUPTED) from None
        except (UnreachableError, StoreError) as error:
            hint = "; ".join(filter(None, (error.hint, _so_far(courier.segments))))
            raise type(error)(error.message, hint) from error
    return [
        _Outcome(before, now, load.segments_in, load.bytes_in, load.bytes_out)
        for before, now, load in zip(places, after, courier.loads, strict=True)
    ]


def _so_far(segments: int) -> str:
    if not segments:
        return "nothing was carried yet"
    return f"the {segments} segments that were carried stay; run it again to go on from there"


def _document(each: _Outcome) -> dict[str, object]:
    values = (
        each.before.name,
        each.before.given,
        each.before.replica,
        each.before.commits,
        each.after.commits,
        each.segments_in,
        each.bytes_in,
        each.bytes_out,
        each.after.digest,
    )
    return dict(zip(COLUMNS, values, strict=True))


def _lines(outcomes: Sequence[_Outcome], *, equal: bool, dry_run: bool) -> Iterator[str]:
    from cli.render import paint, printable, table
    from cli.units import size

    names = [printable(each.before.name) for each in outcomes]
    together = f"{', '.join(names[:-1])} and {names[-1]}"
    moved = any(each.segments_in for each in outcomes)
    if dry_run:
        yield f"{together} {'are equal' if equal else 'differ'}; nothing was changed"
        head = ["", "commits", "would take in", "", "digest"]
    else:
        verdict = f"are equal{'' if moved else ' already'}" if equal else "still differ"
        yield paint(f"{together} {verdict}", "strong" if equal else "conflict")
        head = ["", "commits", "took in", "", "gave", "digest"]
    rows = [head]
    for name, each in zip(names, outcomes, strict=True):
        before, now = each.before.commits, each.after.commits
        commits = f"{before} -> {now}" if before != now else f"{now}"
        row = [name, commits, f"{each.segments_in} segments", size(each.bytes_in)]
        rows.append([*row, *([] if each.bytes_out is None else [size(each.bytes_out)]), each.after.digest])
    yield from table(rows)
    if not equal and not dry_run:
        yield "somebody keeps writing, or a segment is refused: see crdtgraph diverge, and run it again"
