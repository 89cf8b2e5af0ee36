"""`crdtgraph digest`: 32 bytes that say what a replica holds."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, examples, reading_options


@click.command("digest", epilog=examples("crdtgraph digest", "crdtgraph digest -o json"))
@reading_options
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Print the digest of the graph. Two replicas with the same digest hold the same graph.

    JSON also has the digest of the set of segments, which is what replicas compare first.
    """
    from cli.answers import of, table_of
    from cli.render import print_json, print_lines

    with invocation.open(Access.READ) as backend:
        answer = table_of(backend.call("digest"))
    if invocation.json:
        print_json(answer)
    else:
        print_lines([of(bytes, answer["digest"]).hex()])
