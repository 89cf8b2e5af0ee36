"""`crdtgraph context use`: choose the graph of commands that name none."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, output_option


@click.command("use", epilog=examples("crdtgraph context use lab", "crdtgraph context use --none"))
@click.argument("name", metavar="[NAME]", required=False)
@click.option("--none", "nothing", is_flag=True, help="Use none: every command has to name its graph again.")
@output_option
@click.pass_obj
def command(invocation: Invocation, name: str | None, nothing: bool) -> None:
    """Use a context where no graph is named on the command line or by the environment."""
    from cli.contexts import changing
    from cli.output import print_document
    from cli.render import print_lines, printable

    if (name is None) != nothing:
        raise click.UsageError("give the NAME of a context, or --none")
    with changing() as contexts:
        place = contexts.get(name).place if name is not None else ""
        contexts.current = name or ""
    if invocation.output is not Output.TEXT:
        print_document(invocation.output, {"name": name, "place": place or None})
    else:
        print_lines([f"in use: {name}, {printable(place)}" if name else "no context is in use"])
