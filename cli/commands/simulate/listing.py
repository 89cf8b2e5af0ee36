"""`crdtgraph simulate list`: what scenarios there are."""

from __future__ import annotations

import click

from cli.context import Invocation, Output, examples, output_option

COLUMNS = ("name", "about", "nodes", "topology", "duration_s", "events")


@click.command("list", epilog=examples("crdtgraph simulate list", "crdtgraph simulate list -o json"))
@output_option
@click.pass_obj
def command(invocation: Invocation) -> None:
    """List the scenarios that come with the program, each with the hazard that it is about."""
    from cli.output import print_documents
    from cli.render import one_line, print_lines, table
    from simulations.files import shipped
    from simulations.page.paper import seconds

    scenarios = shipped()
    if invocation.output is not Output.TEXT:
        print_documents(
            invocation.output,
            (
                {
                    "name": name,
                    "about": each.about,
                    "nodes": each.nodes,
                    "topology": each.topology.value,
                    "duration_s": each.duration_s,
                    "events": len(each.timeline),
                }
                for name, each in scenarios.items()
            ),
            COLUMNS,
        )
        return
    heading = ["name", "nodes", "duration", "hazard"]
    rows = [
        [name, f"{each.nodes:5}", f"{seconds(each.duration_s):>8}", _first_sentence(one_line(each.about))]
        for name, each in scenarios.items()
    ]
    print_lines(table([heading, *rows]))


def _first_sentence(text: str) -> str:
    first, dot, _ = text.partition(". ")
    return first + dot.rstrip()
