"""`crdtgraph peers`: whom a running node talks to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.context import Invocation, examples, graph_options

if TYPE_CHECKING:
    from sync.calls import Plain

COLUMNS = ("PEER", "ADDRESS", "STATE", "AGREES", "QUEUED", "LAST EXCHANGE", "")
REPLICA_DIGITS = 12


@click.command("peers", epilog=examples("crdtgraph peers", "crdtgraph peers -o json"))
@graph_options
@click.pass_obj
def command(invocation: Invocation) -> None:
    """List the peers of a running node: connected, being dialled, or blocked."""
    from cli.answers import list_of, of, table_of
    from cli.render import print_json, print_lines, printable, table

    with invocation.open_required_node() as backend:
        node = table_of(table_of(backend.call("status"))["node"])
    peers = [table_of(each) for each in list_of(node["peers"])]
    blocked = [of(str, each) for each in list_of(node["blocked"])]
    if invocation.json:
        print_json({"peers": peers, "blocked": blocked})
        return
    print_lines(table([COLUMNS, *map(_row, peers)]))
    if blocked:
        print_lines([f"blocked: {', '.join(map(printable, blocked))}"])


def _row(peer: dict[str, Plain]) -> tuple[str, ...]:
    from cli.answers import of
    from cli.render import printable

    exchanged = peer["last_exchange_s"]
    return (
        of(str, peer["replica"])[:REPLICA_DIGITS] or "?",
        printable(of(str, peer["address"])) or "?",
        of(str, peer["state"]),
        "yes" if of(bool, peer["agrees"]) else "no",
        str(of(int, peer["queued_messages"])),
        "never" if exchanged is None else f"{of(float, exchanged):.1f} s ago",
        printable(of(str, peer["failure"])),
    )
