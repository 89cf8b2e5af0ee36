"""A trace played again: the tree grows as it did in the search, and a cache is asked for each state that was read."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.traces.trace import NO_PARENT, VALUE_SCALE, Trace
from crdtgraph.cache import Cache, Hints, Policy, Statistics


class Tree:
    """What the search knew at each moment, as hints (see `crdtgraph.cache.Hints`)."""

    def __init__(self, trace: Trace) -> None:
        self._parents = trace.parents
        self._players = trace.players
        self._visits = [0] * len(trace.parents)
        self._values = [0.0] * len(trace.parents)
        self._best: list[int | None] = [None] * len(trace.parents)
        self._depths: list[int] = []
        for parent in trace.parents:
            self._depths.append(0 if parent == NO_PARENT else self._depths[parent] + 1)

    def backup(self, node: int, value: float) -> None:
        """Add a value in [0, 1], as the first player sees it, from a node up to the root."""
        while node != NO_PARENT:
            self._visits[node] += 1
            self._values[node] += value
            parent = self._parents[node]
            if parent != NO_PARENT:
                best = self._best[parent]
                if best is None or self._visits[node] > self._visits[best]:
                    self._best[parent] = node
            node = parent

    def visits(self, key: int) -> int:
        """Backups that went through it."""
        return self._visits[key]

    def value(self, key: int) -> float:
        """Their mean, as whoever moves to the node sees it."""
        visits = self._visits[key]
        mean = self._values[key] / visits if visits else 0.5
        return 1 - mean if self._players == 2 and self._depths[key] % 2 == 0 else mean

    def depth(self, key: int) -> int:
        """Moves from where the search began."""
        return self._depths[key]

    def parent(self, key: int) -> int | None:
        """The node above."""
        parent = self._parents[key]
        return None if parent == NO_PARENT else parent

    def best_child(self, key: int) -> int | None:
        """The one visited most."""
        return self._best[key]


def replay(
    trace: Trace, bytes_max: int, policy_for: Callable[[Hints[int]], Policy[int]], *, prefetch: bool = False
) -> Statistics:
    """Play a trace to an empty cache.

    Args:
        trace: the search.
        bytes_max: of the cache.
        policy_for: makes the policy, given what the search knows.
        prefetch: load what the policy suggests after each read.

    Returns:
        What the cache counted. States are the least that a cache may hold of them: their numbers.
    """
    tree = Tree(trace)
    cache: Cache[int, int] = Cache(bytes_max=bytes_max, policy=policy_for(tree))
    values = iter(trace.values)
    for event in trace.events:
        if event < 0:
            tree.backup(-1 - event, next(values) / VALUE_SCALE)
            continue
        if cache.get(event) is None:
            cache.put(event, event, trace.sizes[event])
        if prefetch:
            for wanted in cache.prefetch(event):
                cache.put(wanted, wanted, trace.sizes[wanted], prefetched=True)
    return cache.statistics
