"""What can be known of a node when one asks whether its state will be read again, as small whole numbers.

Each feature is cut into buckets and each bucket has a weight of its own (`model`), so that no shape is presumed: that
a node whose moves are all tried is not read again, say, is found in what happens, and unlearned where it isn't so.

From the cache itself: how many reads ago it was read last, how often it was read, how long it took from the read before
to the last one. From the search, by `Hints`: its visits and those of its parent since it was read last, the visits of
its parent, its depth, and its UCB1 score beside that of the best child of its parent.

Short ages are all one bucket, and visits since the last read count as one at least. Within one iteration of a search
nothing is read twice, so that what was just read looks as if it would never be read again: true for the next few reads
and for no others. Without this floor a cache learns to let the root go.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import log, sqrt
from typing import Generic, Protocol, TypeVar

from crdtgraph.cache.trust import Adviser

Key = TypeVar("Key", bound=Hashable)

BUCKETS = 24
"""A feature. Logarithms to base 2 of 64-bit counts would need more; beyond 2^22 nothing tells nodes apart."""
FEATURES = 8
AGE_FLOOR = 16
"""Reads. About as many as an iteration makes on its way down."""
EXPLORATION = 0.7
"""The constant of UCB1 for rewards in [0, 1], about 1 / sqrt(2) (Kocsis and Szepesvari 2006)."""


class Hints(Protocol[Key]):
    """What a search knows of its tree.

    Asked about any key that was ever in the cache, at any time: of a node that it has forgotten it says 0 or None.
    """

    def visits(self, key: Key) -> int:
        """How often the node was selected so far."""
        ...

    def value(self, key: Key) -> float:
        """The mean reward of the node in [0, 1], as whoever chooses it sees it."""
        ...

    def depth(self, key: Key) -> int:
        """Moves from the root."""
        ...

    def parent(self, key: Key) -> Key | None:
        """The node above."""
        ...

    def best_child(self, key: Key) -> Key | None:
        """The child with the most visits."""
        ...


class Entry(Generic[Key]):
    """What is remembered of a key, in the cache or lately in it. Moments are numbers of reads since the beginning."""

    __slots__ = (
        "depth", "gap", "key", "let_go_at", "let_go_by", "parent", "parent_visits", "place", "read_at", "reads",
        "visits",
    )  # fmt: skip

    def __init__(self, key: Key, now: int) -> None:
        self.key = key
        self.read_at = now
        self.reads = 0
        self.gap = 0
        self.let_go_by = Adviser.BOTH
        self.let_go_at = now
        self.place = -1
        self.visits = 0
        self.parent_visits = 0
        self.parent: Key | None = None
        self.depth = 0

    def read(self, now: int, hints: Hints[Key] | None) -> None:
        """It is read now."""
        self.gap = now - self.read_at
        self.read_at = now
        self.reads += 1
        if hints is not None:
            if self.reads == 1:
                self.parent = hints.parent(self.key)
                self.depth = hints.depth(self.key)
            self.visits = hints.visits(self.key)
            if self.parent is not None:
                self.parent_visits = hints.visits(self.parent)


def buckets(entry: Entry[Key], now: int, hints: Hints[Key] | None) -> tuple[int, ...]:
    """One weight's number for each feature. Without hints there are three features."""
    age = now - entry.read_at
    reads = entry.reads
    general = (
        _log(age if age > AGE_FLOOR else AGE_FLOOR),
        BUCKETS + (reads if reads < BUCKETS else BUCKETS - 1),
        2 * BUCKETS + _log(entry.gap),
    )
    if hints is None:
        return general
    visits = hints.visits(entry.key)
    since = visits - entry.visits
    parent = entry.parent
    if parent is None:
        return (*general, 3 * BUCKETS + _log(since), 7 * BUCKETS + min(entry.depth, BUCKETS - 1))
    parent_visits = hints.visits(parent)
    return (
        *general,
        3 * BUCKETS + _log(since),
        4 * BUCKETS + _log(parent_visits - entry.parent_visits),
        5 * BUCKETS + _log(parent_visits),
        6 * BUCKETS + _behind(entry.key, parent, visits, parent_visits, hints),
        7 * BUCKETS + min(entry.depth, BUCKETS - 1),
    )


def ucb1(value: float, visits: int, parent_visits: int) -> float:
    """The upper confidence bound of a child (Auer, Cesa-Bianchi and Fischer 2002), finite for one never visited."""
    return value + EXPLORATION * sqrt(log(parent_visits + 1) / (visits + 1))


def _behind(key: Key, parent: Key, visits: int, parent_visits: int, hints: Hints[Key]) -> int:
    best = hints.best_child(parent)
    if best is None or best == key:
        return BUCKETS // 2
    ahead = ucb1(hints.value(key), visits, parent_visits)
    ahead -= ucb1(hints.value(best), hints.visits(best), parent_visits)
    return min(max(BUCKETS // 2 + int(ahead * 20), 0), BUCKETS - 1)


def _log(count: int) -> int:
    return min(count.bit_length(), BUCKETS - 1) if count > 1 else 1
