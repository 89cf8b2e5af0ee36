"""`crdtgraph context`: names for stores and nodes."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "add": ("add", "Give a store or a node a name."),
    "ls": ("ls", "List the names, and whether what they name is there."),
    "use": ("use", "Choose the graph of commands that name none."),
    "rm": ("rm", "Forget a name."),
}


@click.group(
    "context",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    epilog=examples("crdtgraph context add lab --store search.db --use", "crdtgraph context ls"),
)
def command() -> None:
    """Names for stores and nodes, which stand wherever a store or a node is asked for: diverge lab other.db.

    A path that exists goes before a context of the same name. Without --store, --node and --context, and without
    CRDTGRAPH_STORE, CRDTGRAPH_NODE and CRDTGRAPH_CONTEXT, commands are about the context in use. The names are kept
    in contexts.toml in the folder CRDTGRAPH_CONFIG (default: ~/.config/crdtgraph).
    """
