"""Records that wait: a record that names a commit is applied only once that commit is visible.

A commit waits for a parent, an assignment of a ref for its target, a count and a discard for their commit. While a
record waits it is no part of the digest and what it supersedes stays live; it is counted and listed with what it waits
for. A commit with several missing parents waits for them one after the other, so every waiting record stands in exactly
one list.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import NamedTuple

from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.records import Assign, Count, Discard


class PendingCommit(NamedTuple):
    """What is known of a commit whose parents are not all visible. `location` is where its content lies."""

    id: CommitId
    parents: tuple[CommitId, ...]
    time: int
    location: int


class PendingCount(NamedTuple):
    """A count and the segment it came in: should that be superseded, the count is dropped with it."""

    record: Count
    segment: SegmentKey


WaitingRecord = PendingCommit | Assign | PendingCount | Discard


class Pending:
    """Waiting records by the commit that they wait for (`by_missing`, which only this class changes)."""

    __slots__ = ("_commits", "_counts", "by_missing")

    def __init__(self) -> None:
        # Records by name, so that one that comes again (as in a compaction) waits once. Two equal counts are two.
        self.by_missing: dict[CommitId, dict[object, WaitingRecord]] = {}
        self._commits: dict[CommitId, CommitId] = {}
        self._counts = 0

    def __len__(self) -> int:
        return sum(map(len, self.by_missing.values()))

    def __bool__(self) -> bool:
        return bool(self.by_missing)

    def __iter__(self) -> Iterator[tuple[WaitingRecord, CommitId]]:
        """Every waiting record with what it waits for, ordered by the latter."""
        for missing in sorted(self.by_missing):
            for record in self.by_missing[missing].values():
                yield record, missing

    def waiting(self) -> Iterator[tuple[WaitingRecord, CommitId]]:
        """The same in the order in which they came to wait, without sorting."""
        for missing, records in self.by_missing.items():
            for record in records.values():
                yield record, missing

    def holds(self, commit: CommitId) -> bool:
        """Whether a commit of this id waits."""
        return commit in self._commits

    def wait(self, missing: CommitId, record: WaitingRecord) -> None:
        """Let `record` wait for `missing`; a commit that waits already takes the new location and keeps its list."""
        name: object = record
        if isinstance(record, PendingCommit):
            name = record.id
            missing = self._commits.setdefault(record.id, missing)
        elif isinstance(record, PendingCount):
            self._counts += 1
            name = self._counts
        self.by_missing.setdefault(missing, {})[name] = record

    def release(self, arrived: CommitId) -> list[WaitingRecord]:
        """Take out what waited for a commit that is visible now."""
        records = list(self.by_missing.pop(arrived, {}).values())
        for record in records:
            if isinstance(record, PendingCommit):
                del self._commits[record.id]
        return records

    def forget(self, record: CommitId | Discard | Assign) -> None:
        """Let a commit, named by its id, a discard or an assignment of a ref wait no more. O(1)."""
        if isinstance(record, Discard):
            missing: CommitId | None = record.commit
        elif isinstance(record, Assign):
            missing = CommitId(record.value or b"")
        else:
            missing = self._commits.pop(record, None)
        records = self.by_missing.get(missing) if missing is not None else None
        if missing is not None and records is not None:
            records.pop(record, None)
            if not records:
                self._drop(missing)

    def drop_counts_of(self, segments: Container[SegmentKey]) -> None:
        """Forget the counts of segments that were superseded. O(waiting records)."""
        for missing, records in list(self.by_missing.items()):
            dead = [
                name for name, each in records.items() if isinstance(each, PendingCount) and each.segment in segments
            ]
            for name in dead:
                del records[name]
            if not records:
                self._drop(missing)

    def drop_counts(self, segment: SegmentKey) -> None:
        """Forget the counts of a segment that was superseded. O(waiting records)."""
        self.drop_counts_of((segment,))

    def _drop(self, missing: CommitId) -> None:
        """Nothing waits for this commit any more, although it did not come."""
        del self.by_missing[missing]
