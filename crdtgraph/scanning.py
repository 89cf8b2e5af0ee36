"""All records that a plane holds, segment by segment, with who wrote them; also in the order of their stamps.

Readers of a projection see what came of the records; this is for those who ask what was said, when and by whom: the
graph as of an earlier time, the history of a ref, the log of operations. Every record counts once: a segment that a
compaction superseded is left out, because its records are in the one that took its place.

A segment is unpacked when its turn comes (about 4 us a record) and then dropped again. In between the graph may grow,
which a scan does not notice. It may also join segments whose turn has not come; then a scan stops with `MovedError`,
and whoever scans begins again or goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol

from crdtgraph.canonical import decode
from crdtgraph.errors import LocalError
from crdtgraph.ids import CommitId, ReplicaId, SegmentKey, replica_id
from crdtgraph.planes import Plane
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.segment import Records, Segment, read_header, unpack
from crdtgraph.steps import Stepwise


class MovedError(LocalError):
    """A segment was joined with others while a scan was on its way to it."""


class RecordKind(IntEnum):
    """What a record is. Records of one stamp come in this order."""

    COMMIT = 0
    ASSIGN = 1
    COUNT = 2
    DISCARD = 3


class Batch:
    """The records of one segment, or of a part of one, or those that wait to be written into one.

    `segment` is the whole segment or None, `data` its bytes or empty. `lowest_seq` is the place in the writer's log
    where its earliest records were first written: its own, but for what a compaction joined.
    """

    __slots__ = (
        "assigns", "counts", "data", "discards", "ids", "key", "lowest_seq", "parents", "replica", "segment", "stamps",
        "times", "waiting",
    )  # fmt: skip

    def __init__(self, key: SegmentKey, replica: ReplicaId, records: Segment | Records, data: bytes = b"") -> None:
        self.key = key
        self.replica = replica
        self.data = data
        self.segment = records if isinstance(records, Segment) else None
        self.waiting = records if isinstance(records, Records) else None
        self.lowest_seq = key.seq
        self.ids: list[CommitId] = records.ids
        if isinstance(records, Segment):
            self.lowest_seq = min([key.seq, *(superseded.seq for superseded in records.supersedes)])
            self.parents, self.times = records.parents, records.times
        else:
            self.parents = [commit.parents for commit in records.commits]
            self.times = [commit.time for commit in records.commits]
        self.stamps = records.stamps
        self.assigns, self.counts, self.discards = records.assigns, records.counts, records.discards

    @property
    def name(self) -> bytes:
        """The SHA-256 of the segment's bytes; empty for what is in no segment yet."""
        return b"" if self.segment is None else self.segment.digest

    def __len__(self) -> int:
        return len(self.ids) + len(self.assigns) + len(self.counts) + len(self.discards)

    def commit(self, position: int) -> Commit:
        """The commit at a position in `ids`."""
        if self.segment is not None:
            return self.segment.commit(position)
        assert self.waiting is not None
        return self.waiting.commits[position]

    def all_stamps(self) -> list[int]:
        """The stamps of all records."""
        others: tuple[list[Assign] | list[Count] | list[Discard], ...] = (self.assigns, self.counts, self.discards)
        return [*self.stamps, *(record.stamp for records in others for record in records)]

    def records(self, number: int = 0) -> list[Said]:
        """All records, by stamp; `number` is what tells this batch from others of the same writer."""
        of = (self.stamps, *([record.stamp for record in each] for each in (self.assigns, self.counts, self.discards)))
        writer = self.key.writer
        return sorted(
            Said(stamp, writer, number, kind, position, self)
            for kind, stamps in zip(RecordKind, of, strict=True)
            for position, stamp in enumerate(stamps)
        )

    def first(self, count: int) -> Batch:
        """The batch itself, or if it has more records, a batch of the first `count` by stamp."""
        if count >= len(self):
            return self
        part = Records()
        for said in self.records()[:count]:
            match said.kind:
                case RecordKind.COMMIT:
                    part.ids.append(self.ids[said.position])
                    part.commits.append(self.commit(said.position))
                    part.stamps.append(said.stamp)
                case RecordKind.ASSIGN:
                    part.assigns.append(self.assigns[said.position])
                case RecordKind.COUNT:
                    part.counts.append(self.counts[said.position])
                case RecordKind.DISCARD:
                    part.discards.append(self.discards[said.position])
        batch = Batch(self.key, self.replica, part)
        batch.lowest_seq = self.lowest_seq
        return batch


class Said(NamedTuple):
    """One record: where it stands in the order of stamps, and where it is found."""

    stamp: int
    writer: int
    number: int
    kind: RecordKind
    position: int
    batch: Batch


class Handle(NamedTuple):
    """What a batch is loaded from: its bytes, or nothing if the document has them under the key. A batch is one itself.

    `is_beside` says that its key may be that of another segment, too.
    """

    key: SegmentKey
    held: bytes | Batch | None
    is_beside: bool = False


class Scan(Protocol):
    """The records of one plane, from where they are kept."""

    def handles(self) -> list[Handle]:
        """Every segment that counts, and what is not written yet. O(segments)."""
        ...

    def load(self, handle: Handle) -> Batch:
        """The records of one; MovedError if it is not there any more."""
        ...

    def replica(self, handle: Handle) -> ReplicaId:
        """Who wrote it, from its header alone; MovedError."""
        ...


