"""Records on their way into a segment, and when they must go.

What has `NORMAL` durability (see durability.py) is written within 100 ms or 256 records. Written means that it survives
the death of this process at once, and that of the machine after the next fsync, which a running node does ten times a
second. The buffer is bounded by a segment's limits; when it is full, it is written first, by the call that finds it so.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import add

from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.ids import CommitId
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.segment import PAYLOAD_BYTES_MAX, RECORD_OVERHEAD_BYTES, RECORDS_MAX, Records

FLUSH_AFTER_US = 100_000
FLUSH_RECORDS = 256
"""Packing a batch holds up the one call that fills it: 256 records take about 0.5 ms, 1,000 would take 2 ms."""


LINK_BYTES = 3
INTEGER_BYTES = 9
DOT_BYTES = 1 + 2 * INTEGER_BYTES
"""The most that CBOR needs for a parent link within a segment, for a 64-bit integer and for a pair of them."""


class Buffer:
    """Records of this writer that are in no segment yet.

    `start` is the location of its first commit; `on_first` is called when the first record is in it, whose stamp is
    `first_stamp`.
    """

    __slots__ = ("_count", "_on_first", "_places", "bytes", "first_stamp", "records", "since_us", "start")

    def __init__(self, records: Records, start: int, on_first: Callable[[], object]) -> None:
        self.records = records
        self.start = start
        self._on_first = on_first
        self._places: dict[CommitId, int] = {}
        # The length of `records`, for whom four lists are added up: every commit asks.
        self._count = 0
        self.bytes = 0
        self.since_us = self.first_stamp = 0

    def __len__(self) -> int:
        return self._count

    def has_room(self, records: int, canonical_bytes: int, records_max: int = RECORDS_MAX) -> bool:
        """Whether so many more records with so many canonical bytes in all still fit into one segment."""
        count = self._count
        if count == 0:
            return True
        size = self.bytes + canonical_bytes + records * RECORD_OVERHEAD_BYTES
        return count + records <= records_max and size <= PAYLOAD_BYTES_MAX

    def grow(self, records: int, canonical_bytes: int, now_us: int) -> None:
        """Note that records were added."""
        if self.bytes == 0:
            self.since_us = self.first_stamp = now_us
            self._on_first()
        self._count += records
        self.bytes += canonical_bytes + records * RECORD_OVERHEAD_BYTES

    def mark(self) -> tuple[tuple[int, ...], int]:
        """How it is now, for `undo`."""
        return self.records.lengths(), self.bytes

    def undo(self, mark: tuple[tuple[int, ...], int]) -> None:
        """Take back what was added since that mark."""
        lengths, self.bytes = mark
        self.records.truncate(lengths)
        self._count = len(self.records)

    def append_count(self, count: Count) -> None:
        """Add a count that later ones of the same commit may be added up with; `grow` is to be called as well."""
        self._places[count.commit] = len(self.records.counts)
        self.records.counts.append(count)

    def add_up(self, count: Count) -> bool:
        """Add a count to the record that the buffer has of its commit; False if it needs a record of its own.

        It does when there is none yet, when its vector is longer, and when a sum would not fit into 64 bits.
        """
        place = self._places.get(count.commit, -1)
        counts = self.records.counts
        # What an undo has cut off again is not there any more.
        if not 0 <= place < len(counts) or counts[place].commit != count.commit:
            return False
        before, more = counts[place].vector, count.vector
        if len(more) != len(before):
            if len(more) > len(before):
                return False
            more += (0,) * (len(before) - len(more))
        total = tuple(map(add, before, more))
        if min(total) < INT64_MIN or max(total) > INT64_MAX:
            return False
        counts[place] = Count(count.commit, total, count.stamp)
        return True

    def is_due(self, now_us: int) -> bool:
        """Whether what it holds has waited long enough."""
        return self.bytes > 0 and now_us - self.since_us >= FLUSH_AFTER_US


def commit_size(commit: Commit, canonical_bytes: int) -> int:
    """How much a commit takes in a payload at most, `RECORD_OVERHEAD_BYTES` aside: each further parent has a link."""
    return canonical_bytes + LINK_BYTES * len(commit.parents)


def record_size(record: Assign | Count | Discard) -> int:
    """How much any other record takes in a payload at most, `RECORD_OVERHEAD_BYTES` aside."""
    if isinstance(record, Assign):
        names = len(record.namespace.encode()) + len(record.key.encode())
        return 64 + names + len(record.value or b"") + DOT_BYTES * len(record.supersedes)
    return count_size(record) if isinstance(record, Count) else 64


def count_size(count: Count) -> int:
    """The same of a count."""
    return 64 + INTEGER_BYTES * len(count.vector)


def fits(records: int, size: int) -> bool:
    """Whether so many records, at most so many bytes before compression, make one segment."""
    return records <= RECORDS_MAX and size <= PAYLOAD_BYTES_MAX
