"""All records that a plane holds, segment by segment, with who wrote them; also in the order of their stamps.

Readers of a projection see what came of the records; this is for those who ask what was said, when and by whom: the
graph as of an earlier time, the history of a ref, the log of operations. Every record counts once: a segment that a
compaction superseded is left out, because its records are in the one that took its place.

A segment is unpacked when its turn comes (about 4 us a record) and then dropped again. Between two steps of a scan the
graph may grow, which a scan does not notice, and small segments may be joined, so those are kept as bytes meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from heapq import heappop, heappush
from typing import NamedTuple

from crdtgraph.ids import CommitId, ReplicaId, SegmentKey, replica_id
from crdtgraph.planes import Plane
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.segment import PAYLOAD_BYTES_MAX, RECORDS_MAX, Records, Segment, unpack
from crdtgraph.steps import Stepwise


class RecordKind(IntEnum):
    """What a record is. Records of one stamp come in this order."""

    COMMIT = 0
    ASSIGN = 1
    COUNT = 2
    DISCARD = 3


class Batch:
    """The records of one segment, or those that wait to be written into one (then `segment` is None)."""

    __slots__ = (
        "assigns", "counts", "data", "discards", "ids", "key", "parents", "replica", "segment", "stamps",
        "times", "waiting",
    )  # fmt: skip

    def __init__(self, key: SegmentKey, replica: ReplicaId, records: Segment | Records, data: bytes = b"") -> None:
        self.key = key
        self.replica = replica
        self.data = data
        self.segment = records if isinstance(records, Segment) else None
        self.waiting = records if isinstance(records, Records) else None
        self.ids: list[CommitId] = records.ids
        if isinstance(records, Segment):
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


class Said(NamedTuple):
    """One record: where it stands in the order of stamps, and where it is found."""

    stamp: int
    writer: int
    number: int
    kind: RecordKind
    position: int
    batch: Batch


@dataclass(frozen=True, slots=True)
class Span:
    """The earliest and the latest stamp of a segment, and what it is loaded from when its turn comes."""

    earliest: int
    latest: int
    held: SegmentKey | bytes | Batch


def batches(plane: Plane) -> Iterator[Batch]:
    """Every segment that counts, by key, and what is not written yet. Each is unpacked at its step."""
    superseded = plane.projection.superseded
    for key in plane.document.segment_keys():
        data = None if key in superseded else plane.document.get(key)
        if data is not None:
            yield unpacked(data)
    # Written, but not fsynced and so not in the document yet.
    for key, (_, data) in list(plane._unsynced.items()):
        if key not in superseded and key not in plane.document:
            yield unpacked(data)
    for segment_key, _, data in list(plane.beside.strays()):
        if segment_key not in superseded:
            yield unpacked(data)
    yield from unwritten(plane)


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


def spans(plane: Plane) -> Stepwise[list[Span]]:
    """When the records of each segment were made, one segment a step."""
    found = []
    for batch in batches(plane):
        if stamps := batch.all_stamps():
            found.append(Span(min(stamps), max(stamps), _lasting(plane, batch)))
        yield
    return found


def by_stamp(plane: Plane, of: Iterable[Span], *, newest_first: bool = False) -> Iterator[Said]:
    """The records of these segments in the order of their stamps, then writers.

    As many segments are unpacked at a time as overlap, which are about as many as there were writers at work at once.
    """
    sign = -1 if newest_first else 1
    waiting = sorted(
        ((sign * (each.latest if newest_first else each.earliest), number, each) for number, each in enumerate(of)),
        key=lambda entry: entry[:2],
        reverse=True,
    )
    open_now: list[tuple[tuple[int, ...], Said, Iterator[Said]]] = []

    def advance(records: Iterator[Said]) -> None:
        said = next(records, None)
        if said is not None:
            heappush(open_now, (tuple(sign * place for place in said[:5]), said, records))

    while waiting or open_now:
        while waiting and (not open_now or waiting[-1][0] <= open_now[0][0][0]):
            _, number, span = waiting.pop()
            records = _load(plane, span).records(number)
            advance(iter(reversed(records) if newest_first else records))
        _, said, records_left = heappop(open_now)
        yield said
        advance(records_left)


def _load(plane: Plane, span: Span) -> Batch:
    if isinstance(span.held, Batch):
        return span.held
    return unpacked(span.held if isinstance(span.held, bytes) else plane.segment_bytes(span.held)[0])


def _lasting(plane: Plane, batch: Batch) -> SegmentKey | bytes | Batch:
    """What gives these very records later, too."""
    if batch.waiting is not None:
        return batch
    # A compaction joins small segments only; any other one keeps its place.
    is_small = len(batch) * 2 <= RECORDS_MAX and len(batch.data) * 2 <= PAYLOAD_BYTES_MAX
    is_alone = batch.key in plane.document and not plane.beside.under(batch.key)
    return batch.key if is_alone and not is_small else batch.data
