"""`crdtgraph context rm`: forget a name."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, output_option


@click.command("rm", epilog=examples("crdtgraph context rm lab"))
@click.argument("name", metavar="NAME")
@output_option
@click.pass_obj
def command(invocation: Invocation, name: str) -> None:
    """Forget a name. What it names stays as it is."""
    from cli.contexts import changing
    from cli.output import print_document
    from cli.render import print_lines, printable

    with changing() as contexts:
        place = contexts.get(name).place
        del contexts.named[name]
        contexts.current = "" if contexts.current == name else contexts.current
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"name": name, "place": place})
    else:
        print_lines([f"forgot {name}; {printable(place)} is left as it is"])
