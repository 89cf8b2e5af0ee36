"""`crdtgraph store`: what is done to a store as a whole."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "backup": ("backup", "Write a replica to one file, also while a node is at work."),
    "restore": ("restore", "Make a store of a backup."),
    "migrate": ("migrate", "Move a replica to another store or backend, or back."),
    "stats": ("stats", "Show what a store holds, and what it wrote for that."),
}


@click.group(
    "store",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    epilog=examples(
        "crdtgraph store stats",
        "crdtgraph store backup search.backup",
        "crdtgraph store migrate search.db sqlite:search.sqlite",
    ),
)
def command() -> None:
    """Back up, restore, migrate and measure stores.

    A store is a folder of RocksDB (a bare path, or rocksdb:PATH) or one file of SQLite (sqlite:PATH). Which one is in
    use says the URL alone: see docs/stores.md for when to choose which.
    """
