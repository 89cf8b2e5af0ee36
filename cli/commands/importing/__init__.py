"""`crdtgraph import`: what other systems and other replicas wrote."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "git": ("git", "Import the history of a git repository."),
    "jsonl": ("jsonl", "Import what `export jsonl` wrote."),
}


@click.group("import", cls=CommandTable, package=__name__, table=COMMANDS, epilog=examples("crdtgraph import git ."))
def command() -> None:
    """Import a git repository, or the export of a replica."""