class PlaneScan:
    """The records of a plane as it is."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane

    def handles(self) -> list[Handle]:
        """Every segment that counts, and what is not written yet. O(segments)."""
        plane, superseded = self._plane, self._plane.projection.superseded
        found = [Handle(key, None) for key in plane.document.segment_keys() if key not in superseded]
        # Written, but not fsynced and so not in the document yet.
        waiting = [(key, held.data) for key, held in plane.outgoing.unsynced.items() if key not in plane.document]
        found += [Handle(key, data) for key, data in waiting if key not in superseded]
        found += [Handle(key, data, True) for key, _, data in plane.beside.strays() if key not in superseded]
        return found + [Handle(batch.key, batch) for batch in unwritten(plane)]

    def load(self, handle: Handle) -> Batch:
        """The records of one; MovedError if it is not there any more."""
        return handle.held if isinstance(handle.held, Batch) else unpacked(self._bytes(handle))

    def replica(self, handle: Handle) -> ReplicaId:
        """Who wrote it, from its header alone; MovedError."""
        return handle.held.replica if isinstance(handle.held, Batch) else _replica(self._bytes(handle))

    def _bytes(self, handle: Handle) -> bytes:
        data = handle.held if isinstance(handle.held, bytes) else self._plane.document.get(handle.key)
        if data is None:
            raise MovedError(f"segment {handle.key.text} was joined with others meanwhile", hint="begin again")
        return data


def unwritten(plane: Plane) -> Iterator[Batch]:
    """What waits to be written, if anything does, as it is now, under the key that it is going to have."""
    if len(plane.buffer):
        records = Records()
        records.extend(plane.buffer.records)
        yield Batch(SegmentKey(plane.identity.writer, plane._seq), plane.identity.replica_id, records)


def unpacked(data: bytes) -> Batch:
    """A stored segment as a batch."""
    segment = unpack(data, check_signature=False)
    return Batch(segment.key, replica_id(segment.public_key), segment, data)


def _replica(data: bytes) -> ReplicaId:
    parts = decode(data)
    assert type(parts) is list
    return replica_id(read_header(parts[0]).public_key)


# In the order of stamps


class Span(NamedTuple):
    """The earliest and the latest stamp of a batch, and what it is loaded from."""

    earliest: int
    latest: int
    handle: Handle


def spans(scan: Scan) -> Stepwise[list[Span]]:
    """When the records of each batch were made, one batch a step."""
    found = []
    for handle in scan.handles():
        if stamps := scan.load(handle).all_stamps():
            found.append(Span(min(stamps), max(stamps), handle))
        yield
    return found


def oldest_first(scan: Scan, of: list[Span]) -> Iterator[Said]:
    """The records of these batches in the order of their stamps, then writers.

    As many batches are unpacked at a time as overlap, which are about as many as there were writers at work at once.
    """
    waiting = sorted(((span.earliest, number, span) for number, span in enumerate(of)), reverse=True)
    open_now: list[tuple[Said, Iterator[Said]]] = []
    while waiting or open_now:
        while waiting and (not open_now or waiting[-1][0] <= open_now[0][0].stamp):
            _, number, span = waiting.pop()
            _push(open_now, iter(scan.load(span.handle).records(number)))
        said, left = heappop(open_now)
        yield said
        _push(open_now, left)


def _push(heap: list[tuple[Said, Iterator[Said]]], records: Iterator[Said]) -> None:
    said = next(records, None)
    if said is not None:
        heappush(heap, (said, records))


def newest_first(scan: Scan, wanted: Callable[[Handle], bool] | None = None) -> Iterator[Said | None]:
    """All records (of the handles that are wanted), the latest stamps first; None after each step without a result.

    Reads little more than it gives: of each writer the last segment, and then one after the other as they are needed.
    """
    before: Said | None = None
    while True:
        try:
            for said in _newest_first(scan, wanted, before):
                before = said or before
                yield said
            return
        except MovedError:
            # Every record is still there, in other segments: on behind the last one given.
            yield None


def _newest_first(scan: Scan, wanted: Callable[[Handle], bool] | None, before: Said | None) -> Iterator[Said | None]:
    by_writer: dict[tuple[int, bytes], list[Handle]] = {}
    for handle in scan.handles():
        if wanted is None or wanted(handle):
            alone = handle.held if handle.is_beside and isinstance(handle.held, bytes) else b""
            by_writer.setdefault((handle.key.writer, alone), []).append(handle)
    heap: list[tuple[tuple[int, int], int, Said, Iterator[Said]]] = []

    def advance(number: int, records: Iterator[Said]) -> None:
        said = next(records, None)
        if said is not None:
            heappush(heap, ((-said.stamp, -said.writer), number, said, records))

    for number, of in enumerate(by_writer.values()):
        advance(number, _of_writer(scan, sorted(of, key=lambda handle: handle.key)))
        yield None
    while heap:
        _, number, said, records = heappop(heap)
        if before is None or (said.stamp, said.writer) < (before.stamp, before.writer):
            yield said
        advance(number, records)


def _of_writer(scan: Scan, handles: list[Handle]) -> Iterator[Said]:
    """The records of one writer's segments, given by key, the latest first.

    A writer's stamps rise from one place of its log to the next. So all records of the segments that are left are
    earlier than those of one whose records were all written at later places.
    """
    heap: list[tuple[int, int, Said]] = []
    bound: int | None = None
    while handles or heap:
        while handles and (not heap or bound is None or -heap[0][0] < bound):
            number = len(handles)
            batch = scan.load(handles.pop())
            heap += [(-said.stamp, -said.kind, said) for said in batch.records(number)]
            heapify(heap)
            if len(batch) and (not handles or batch.lowest_seq > handles[-1].key.seq):
                bound = min(batch.all_stamps())
        if heap:
            yield heappop(heap)[2]
