"""A worker of a tree search on one machine: grows the tree that all machines share, promotes from it, ends it.

All machines work on the same searches: the first whose name is not known to be closed. Each has a `SearchTree` on the
replica that it runs beside, evaluates leaves at once or a little later, and tells the others what it has in flight.
What it counts is noted in the tallies.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from itertools import count

from crdtgraph import CommitId
from crdtgraph.mcts import SearchTree, Task
from simulations.checkers import ViolationError
from simulations.pgame import PGame
from simulations.speculation import Program, note_line
from simulations.tallies import Tallies
from sync import Node

BRANCHING, DEPTH = 3, 12
TASKS_MAX = 3
"""Simulations that one worker leaves in flight after a step."""
ITERATIONS_MAX = 6
PROMOTIONS_DEPTH = 3


class TreeSearching:
    """One process's part in the searches of its world; `node` is told what is in flight."""

    def __init__(self, program: Program, tallies: Tallies, rng: random.Random, node: Node | None) -> None:
        self._program = program
        self._graph = program.graph
        self._tallies = tallies
        self._rng = rng
        self._tree: SearchTree | None = None
        self._tasks: list[Task] = []
        self._game = PGame(BRANCHING, DEPTH, 0)
        self._node = node
        self._end_hearing: Callable[[], object] = list
        tallies.watch(self._graph)

    def rest(self) -> None:
        """Nothing more is begun: what is in flight is given back."""
        if self._tree is not None:
            self._tree.give_back([task.id for task in self._tasks])
            self._tasks = []
            self._tell_flying()

    # Operations; each prepares what it is about to say.

    def _tree_step(self) -> str:
        """A few simulations; some of them end with a later call."""
        tree = self._current()
        done, kept = 0, self._rng.randint(0, TASKS_MAX)
        for _ in range(self._rng.randint(1, ITERATIONS_MAX)):
            self._tasks += tree.ask(1)
            while len(self._tasks) > kept:
                task = self._tasks.pop(self._rng.randrange(len(self._tasks)))
                done += tree.tell([(task.id, self._game.evaluate(task.state, self._rng))])
        tree.flush()
        if self._rng.random() < 0.3:
            tree.search.flush()
        self._tell_flying()
        return f"{tree.search.name}: {done} simulations, {len(tree)} nodes"

    def _tree_discard(self) -> str:
        """Throw a node of the tree away, and all below it."""
        tree = self._current()
        nodes = [node.commit for node in tree.top(2) if node.commit is not None and node.commit != tree.root]
        if not nodes:
            return "nothing to discard"
        commit = self._rng.choice(nodes)
        self._tallies.discard(tree.search.plane, commit)
        tree.search.discard(commit)
        return commit.hex()[:12]

    def _tree_compact(self) -> str:
        """Add up what this process counted in several segments, and let go of what was discarded."""
        plane = self._current().search.plane
        self._graph.flush_searches()
        before = self._graph.digest(plane=plane)
        joined = self._graph.compact()
        if self._graph.digest(plane=plane) != before:
            raise ViolationError("a compaction changes no digest", f"{self._program.name} {plane}")
        return f"{plane} {joined}"

    def _tree_promote(self) -> str:
        """Copy the best line, or a part of it, to the ledger."""
        tree = self._current()
        line = [node.commit for node in tree.best_line() if node.commit is not None]
        line = line[: self._rng.randint(1, PROMOTIONS_DEPTH)]
        if not line:
            return "nothing to promote"
        note_line(self._program, tree.search, line[-1])
        tree.search.promote(line[-1])
        return line[-1].hex()[:12]

    def _tree_close(self) -> str:
        """End the search everywhere."""
        search = self._current().search
        self._program.note(("assign", f"search {search.name}", b"closed"))
        self._let_go()
        search.close()
        return search.name

    # Inside

    def _current(self) -> SearchTree:
        tree = self._tree
        if tree is not None and not tree.search.is_open:
            self._let_go()
            tree = None
        if tree is None:
            number = next(number for number in count() if not self._graph.is_closed_search(f"tree {number}"))
            self._game = PGame(BRANCHING, DEPTH, number)
            name = f"tree {number}"
            tree = self._tree = SearchTree(self._graph, self._game, name=name, rng=self._rng, solve=False)
            # Whatever counts asks the search for this.
            vars(tree.search)["count"] = partial(self._count, tree, tree.search.count)
            if self._node is not None:
                self._end_hearing = self._node.inflight.subscribe(name, self._hear_flying)
        return tree

    def _count(self, tree: SearchTree, original: Callable[..., None], commit: CommitId, vector: Iterable[int]) -> None:
        numbers = tuple(vector)
        call = partial(original, commit, numbers)
        self._tallies.count(tree.search.plane, self._graph.writer, commit, numbers, call)

    def _hear_flying(self, writer: int, counts: object) -> None:
        if self._tree is not None:
            self._tree.set_remote_inflight(f"{writer:x}", counts)  # type: ignore[arg-type]

    def _tell_flying(self) -> None:
        if self._node is not None and self._tree is not None:
            self._node.inflight.publish(self._tree.search.name, self._tree.inflight())

    def _let_go(self) -> None:
        tree, self._tree, self._tasks = self._tree, None, []
        self._end_hearing()
        self._end_hearing = list
        if tree is not None:
            if self._node is not None:
                self._node.inflight.publish(tree.search.name, {})
            tree.close()
