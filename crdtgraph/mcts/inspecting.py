"""A tree as its search has it, for whoever has no problem: what was counted of its commits, by whom, and the best line.

A `SearchTree` knows positions; here are only commits, so a position that several lines lead to stands in each of them
with what was counted on that way. Visits and values are the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId, ReplicaId
from crdtgraph.mcts.growth import AUTHOR
from crdtgraph.mcts.keeping import ROOT_KEY, ROOT_MESSAGE
from crdtgraph.mcts.sharing import EARLIER_KEY, META_PREFIX, PROBLEM_KEY, read_statistics, write_statistics
from crdtgraph.mcts.statistics import Statistics
from crdtgraph.planes import Plane
from crdtgraph.records import Count
from crdtgraph.searches.plane import PREFIX
from crdtgraph.searches.search import Search
from crdtgraph.segment import unpack

SEGMENTS_A_STEP = 8
"""Segments that are looked through before others get a turn: some 3 ms."""


@dataclass(frozen=True, slots=True)
class SearchNode:
    """One commit of a tree. `children` are those that are live; `depth` counts from where the look began."""

    commit: CommitId
    depth: int
    action: str
    statistics: Statistics
    children: int


class Inspection:
    """An open search, looked at as a tree.

    Raises NotFoundError when no search of that name is open in this process, LocalError when no tree is in it.
    """

    def __init__(self, graph: Graph, name: str) -> None:
        if name not in graph.searches():
            known = ", ".join(graph.searches()[:10]) or "none"
            raise NotFoundError(f"no search {name!r} is open here", hint=f"open searches: {known}")
        self._graph = graph
        self._search: Search = graph.search(name)
        self._home: Plane = graph._plane(PREFIX + name)
        problem = self._search.earliest(PROBLEM_KEY)
        if problem is None:
            raise LocalError(f"there is no tree in search {name!r}", hint="crdtgraph mcts run PROBLEM --search NAME")
        self.fingerprint = problem
        self._resumed = bool(self._search.values(EARLIER_KEY))

    @property
    def problem(self) -> str:
        """What the tree is of: format, players, range of rewards, identity."""
        return self.fingerprint.decode(errors="replace")

    def __len__(self) -> int:
        """How many commits the search has."""
        return len(self._search)

    def resolve(self, rev: str) -> CommitId:
        """A commit of the search by a prefix of its id."""
        return self._graph.resolve(rev, plane=self._search.plane)

    def action(self, commit: CommitId) -> str:
        """The text of the action that led to a commit."""
        return self._search.get(commit).message

    def root(self) -> CommitId:
        """Where the tree begins: of several, the one with the most visits, then the lowest id.

        Where a tree of another problem began before it was told is left out.
        """
        roots = [each for each in self._graph.roots(plane=self._search.plane) if not self._is_of_others(each)]
        if not roots:
            raise LocalError(f"search {self._search.name!r} is empty", hint="wait until its tree has begun to grow")
        return max(sorted(roots), key=lambda root: self.statistics(root).visits)

    def _is_of_others(self, root: CommitId) -> bool:
        made = self._search.get(root)
        ours = ROOT_MESSAGE + self.problem.split(" ", 4)[-1]
        return made.author == AUTHOR and not made.parents and made.message != ours

    def statistics(self, commit: CommitId) -> Statistics:
        """What was counted of a commit, in this search and, if it goes on from them, in earlier ones."""
        total = Statistics.of(self._search.counters(commit))
        if self._resumed and commit in self._graph:
            for key, value in self._graph.meta(commit).items():
                if key.startswith(META_PREFIX) and key != META_PREFIX + self._search.name:
                    total = total.plus(read_statistics(value))
        return total

    def children(self, commit: CommitId) -> list[CommitId]:
        """Live commits that follow, the most visited first."""
        found = set(self._search.children(commit))
        if commit in self._graph:
            found.update(each for each in self._graph.children(commit) if self._graph.get(each).author == AUTHOR)
        live = [each for each in found if self._search.is_live(each)]
        return sorted(live, key=lambda each: (-self.statistics(each).visits, self._search.get(each).message, each))

    def top(self, start: CommitId, depth: int, width: int) -> Iterator[SearchNode]:
        """A commit and what follows, to a depth, so many of each one's children; each after its parent."""
        stack = [(start, 0)]
        while stack:
            commit, level = stack.pop()
            children = self.children(commit)
            yield SearchNode(commit, level, self.action(commit), self.statistics(commit), len(children))
            if level < depth:
                stack += [(child, level + 1) for child in reversed(children[:width])]

    def best_line(self, start: CommitId) -> list[CommitId]:
        """The most visited child, the most visited after it, and so on."""
        found: list[CommitId] = []
        children = self.children(start)
        while children and self.statistics(children[0]).visits:
            found.append(children[0])
            children = self.children(children[0])
        return found

    def visits_by_writer(self, commits: set[CommitId]) -> Iterator[dict[CommitId, dict[ReplicaId, int]]]:
        """How many visits each replica has counted of these commits by now: first a part, the last one is whole.

        It takes a few segments of the search at a time. O(segments).
        """
        home, found = self._home, dict[CommitId, dict[ReplicaId, int]]()

        def add(counts: list[Count], replica: ReplicaId) -> None:
            for count in counts:
                if count.commit in commits and count.vector:
                    by_writer = found.setdefault(count.commit, {})
                    by_writer[replica] = by_writer.get(replica, 0) + count.vector[0]

        # All of one moment: what is written or compacted while others have their turn is not looked at.
        add(list(home.buffer.records.counts), self._graph.replica_id)
        keys = [key for key in home.document.segment_keys() if key not in home.projection.superseded]
        held = [data for key in keys for data in home.segment_bytes(key)]
        for number, data in enumerate(held):
            if number % SEGMENTS_A_STEP == SEGMENTS_A_STEP - 1:
                yield found
            segment = unpack(data, check_signature=False)
            add(list(segment.counts), segment.replica_id)
        yield found

    def promote(self, commit: CommitId) -> list[CommitId]:
        """Copy a commit and what is above it to the ledger, with what was counted; see `SearchTree.promote`.

        Returns all of them from the root on. NORMAL: the caller sees to the disk.
        """
        search, graph = self._search, self._graph
        search.promote(commit)
        root, line = self.root(), [commit]
        # All above it is in the ledger now. The search knows no parents of what an earlier one had promoted.
        while line[-1] != root and graph.get(line[-1]).author == AUTHOR and (parents := graph.parents(line[-1])):
            line.append(parents[0])
        for each in line:
            counted = search.counters(each)
            key = META_PREFIX + search.name
            if counted and graph.meta(each).get(key) != (value := write_statistics(counted)):
                graph.set_meta(key, value, commit=each)
        if graph.meta(line[-1]).get(ROOT_KEY) != self.fingerprint:
            graph.set_meta(ROOT_KEY, self.fingerprint, commit=line[-1])
        return line[::-1]
