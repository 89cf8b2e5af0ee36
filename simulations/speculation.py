"""Trees that a program grows in one go, counts in, and throws away: in the ledger, or in a search plane of its own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from crdtgraph import Commit, CommitId, Graph, Search
from simulations.journal import Record

SPECULATIVE_COMMITS = 20
SEARCH_COMMITS = 77
"""Of so many commits of a search all but one are thrown away: 98.7 %, as measured in clusters of MCTS workers."""


class Program(Protocol):
    """What is needed of a workload."""

    graph: Graph
    name: str

    def tag(self) -> str:
        """A text that nobody has said yet."""

    def some_parents(self, count: int) -> list[CommitId]:
        """Something to build on."""

    def add_all(self, commits: Sequence[Commit]) -> list[CommitId]:
        """`Graph.commit_many`, noted."""

    def note(self, record: Record) -> None:
        """This is about to be said."""

    def note_commit(self, commit: Commit) -> None:
        """This commit is about to be made."""


def search(program: Program, rng: random.Random) -> str:
    """Grow a tree below a new commit, count visits along its paths, and throw all of it but the root away."""
    graph, name = program.graph, program.name
    root = Commit(tuple(program.some_parents(1)), name, graph.now_us(), f"{program.tag()} root")
    tree = [root]
    for number in range(1, SEARCH_COMMITS):
        parent = rng.choice(tree[-8:])
        tree.append(Commit((parent.id,), name, graph.now_us(), f"{program.tag()} node {number}"))
    program.add_all(tree)
    for node in rng.sample(tree, 5):
        value = (1, rng.randint(-1000, 1000))
        program.note(("count", node.id, value))
        graph.count(node.id, value)
    for child in tree[1:]:
        if child.parents == (root.id,):
            program.note(("discard", child.id, None))
            graph.discard(child.id)
    return f"{len(tree)} below {root.id.hex()[:12]}"


def speculate(program: Program, rng: random.Random) -> str:
    """The same in a search plane: of what was tried one line is promoted, and the rest is gone with the search."""
    graph, name = program.graph, program.tag()
    with graph.search(name) as plane:
        tree = [*program.some_parents(1)]
        for number in range(SPECULATIVE_COMMITS):
            below = [rng.choice(tree[-8:])] if tree else []
            tree.append(plane.commit(parents=below, author=program.name, message=f"{name} node {number}"))
            plane.count(tree[-1], (1, number))
        best = tree[-1]
        for loser in rng.sample(tree[-SPECULATIVE_COMMITS:], 5):
            plane.discard(loser)
        note_line(program, plane, best)
        # The search is closed also if the disk refuses what was promoted.
        program.note(("assign", f"search {name}", b"closed"))
        plane.promote(best)
    return best.hex()[:12]


def note_line(program: Program, search: Search, best: CommitId) -> None:
    """A commit of a search is about to be promoted, with all above it that the ledger lacks."""
    graph, line = program.graph, [best]
    while line[-1] not in graph and (parents := search.parents(line[-1])):
        line.append(parents[0])
    for commit in reversed(line):
        if commit not in graph:
            program.note_commit(search.get(commit))
