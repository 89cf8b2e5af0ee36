"""A worker of a tree search on one machine: grows the tree that all machines share, promotes from it, ends it.

All machines work on the same searches: the first whose name is not known to be closed. Each has a `SearchTree` on the
replica that it runs beside, evaluates leaves at once or a little later, and tells the others what it has in flight. What
it counts is noted in the tallies.
"""

from __future__ import annotations

import random
from itertools import count
from typing import Protocol

from crdtgraph import CommitId, Graph
from crdtgraph.mcts import SearchTree, Task
from simulations.journal import Record
from simulations.pgame import PGame
from simulations.speculation import note_line
from simulations.tallies import Tallies, Vector
from sync import Node

BRANCHING, DEPTH = 3, 6
TASKS_MAX = 3
"""Simulations that one worker has in flight between two steps."""
ITERATIONS_MAX = 6


class Program(Protocol):
    """What is needed of a workload."""

    graph: Graph
    name: str

    def note(self, record: Record) -> None:
        """This is about to be said."""

    def note_commit(self, commit: Commit) -> None:
        """This commit is about to be made."""


class TreeSearching:
    """One process's part. `node` is told what is in flight, once it is there."""

    def __init__(self, program: Program, tallies: Tallies, rng: random.Random) -> None:
        self._program = program
        self._graph = program.graph
        self._tallies = tallies
        self._rng = rng
        self._tree: SearchTree | None = None
        self._tasks: list[Task] = []
        self._node: Node | None = None
        tallies.watch(self._graph)
