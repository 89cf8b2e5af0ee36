"""`crdtgraph export dot`: the graph in Graphviz's language."""

from __future__ import annotations

import click

from cli.context import Access, Invocation, examples, reading_options
from cli.export import file_argument


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
    from cli.copies import reader_in_process
    from cli.export import require_text, summarise
    from cli.files import output_text
    from cli.progress import progress_bar
    from crdtgraph.interchange import dot_lines

    require_text(invocation, file)
    with invocation.open(Access.READ) as backend:
        reader = reader_in_process(backend)
        with output_text(file, force=force) as write, progress_bar("exporting commits") as show:
            for line in dot_lines(reader, progress=show):
                write(line + "\n")
        summarise(invocation, file, "dot", {"commits": len(reader), "digest": reader.digest()})
