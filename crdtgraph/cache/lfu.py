"""Least frequently used: what was read the fewest times since it came goes first, the longest ago among equals.

In constant time by one ordered map for each number of reads, after Shah, Mitra and Matani, "An O(1) algorithm for
implementing the LFU cache eviction scheme" (2010).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class LfuPolicy(Generic[Key]):
    """See `Policy`. Every call is O(1), but `victim` after the last key of the lowest count went: O(counts)."""

    __slots__ = ("_by_reads", "_least", "_reads")

    def __init__(self) -> None:
        self._reads: dict[Key, int] = {}
        self._by_reads: dict[int, OrderedDict[Key, None]] = {}
        self._least = 1

    def on_hit(self, key: Key) -> None:
        """One read more."""
        reads = self._reads[key]
        self._take(key, reads)
        self._place(key, reads + 1)

    def on_miss(self, key: Key) -> None:
        """Nothing is known of what is not here."""

    def on_insert(self, key: Key, size_bytes: int) -> None:
        """Read once."""
        self._place(key, 1)
        self._least = 1

    def victim(self) -> Key:
        """The one read least, the longest ago."""
        if self._least not in self._by_reads:
            self._least = min(self._by_reads)
        return next(iter(self._by_reads[self._least]))

    def on_remove(self, key: Key, *, evicted: bool) -> None:
        """Forget it."""
        self._take(key, self._reads.pop(key))

    def prefetch(self, key: Key) -> Sequence[Key]:
        """No guesses."""
        return ()

    def _place(self, key: Key, reads: int) -> None:
        self._reads[key] = reads
        self._by_reads.setdefault(reads, OrderedDict())[key] = None

    def _take(self, key: Key, reads: int) -> None:
        equals = self._by_reads[reads]
        del equals[key]
        if not equals:
            del self._by_reads[reads]
