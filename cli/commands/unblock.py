"""`crdtgraph unblock`: let a running node talk to a peer again."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, graph_options


@click.command("unblock", epilog=examples("crdtgraph unblock 127.0.0.1:7401"))
@click.argument("peer", metavar="PEER")
@graph_options
@click.pass_obj
def command(invocation: Invocation, peer: str) -> None:
    """Take a block back, in the words in which it was given."""
    from cli.output import print_document
    from cli.render import print_lines, printable

    with invocation.open_required_node() as backend:
        backend.call("unblock", peer=peer)
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"unblocked": peer})
    else:
        print_lines([f"unblocked {printable(peer)}"])
