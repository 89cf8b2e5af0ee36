"""`crdtgraph searches close`: end a search everywhere."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, graph_options


@click.command("close", epilog=examples("crdtgraph searches close 'move 12'"))
@click.argument("name", metavar="NAME")
@graph_options
@click.pass_obj
def command(invocation: Invocation, name: str) -> None:
    """End a search: all nodes drop it, and nobody can open another one of that name.

    Programs that still use it get an error with their next call. What was promoted from it stays in the graph.
    """
    from cli.output import print_document
    from cli.render import one_line, print_lines

    with invocation.open_required_node() as backend:
        backend.call("close_search", name=name)
    if invocation.output is Output.TEXT:
        print_lines([f"closed {one_line(name)}"])
    else:
        print_document(invocation.output, {"name": name, "state": "closed"})
