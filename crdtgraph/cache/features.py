"""What can be known of a node when one asks whether its state will be read again, as small whole numbers.

Each feature is cut into buckets and each bucket has a weight of its own (`model`), so that no shape is presumed: that
a node whose moves are all tried is not read again, say, is found in what happens, and unlearned where it isn't so.

Without hints: how many reads ago it was read last, how often it was read, how long it took from the read before to the
last one. With `Hints` of the search: the age again, and its visits since the last read, the visits of its parent, those
of its parent a read since then, how many of its parent's visits it is due by its share of them, its value, and its UCB1
score beside that of the best child of its parent. Counts of reads, gaps and depths add nothing to these but trouble: a
weight for a depth, say, is wrong as soon as the search goes on below another node.

Short ages are all one bucket, and visits since the last read count as one at least. Within one iteration of a search
nothing is read twice, so that what was just read looks as if it would never be read again: true for the next few reads
and for no others. Without this floor a cache learns to let the root go.
"""

from __future__ import annotations

from collections.abc import Hashable
from math import log, sqrt
from typing import Generic, Protocol, TypeVar

Key = TypeVar("Key", bound=Hashable)

BUCKETS = 24
"""A feature. Logarithms to base 2 of 64-bit counts would need more; beyond 2^22 nothing tells nodes apart."""
FEATURES = 9
AGE_FLOOR = 16
"""Reads. About as many as an iteration makes on its way down."""
EXPLORATION = 0.7
"""The constant of UCB1 for rewards in [0, 1], about 1 / sqrt(2) (Auer, Cesa-Bianchi and Fischer 2002; Kocsis and
Szepesvari 2006). It is taken for one visit more than there were, so that it is finite for none."""


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

    def parent(self, key: Key) -> Key | None:
        """The node above."""
        ...

    def best_child(self, key: Key) -> Key | None:
        """The child with the most visits."""
        ...


class Entry(Generic[Key]):
    """What is remembered of a key, in the cache or lately in it. Moments are numbers of reads since the beginning."""

    __slots__ = (
        "gap", "is_held", "is_models_choice", "key", "log_size", "parent", "parent_visits", "place", "read_at", "reads",
        "rival", "size_bytes", "visits",
    )  # fmt: skip

    def __init__(self, key: Key, now: int) -> None:
        self.key = key
        self.size_bytes = 0
        self.log_size = 0.0
        self.is_held = False
        self.read_at = now
        self.reads = 0
        self.gap = 0
        self.place = -1
        self.visits = 0
        self.parent_visits = 0
        self.parent: Key | None = None
        # See `judge`.
        self.rival: Entry[Key] | None = None
        self.is_models_choice = False

    def read(self, now: int, hints: Hints[Key] | None) -> None:
        """It is read now."""
        self.gap = now - self.read_at
        self.read_at = now
        self.reads += 1
        if hints is not None:
            if self.reads == 1:
                self.parent = hints.parent(self.key)
            self.visits = hints.visits(self.key)
            if self.parent is not None:
                self.parent_visits = hints.visits(self.parent)


def buckets(entry: Entry[Key], now: int, hints: Hints[Key] | None) -> tuple[int, ...]:
    """One weight's number for each feature, of which there are three without hints."""
    age = now - entry.read_at
    age_bucket = _log(age if age > AGE_FLOOR else AGE_FLOOR)
    if hints is None:
        return age_bucket, BUCKETS + min(entry.reads, BUCKETS - 1), 2 * BUCKETS + _log(entry.gap)
    key, parent = entry.key, entry.parent
    visits = hints.visits(key)
    since = 3 * BUCKETS + _log(visits - entry.visits)
    if parent is None:
        return age_bucket, since
    above = hints.visits(parent)
    above_since = above - entry.parent_visits
    if above_since < 0:
        above_since = 0
    value = hints.value(key)
    # Binary logarithms by counting digits: of visits a read, times 2^11, and of the squared share, times 2^8.
    rate = ((above_since + 1 << 11) // (age + 1)).bit_length()
    share = above_since * visits
    due = ((share * share << 8) // (above * above + 1)).bit_length()
    best = hints.best_child(parent)
    behind = BUCKETS // 2
    if best is not None and best != key:
        ahead = value - hints.value(best)
        ahead += EXPLORATION * sqrt(log(above + 1)) * (1 / sqrt(visits + 1) - 1 / sqrt(hints.visits(best) + 1))
        behind += int(ahead * 20)
    return (
        age_bucket,
        since,
        4 * BUCKETS + _log(above),
        5 * BUCKETS + (rate if rate < BUCKETS else BUCKETS - 1),
        6 * BUCKETS + (due if due < BUCKETS else BUCKETS - 1),
        7 * BUCKETS + min(max(int(value * 20), 0), BUCKETS - 1),
        8 * BUCKETS + min(max(behind, 0), BUCKETS - 1),
    )


def _log(count: int) -> int:
    return min(count.bit_length(), BUCKETS - 1) if count > 1 else 1
