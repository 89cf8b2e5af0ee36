"""The graph as of an earlier time, or as of the version that had a digest.

Records carry stamps and no record is ever dropped, so the fold of those that were stamped until a time *is* the graph
as of then: a view to read from, as good as the graph itself. The fold asks for no order, so a time costs one pass over
the segments. A digest is the name of a version, not of a time; to find it, the records are folded one by one, in the
order of their stamps and then in the order in which they came here, until one of the projections has it.

Everything here is O(all records), about 5 us each for a time and 10 us for a digest, and nothing is done in steps: a
node should not do it, a command that has opened the store itself may.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice

from crdtgraph.canonical import INT64_MAX
from crdtgraph.contents import Contents
from crdtgraph.errors import AmbiguousError, NotFoundError
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId, ReplicaId, SegmentKey
from crdtgraph.log import PlaneLog
from crdtgraph.moments import FORMS, moment_text, parse_moment
from crdtgraph.planes import LEDGER, Plane
from crdtgraph.projection import Projection
from crdtgraph.reader import CANDIDATES_SHOWN, Reader
from crdtgraph.records import Commit
from crdtgraph.scanning import (
    Batch,
    Handle,
    PlaneScan,
    RecordKind,
    Said,
    Scan,
    oldest_first,
    spans,
    unpacked,
    unwritten,
)
from crdtgraph.segment import Segment
from crdtgraph.status import Status
from crdtgraph.steps import run
from crdtgraph.update import decode_update

DIGEST_DIGITS_MIN = 8
DIGEST_DIGITS = 64

_DIGEST = re.compile(f"[0-9a-f]{{{DIGEST_DIGITS_MIN},{DIGEST_DIGITS}}}")


class AsOf(Reader):
    """The ledger of a graph as of a time: everything that `Reader` answers. It stays as it is, whatever the graph does.

    `at_us` is that time in microseconds since the epoch; for a version that was found by its digest it is the stamp of
    the last record in it. `records` counts the records that are in it.
    """

    def __init__(self, graph: Graph, past: _Past, at_us: int) -> None:
        super().__init__({LEDGER: past})
        self.cluster = graph.cluster
        self.replica_id = graph.replica_id
        self.at_us = at_us
        self.records = past.records
        self._past = past
        self._status = graph.status()

    def now_us(self) -> int:
        """The time that it is in this view: `at_us`."""
        return self.at_us

    def scan(self) -> Scan:
        """All records that are in it."""
        return self._past

    def status(self) -> Status:
        """The status of the graph as of then; what was buffered then nobody knows. O(heads + refs)."""
        projection = self._plane(LEDGER).projection
        return replace(
            self._status,
            commits=len(projection),
            live=projection.live_count(),
            pending=len(projection.pending),
            heads=len(projection.dag.heads()),
            refs=len(projection.refs),
            conflicted_refs=sum(ref.conflicted for ref in projection.refs.values()),
            segments=len(self._past.handles()),
            holes=0,
            buffered=0,
            digest=projection.digest().hex(),
        )


def as_of(graph: Graph, at: str) -> AsOf:
    """The graph as of a time (`crdtgraph.moments` has the forms) or of a digest, whole or its first 8 digits.

    Raises:
        LocalError: the text is neither.
        NotFoundError: there was no record yet at that time, or no version with that digest.
        AmbiguousError: versions of several digests begin so.
    """
    text = at.strip()
    if _DIGEST.fullmatch(text):
        return as_of_digest(graph, text)
    # "now" is the graph itself, whatever the clocks of other replicas say.
    return as_of_time(graph, INT64_MAX if text == "now" else parse_moment(text, graph.now_us()))


def as_of_time(graph: Graph, at_us: int) -> AsOf:
    """The fold of all records that were stamped until that time; NotFoundError when there are none."""
    scan = PlaneScan(graph._plane(LEDGER))
    past = _Past()
    first = None
    for handle in scan.handles():
        batch = scan.load(handle)
        stamps = batch.all_stamps()
        first = min(stamps) if first is None else min(first, *stamps)
        if max(stamps) <= at_us:
            past.add_all(batch)
        elif min(stamps) <= at_us:
            for said in batch.records():
                if said.stamp <= at_us:
                    past.add(said)
    if first is None:
        raise NotFoundError("the graph has no records yet", hint="its first commit is the first version")
    if not past.records:
        raise NotFoundError(
            f"at {moment_text(at_us)} the graph had no records yet: the first record is of {moment_text(first)}",
            hint=f"ask for a later time; {FORMS}",
        )
    return AsOf(graph, past, min(at_us, max(graph.now_us(), past.latest)))


def as_of_digest(graph: Graph, digits: str) -> AsOf:
    """The version whose digest begins with these hex digits, if the graph had it after one of its records."""
    if graph.digest().hex().startswith(digits):
        return as_of_time(graph, INT64_MAX)
    plane = graph._plane(LEDGER)
    past = _by_stamps(plane, digits) or _by_arrival(plane, digits)
    if past is None and Projection().digest().hex().startswith(digits):
        raise NotFoundError(f"{digits} is the digest of a graph without records", hint="the first version has one")
    if past is None:
        raise NotFoundError(
            f"no version of the graph has a digest that begins with {digits}",
            hint="a version is found if it is all that had been said until some record, in the order of the records' "
            "stamps or in that in which they came to this replica; a time is always found",
        )
    return AsOf(graph, past, past.latest)


def _by_stamps(plane: Plane, digits: str) -> _Past | None:
    """The version after some record in the order of stamps."""
    scan = PlaneScan(plane)
    of = run(spans(scan))
    past = _Past()
    found: dict[bytes, tuple[int, int]] = {}
    for said in oldest_first(scan, of):
        past.add(said)
        digest = past.projection.digest()
        if digest.hex().startswith(digits):
            if len(digits) == DIGEST_DIGITS:
                return past
            found.setdefault(digest, (past.records, said.stamp))
    if len(found) > 1:
        lines = [f"{digest.hex()[:32]} at {moment_text(stamp)}" for digest, (_, stamp) in found.items()]
        raise AmbiguousError(
            f"the digests of {len(found)} versions begin with {digits}",
            hint="give more digits; candidates:\n  " + "\n  ".join(lines[:CANDIDATES_SHOWN]),
        )
    if not found:
        return None
    [(records, _)] = found.values()
    past = _Past()
    for said in islice(oldest_first(scan, of), records):
        past.add(said)
    return past


def _by_arrival(plane: Plane, digits: str) -> _Past | None:
    """The version after some record in the order in which they came here, as far as the store still knows it."""
    past = _Past()
    folded: dict[SegmentKey, list[Segment]] = {}
    seen: set[bytes] = set()
    for batch in _arrivals(plane):
        if batch.name in seen or batch.key in past.projection.superseded:
            continue
        seen.add(batch.name)
        if batch.segment is not None and batch.segment.supersedes:
            past.add_all(batch, lambda key: folded.get(key, []))
        else:
            for said in batch.records():
                past.add(said)
                if past.projection.digest().hex().startswith(digits):
                    return past
            past.projection.folded_own(batch.key, batch.name)
        if batch.segment is not None:
            folded.setdefault(batch.key, []).append(batch.segment)
        if past.projection.digest().hex().startswith(digits):
            return past
    return None


def _arrivals(plane: Plane) -> Iterator[Batch]:
    """Segments in the order of the store's log. Where a snapshot took the place of older entries, by writer."""
    for _, value in PlaneLog(plane.store, plane.name).entries():
        for item in decode_update(value).items:
            if item.value is not None:
                yield unpacked(item.value)
    for _, _, data in plane.beside.strays():
        yield unpacked(data)
    yield from unwritten(plane)


