"""`crdtgraph export graphml`: the graph as GraphML."""

from __future__ import annotations

import click

from cli.context import Invocation, examples, reading_options
from cli.export import file_argument, write_lines


@click.command(
    "graphml",
    epilog=examples(
        "crdtgraph export graphml graph.graphml",
        "crdtgraph export graphml | gzip > graph.graphml.gz",
    ),
)
@file_argument
@reading_options
@click.pass_obj
def command(invocation: Invocation, file: str, force: bool) -> None:
    """Write the graph as GraphML to FILE, or to standard output.

    Gephi, yEd, Cytoscape, igraph and networkx read it. Nodes are named by id and have short, author, time, time_us,
    subject, refs, live, and where something was counted visits, value and counters; an edge says which parent it is.
    """
    from crdtgraph.interchange import graphml_lines

    write_lines(invocation, file, "graphml", graphml_lines, force=force)
