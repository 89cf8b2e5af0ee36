"""Compactions of searches that are under way: segments that count together or not at all.

What a writer has counted is in many segments, and a hot commit in each of them. Adding all of it up makes a batch of
segments, the *parts*, which go to peers one by one. To be safe from a crash between two of them, the batch takes effect
when all its parts are there: then its counts count, and what it supersedes does not any more. A batch whose last part
never comes changes nothing. Commits, discards and assignments of a part hold at once, as saying them twice is
saying them once.

Each part names its share of the superseded segments, so that a receiver can take them back step by step; the difference
is added up beside the counters. It is nothing for nearly all commits, and applied at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator
from operator import add, sub

from crdtgraph.ids import CommitId, Dot, SegmentKey
from crdtgraph.records import Assign, Count
from crdtgraph.searches.runs import KeyRuns
from crdtgraph.segment import Part, Segment

BatchName = tuple[int, int, int]
"""Writer, seq of the first part, number of parts."""


def batch_name(key: SegmentKey, part: Part) -> BatchName:
    """The batch that a segment is a part of."""
    return key.writer, part.start, part.total


class Batch:
    """The parts of one compaction that are here, and what becomes of the counters when the rest comes."""

    __slots__ = (
        "_difference",
        "_said",
        "_taken",
        "added",
        "covered",
        "numbers",
        "parts",
        "runs",
        "total",
        "waiting",
        "writer",
    )

    def __init__(self, name: BatchName) -> None:
        self.writer, _, self.total = name
        self.numbers: set[int] = set()
        self.parts: list[SegmentKey] = []
        self.runs: list[tuple[int, int]] = []
        self.covered = KeyRuns()
        self.added: list[tuple[Count, SegmentKey]] = []
        self.waiting: list[tuple[Count, SegmentKey]] = []
        """Those whose commit was not visible when they came."""
        self._taken: dict[Dot, Assign] = {}
        self._said: set[Dot] = set()
        self._difference: dict[CommitId, tuple[int, ...]] = {}

    @property
    def is_whole(self) -> bool:
        """Whether all parts are here."""
        return len(self.numbers) == self.total

    def covers(self, key: SegmentKey) -> bool:
        """Whether the parts that are here supersede a segment. O(log runs)."""
        return key in self.covered

    def note_part(self, segment: Segment, part: Part, visible: Container[CommitId]) -> None:
        """A part has come; what it supersedes is to be given to `take_back`, in so far as it was folded."""
        self.numbers.add(part.number)
        self.parts.append(segment.key)
        self.runs += part.runs
        for first, length in part.runs:
            self.covered.add_run(self.writer, first, length)
        for count in segment.counts:
            self.added.append((count, segment.key))
            if count.commit not in visible and any(count.vector):
                self.waiting.append((count, segment.key))
            self._add(count, add)
        self._said.update(assign.dot for assign in segment.assigns)

    def take_back(self, segment: Segment, *, with_counts: bool) -> None:
        """A segment that this batch supersedes was folded. Counts of a part hold only if its own batch is whole."""
        for count in segment.counts if with_counts else ():
            self._add(count, sub)
        for assign in segment.assigns:
            self._taken[assign.dot] = assign

    def give_back(self, segment: Segment) -> None:
        """Another batch is whole that supersedes a segment which was taken back here."""
        for count in segment.counts:
            self._add(count, add)

    def take_back_counts(self, counts: Iterable[tuple[Count, SegmentKey]]) -> None:
        """Another batch is whole, and these counts hold now; of some of its parts this one supersedes."""
        for count, key in counts:
            if self.covers(key):
                self._add(count, sub)

    def differences(self) -> Iterator[tuple[CommitId, tuple[int, ...]]]:
        """What the batch changes, by commit; few after a compaction of what is all here."""
        yield from self._difference.items()

    def dropped(self) -> list[Assign]:
        """Assignments of superseded segments that no part has again."""
        return [assign for dot, assign in self._taken.items() if dot not in self._said]

    def _add(self, count: Count, operation: Callable[[int, int], int]) -> None:
        before, vector = self._difference.get(count.commit, ()), count.vector
        if len(before) != len(vector):
            width = max(len(before), len(vector))
            before, vector = before + (0,) * (width - len(before)), vector + (0,) * (width - len(vector))
        after = tuple(map(operation, before, vector))
        if any(after):
            self._difference[count.commit] = after
        else:
            self._difference.pop(count.commit, None)
