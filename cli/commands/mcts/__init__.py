"""`crdtgraph mcts`: Monte Carlo tree search, by one process or by many on one tree."""

from __future__ import annotations

import click

from cli.context import examples
from cli.tables import CommandTable, Table

COMMANDS: Table = {
    "run": ("run", "Search for the best line of a problem."),
    "tree": ("tree", "Show the top of a tree that is being searched."),
    "promote": ("promote", "Keep the best line of a tree that is being searched."),
}


@click.group(
    "mcts",
    cls=CommandTable,
    package=__name__,
    table=COMMANDS,
    epilog=examples("crdtgraph mcts run nim.py:Nim --budget 10000", "crdtgraph mcts tree nim.py:Nim --depth 3"),
)
def command() -> None:
    """Monte Carlo tree search, by one process or by many on one tree.

    A tree lives in a search (a plane that is gossiped and never on a disk) until the processes that search it end; what
    is promoted stays. See docs/mcts-command.md.
    """
