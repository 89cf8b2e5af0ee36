"""`crdtgraph episodes`: the split brains that a replica has lived through."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.context import Access, Invocation, Output, examples, graph_options

if TYPE_CHECKING:
    from sync.protocol.calls import Plain

COLUMNS = ("FROM", "TO", "LASTED", "SIDES", "KIND", "COMMITS", "CONFLICTS", "ENDED")
KEYS = (
    "from_us", "to_us", "returned_us", "kind", "ours", "theirs", "commits_ours", "commits_theirs", "exact",
    "conflicts", "conflicts_total", "cause", "ended",
)  # fmt: skip
REPLICA_DIGITS = 8


@click.command(
    "episodes",
    epilog=examples("crdtgraph episodes", "crdtgraph episodes --split -n 5", "crdtgraph episodes --open -o json"),
)
@click.option("-n", "limit", type=click.IntRange(min=0), help="At most so many, the latest.")
@click.option("--open", "only_open", is_flag=True, help="Only those that go on.")
@click.option("--split", "only_split", is_flag=True, help="Only those in which both sides wrote.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, limit: int | None, only_open: bool, only_split: bool) -> None:
    """List the split brains that a replica has lived through, newest first.

    SIDES has this replica and those with it on the left, COMMITS what each side wrote that the other lacked when they
    met again (~ marks an estimate, or what is known while it goes on), CONFLICTS the refs that came into conflict by
    healing. In a split both sides made commits, in a one-sided episode only one, in a quiet one none, but other
    records. It ended "reconnected" when the link carried what was missing, and "converged" when that was there before
    the link was. A running node notes them, each node those of its own links; peers that could be reached over others
    all the while were never apart.
    """
    from cli.answers import list_of, table_of
    from cli.output import print_documents
    from cli.render import print_lines, table

    with invocation.open(Access.READ) as backend:
        found = [table_of(each) for part in backend.stream("episodes") for each in list_of(part)]
    kinds = {kind for kind, chosen in (("open", only_open), ("split", only_split)) if chosen}
    found = [each for each in reversed(found) if not kinds or each["kind"] in kinds][:limit]
    if invocation.output is Output.TEXT:
        print_lines(table([COLUMNS, *map(_row, found)]) if found else [])
    else:
        print_documents(invocation.output, found, KEYS)


def _row(episode: dict[str, Plain]) -> tuple[str, ...]:
    from cli.answers import list_of, of
    from cli.render import moment, one_line
    from cli.units import number, span

    start, end = of(int, episode["from_us"]), episode["to_us"]
    about = "" if of(bool, episode["exact"]) else "~"
    conflicts = ", ".join(one_line(of(str, each)) for each in list_of(episode["conflicts"]))
    more = of(int, episode["conflicts_total"]) - len(list_of(episode["conflicts"]))
    return (
        moment(start),
        "still open" if end is None else moment(of(int, end)),
        "" if end is None else span((of(int, end) - start) / 1e6),
        f"{_names(episode['ours'])} | {_names(episode['theirs'])}",
        of(str, episode["kind"]),
        f"{about}{number(of(int, episode['commits_ours']))} | {about}{number(of(int, episode['commits_theirs']))}",
        conflicts + (f" and {more} more" if more else ""),
        one_line(of(str, episode["ended"])),
    )


def _names(sides: Plain) -> str:
    from cli.answers import list_of, of, table_of
    from cli.render import one_line

    members = map(table_of, list_of(sides))
    return ", ".join(
        one_line(of(str, each["name"])) or of(bytes, each["replica"]).hex()[:REPLICA_DIGITS] for each in members
    )