class _Past:
    """A projection in the making, with the segments (or the first records of them) that it is made of."""

    name = LEDGER

    def __init__(self) -> None:
        self.projection = Projection()
        self.contents = Contents(self._no_segment)
        self.records = 0
        self.latest = 0
        self._starts: dict[bytes, int] = {}
        self._handles: dict[bytes, Handle] = {}
        self._counts: dict[bytes, int] = {}

    def handles(self) -> list[Handle]:
        """Every segment that counts."""
        return [handle for handle in self._handles.values() if handle.key not in self.projection.superseded]

    def load(self, handle: Handle) -> Batch:
        """Those of its records that are in this projection."""
        batch = handle.held if isinstance(handle.held, Batch) else unpacked(handle.held or b"")
        return batch.first(self._counts[batch.name])

    def replica(self, handle: Handle) -> ReplicaId:
        """Who wrote it."""
        return self.load(handle).replica

    def commit(self, commit_id: CommitId) -> Commit:
        """The content of a visible commit."""
        return self.contents.get(self.projection.locations[self.projection.nodes[commit_id]])

    def add_all(self, batch: Batch, load: Callable[[SegmentKey], list[Segment]] | None = None) -> None:
        """Fold a whole segment. `load` gives what was folded of a key that it supersedes."""
        if batch.segment is None:
            for said in batch.records():
                self.add(said)
            return
        self.projection.fold(batch.segment, self._start(batch), load or self._not_folded)
        self._counts[batch.name] = len(batch)
        self.records += len(batch)
        self.latest = max(self.latest, *batch.all_stamps())

    def add(self, said: Said) -> None:
        """Fold one record."""
        batch, position, projection = said.batch, said.position, self.projection
        start = self._start(batch)
        match said.kind:
            case RecordKind.COMMIT:
                location = start + position
                projection.add_commit(batch.ids[position], batch.parents[position], batch.times[position], location)
            case RecordKind.ASSIGN:
                projection.add_assign(batch.assigns[position])
            case RecordKind.COUNT:
                projection.add_count(batch.counts[position], batch.key)
            case RecordKind.DISCARD:
                projection.add_discard(batch.discards[position])
        self._counts[batch.name] += 1
        self.records += 1
        self.latest = max(self.latest, said.stamp)

    def _start(self, batch: Batch) -> int:
        """The location of the first commit of a batch, whose bytes are kept from then on."""
        start = self._starts.get(batch.name)
        if start is None:
            waiting = batch.waiting
            start = self.contents.register(batch.data) if waiting is None else self.contents.start(waiting)
            self._starts[batch.name] = start
            self._counts[batch.name] = 0
            self._handles[batch.name] = Handle(batch.key, batch if waiting is not None else batch.data, is_beside=True)
        return start

    @staticmethod
    def _no_segment(key: SegmentKey) -> Segment:
        raise AssertionError(f"segment {key.text} is held by its bytes")

    @staticmethod
    def _not_folded(key: SegmentKey) -> list[Segment]:
        raise AssertionError(f"segment {key.text} was folded although it is superseded")
