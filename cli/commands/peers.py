"""`crdtgraph peers`: whom a running node talks to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.context import Invocation, Output, examples, graph_options

if TYPE_CHECKING:
    from sync.protocol.calls import Plain

COLUMNS = ("PEER", "ADDRESS", "STATE", "AGREES", "QUEUED", "LAST EXCHANGE", "")
DETAILED_COLUMNS = (
    "PEER", "NAME", "ADDRESS", "DIRECTION", "STATE", "AGREES", "CONNECTED", "RTT", "IN", "OUT", "QUEUED", "DROPS",
    "NEIGHBOURS", "LAST EXCHANGE", "",
)  # fmt: skip
KEYS = (
    "replica", "name", "address", "direction", "state", "agrees", "bytes_in", "bytes_out", "queued_messages",
    "queued_bytes", "queue_drops", "connected_s", "last_exchange_s", "rtt_s", "neighbours", "failure",
)  # fmt: skip
REPLICA_DIGITS = 12


@click.command("peers", epilog=examples("crdtgraph peers", "crdtgraph peers --detailed", "crdtgraph peers -o json"))
@click.option("--detailed", is_flag=True, help="Show all that is known of each: bytes, round trip, queue, neighbours.")
@graph_options
@click.pass_obj
def command(invocation: Invocation, detailed: bool) -> None:
    """List the peers of a running node: connected, being dialled, or blocked.

    AGREES compares the digests of a peer's last summary with the node's own as they are now. IN and OUT are bytes since
    the connection opened; QUEUED is what waits for the peer, and DROPS how often that was too much and it was told to
    ask anew. RTT is the last round trip that was measured.
    """
    from cli.answers import list_of, of, table_of
    from cli.output import print_document, print_documents
    from cli.render import print_lines, printable, table

    with invocation.open_required_node() as backend:
        node = table_of(table_of(backend.call("status"))["node"])
    peers = [table_of(each) for each in list_of(node["peers"])]
    blocked = [of(str, each) for each in list_of(node["blocked"])]
    if invocation.output is Output.JSON:
        print_document(invocation.output, {"peers": peers, "blocked": blocked})
    elif invocation.output is not Output.TEXT:
        print_documents(invocation.output, peers, KEYS)
    else:
        rows = [DETAILED_COLUMNS, *map(_detailed_row, peers)] if detailed else [COLUMNS, *map(_row, peers)]
        print_lines(table(rows))
        if blocked:
            print_lines([f"blocked: {', '.join(map(printable, blocked))}"])


def _row(peer: dict[str, Plain]) -> tuple[str, ...]:
    from cli.answers import of
    from cli.render import printable

    return (
        of(str, peer["replica"])[:REPLICA_DIGITS] or "?",
        printable(of(str, peer["address"])) or "?",
        of(str, peer["state"]),
        "yes" if of(bool, peer["agrees"]) else "no",
        str(of(int, peer["queued_messages"])),
        _ago(peer["last_exchange_s"]),
        printable(of(str, peer["failure"])),
    )


def _detailed_row(peer: dict[str, Plain]) -> tuple[str, ...]:
    from cli.answers import of
    from cli.render import one_line
    from cli.units import number, short_time, size, span

    connected, rtt = peer["connected_s"], peer["rtt_s"]
    return (
        of(str, peer["replica"])[:REPLICA_DIGITS] or "?",
        one_line(of(str, peer["name"])) or "-",
        one_line(of(str, peer["address"])) or "?",
        of(str, peer["direction"]),
        of(str, peer["state"]),
        "yes" if of(bool, peer["agrees"]) else "no",
        "-" if connected is None else span(of(float, connected)),
        "-" if rtt is None else short_time(of(float, rtt) * 1e6),
        size(of(int, peer["bytes_in"])),
        size(of(int, peer["bytes_out"])),
        f"{number(of(int, peer['queued_messages']))} {size(of(int, peer['queued_bytes']))}",
        number(of(int, peer["queue_drops"])),
        number(of(int, peer["neighbours"])),
        _ago(peer["last_exchange_s"]),
        one_line(of(str, peer["failure"])),
    )


def _ago(seconds: Plain) -> str:
    from cli.answers import of
    from cli.units import span

    return "never" if seconds is None else f"{span(of(float, seconds))} ago"
