"""`crdtgraph forget`: let all nodes forget a member that will not come back."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, graph_options


@click.command("forget", epilog=examples("crdtgraph forget 6c8cfa8d1a5d"))
@click.argument("member", metavar="MEMBER")
@graph_options
@click.pass_obj
def command(invocation: Invocation, member: str) -> None:
    """Let all nodes forget a member that will not come back.

    MEMBER is its id, or the first digits of it, as `status --cluster` shows them. It is no longer listed, and an
    episode that waited for it is over. Its commits stay. One that lives after all is a member again at once.
    """
    from cli.answers import of
    from cli.output import print_document
    from cli.render import print_lines

    with invocation.open_required_node() as backend:
        replica = of(bytes, backend.call("forget", member=member)).hex()
    if invocation.output is Output.TEXT:
        print_lines([f"forgot {replica}"])
    else:
        print_document(invocation.output, {"replica": replica})
