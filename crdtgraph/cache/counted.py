"""What a graph itself knows of a search: visits and rewards in the counters of commits, and the shape of the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdtgraph.ids import CommitId

if TYPE_CHECKING:
    from crdtgraph.reader import Reader

REWARD_UNIT = 1_000_000
"""Rewards are counted in millionths."""


class CountedHints:
    """`Hints` from the counters of one plane: the first is visits, the second the sum of rewards in millionths.

    `best_child` is O(children), the others O(1).
    """

    __slots__ = ("_graph", "_plane")

    def __init__(self, graph: Reader, *, plane: str) -> None:
        self._graph = graph
        self._plane = plane

    def visits(self, key: CommitId) -> int:
        """See `Hints.visits`."""
        return next(iter(self._totals(key)), 0)

    def value(self, key: CommitId) -> float:
        """See `Hints.value`."""
        visits, rewards = (*self._totals(key), 0, 0)[:2]
        return min(max(rewards / (visits * REWARD_UNIT), 0.0), 1.0) if visits > 0 else 0.0

    def parent(self, key: CommitId) -> CommitId | None:
        """See `Hints.parent`."""
        return next(iter(self._graph.parents(key, plane=self._plane)), None) if self._has(key) else None

    def best_child(self, key: CommitId) -> CommitId | None:
        """See `Hints.best_child`; of those with equally many visits that with the smallest id."""
        children = self._graph.children(key, plane=self._plane) if self._has(key) else ()
        return max(children, key=self.visits, default=None)

    def _totals(self, key: CommitId) -> tuple[int, ...]:
        return self._graph.counters(key, plane=self._plane) if self._has(key) else ()

    def _has(self, key: CommitId) -> bool:
        return self._graph.has(key, plane=self._plane)
