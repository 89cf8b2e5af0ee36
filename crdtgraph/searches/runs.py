"""Superseded segments of a search, as runs: there are as many as flushes, and a set of them would grow for ever.

A writer's compactions supersede nearly all that it ever wrote, so what a writer has superseded is a few runs of
numbers, about as many as it has segments that are still in use.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from crdtgraph.growing import GrowingSet
from crdtgraph.ids import SegmentKey


class KeyRuns(GrowingSet[SegmentKey]):
    """A set of segment keys that only grows; O(log runs) to ask. It has no `order`, and its items cost O(their number).

    For each writer the first numbers of its runs, ascending, and the numbers after the last ones.
    """

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        super().__init__()
        self._starts: dict[int, list[int]] = {}
        self._ends: dict[int, list[int]] = {}

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, SegmentKey):
            return False
        starts = self._starts.get(key.writer)
        if starts is None:
            return False
        place = bisect_right(starts, key.seq) - 1
        return place >= 0 and key.seq < self._ends[key.writer][place]

    def __len__(self) -> int:
        return sum(end - start for writer in self._starts for start, end in self._runs(writer))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __iter__(self) -> Iterator[SegmentKey]:
        for writer in sorted(self._starts):
            for start, end in self._runs(writer):
                yield from (SegmentKey(writer, seq) for seq in range(start, end))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyRuns) and self._starts == other._starts and self._ends == other._ends

    __hash__ = None  # type: ignore[assignment]

    def add(self, item: SegmentKey, /) -> None:
        """Add one key."""
        self.add_run(item.writer, item.seq, 1)

    def update(self, *others: Iterable[SegmentKey]) -> None:
        """Add all of these."""
        for items in others:
            for item in items:
                self.add(item)

    def add_run(self, writer: int, first: int, length: int) -> None:
        """Add the keys of a writer from number `first` on. O(runs of that writer)."""
        starts, ends = self._starts.setdefault(writer, []), self._ends.setdefault(writer, [])
        end = first + length
        # Those that touch or overlap it become one with it.
        low = bisect_right(ends, first - 1)
        high = bisect_right(starts, end)
        if low < high:
            first, end = min(first, starts[low]), max(end, ends[high - 1])
        starts[low:high], ends[low:high] = [first], [end]

    def _runs(self, writer: int) -> Iterator[tuple[int, int]]:
        return zip(self._starts[writer], self._ends[writer], strict=True)
