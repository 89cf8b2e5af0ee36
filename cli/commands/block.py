"""`crdtgraph block`: cut a running node off from a peer."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, graph_options


@click.command("block", epilog=examples("crdtgraph block 127.0.0.1:7401"))
@click.argument("peer", metavar="PEER")
@graph_options
@click.pass_obj
def command(invocation: Invocation, peer: str) -> None:
    """Close the connections of a running node to PEER, and refuse new ones in both directions.

    PEER is the name of a node, HOST:PORT, or the beginning of a replica's id (see `crdtgraph peers`). The node forgets
    it when it stops; `crdtgraph unblock` takes it back.
    """
    from cli.output import print_document
    from cli.render import print_lines, printable

    with invocation.open_required_node() as backend:
        closed = backend.call("block", peer=peer)
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"blocked": peer, "closed": closed})
    else:
        print_lines([f"blocked {printable(peer)}"])
