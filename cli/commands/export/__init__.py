"""`crdtgraph export`: the graph in formats of other programs."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "jsonl": ("jsonl", "A whole replica as JSON lines, without loss."),
    "git": ("git", "Every commit and ref as a git repository."),
    "dot": ("dot", "The graph for Graphviz."),
    "graphml": ("graphml", "The graph for Gephi, networkx and others."),
}


@click.group(
    "export",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    epilog=examples("crdtgraph export jsonl backup.jsonl"),
)
def command() -> None:
    """Write the graph in a format that other programs read.

    `import jsonl` and `import git` read back what `export jsonl` and `export git` wrote, and end on the same digest.
    """
