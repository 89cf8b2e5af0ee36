"""`crdtgraph export dot`: the graph in Graphviz's language."""

from __future__ import annotations

import click

from cli.context import Invocation, examples, reading_options
from cli.export import file_argument, write_lines


@click.command(
    "dot",
    epilog=examples(
        "crdtgraph export dot graph.dot",
        "crdtgraph export dot | head -n 3",
    ),
)
@file_argument
@reading_options
@click.pass_obj
def command(invocation: Invocation, file: str, force: bool) -> None:
    """Write the graph in Graphviz's language to FILE, or to standard output.

    Draw it with Graphviz: `dot -Tsvg graph.dot -o graph.svg`. Each commit is a box with its short id, refs (??: in
    conflict), subject and counters; the tooltip has the rest. A dashed edge leads to a further parent of a merge.
    """
    from crdtgraph.interchange import dot_lines

    write_lines(invocation, file, "dot", dot_lines, force=force)
