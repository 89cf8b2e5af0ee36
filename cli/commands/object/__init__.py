"""`crdtgraph object`: the large values of a replica."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "ls": ("ls", "List the objects that are here, and those that are missing."),
    "gc": ("gc", "Remove what no live commit names."),
}


@click.group(
    "object",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    epilog=examples("crdtgraph object ls", "crdtgraph object gc --dry-run"),
)
def command() -> None:
    """Large values: what a commit changes a path to, if it has more than 16 KiB, is kept beside the commits.

    `crdtgraph commit --file PATH=FILE` puts them there, `crdtgraph state REV PATH` writes them to standard output.
    """
