"""`crdtgraph export graphml`: the graph as GraphML."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, examples, reading_options
from cli.export import file_argument


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
    from cli.copies import reader_in_process
    from cli.export import require_text, summarise
    from cli.files import output_text
    from cli.progress import progress_bar
    from crdtgraph.interchange import graphml_lines

    require_text(invocation, file)
    with invocation.open(Access.READ) as backend:
        reader = reader_in_process(backend)
        with output_text(file, force=force) as write, progress_bar("exporting commits") as show:
            for line in graphml_lines(reader, progress=show):
                write(line + "\n")
        summarise(invocation, file, "graphml", {"commits": len(reader), "digest": reader.digest()})
