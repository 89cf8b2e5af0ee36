"""`crdtgraph branch`: the branches that writers work on."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "ls": ("ls", "List branches, and how far each is from main."),
    "merge": ("merge", "Merge a branch into main, and remove it."),
    "rm": ("rm", "Remove a branch without merging it."),
}


@click.group(
    "branch",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    epilog=examples("crdtgraph branch ls agents/", "crdtgraph branch merge side"),
)
def command() -> None:
    """The branches that writers work on, each on its own, agents/NAME/TASK by custom.

    A branch is a ref: crdtgraph commit --ref NAME adds to one, and crdtgraph refs lists all. See docs/branches.md.
    """
