"""The half of a graph that peers talk to: state vectors, deltas, digests of segment sets.

No network here: a node in `sync` moves these values between replicas.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from crdtgraph.clock import HybridClock
from crdtgraph.errors import RemoteError
from crdtgraph.ids import ReplicaId, SegmentKey
from crdtgraph.limits import DELTA_BYTES_MAX
from crdtgraph.outgoing import Durable
from crdtgraph.planes import LEDGER, Plane
from crdtgraph.reader import Reader
from crdtgraph.segment import unpack

if TYPE_CHECKING:
    from crdtgraph.checkpoints.recovery import Recovery
    from crdtgraph.exchange import Delta, Received
    from crdtgraph.metering import Meter
    from crdtgraph.searches.plane import SearchPlane
    from crdtgraph.status import PlaneStatus, Status


class RemotePlaneError(RemoteError):
    """A peer speaks of a plane that this replica does not have."""


class Listener(NamedTuple):
    """Whom to tell of what became durable, and how to say that there will be something."""

    callback: Callable[[Delta], None]
    later: Callable[[], object] | None


class Replica(Reader):
    """A graph as its peers see it. Nothing of the ledger that is not durable here is ever shown to them."""

    replica_id: ReplicaId
    cluster: str
    meter: Meter | None = None
    """What is told how long things take; only a graph that was opened with one has it."""
    recovery: Recovery
    """How it came back when it was opened: whether the last stop was clean, what was folded."""
    _clock: HybridClock
    _planes: dict[str, Plane]

    def __init__(self) -> None:
        super().__init__({})
        self._searches: dict[str, SearchPlane] = {}
        self._listeners: list[Listener] = []
        self._buffer_listeners: list[Callable[[], object]] = []

    def planes(self) -> list[str]:
        """The names of the planes that peers may have: the ledger and the open searches, sorted."""
        return sorted([*self._planes, *self._searches])

    def stored_planes(self) -> list[str]:
        """The names of the planes that the store keeps, sorted."""
        return sorted(self._planes)

    def status(self) -> Status:
        """A summary of this replica. O(heads + refs)."""
        from crdtgraph.status import summarise

        return summarise(self._plane(LEDGER), self.cluster, self.recovery)

    def plane_status(self, plane: str) -> PlaneStatus:
        """How a plane is doing. O(heads)."""
        from crdtgraph.status import summarise_plane

        return summarise_plane(self._shared(plane))

    def state_vector(self, plane: str) -> Mapping[int, int]:
        """Writer -> next segment, for every writer that this replica holds durable segments of."""
        return self._shared(plane).document.state_vector

    def set_digest(self, plane: str) -> bytes:
        """32 bytes over the set of segments held; equal ones mean that there is nothing to exchange."""
        return self._shared(plane).set_digest()

    def is_flushed(self, plane: str) -> bool:
        """Whether its segments hold all that its digest covers, and peers may have them."""
        home = self._shared(plane)
        return not len(home.buffer) and not home.unsettled()

    def deltas(self, plane: str, state_vector: Mapping[int, int], bytes_max: int = DELTA_BYTES_MAX) -> Iterator[Delta]:
        """What a replica with that state vector lacks, in deltas without gaps; the last has `last` set.

        Exactly one empty delta when it lacks nothing. Each has about `bytes_max` bytes at most, or one segment.
        """
        from crdtgraph.exchange import deltas

        return deltas(self._shared(plane), state_vector, bytes_max)

    def receive(self, plane: str, update: bytes) -> Received:
        """Verify and apply a delta's update, all at once; see `receive_steps`."""
        steps = self.receive_steps(plane, update)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                received: Received = done.value
                return received

    def receive_steps(self, plane: str, update: bytes) -> Generator[None, None, Received]:
        """Verify and apply a delta's update in steps of at most about 6 ms; the generator returns `Received`.

        Raises RemoteGapError when it builds on segments that are not here, any other RemoteError when it is invalid,
        StoreError when the disk refuses. Segments before the offending one stay applied.
        """
        from crdtgraph.exchange import receive_steps

        home = self._shared(plane)
        received = yield from receive_steps(home, update)
        self._clock.witness(home.stamp_max)
        return received

    def on_durable(
        self, callback: Callable[[Delta], None], *, later: Callable[[], object] | None = None
    ) -> Callable[[], None]:
        """Have `callback` called with every segment of ours that became durable, ready to push; returns how to stop.

        It is called in the middle of a write: it must only take note. Whoever would rather not hold up a critical
        write gives `later`, which is called in its place there and has to see to it that `announce` is called soon.
        """
        for plane in self._planes.values():
            # Whoever asks for this has peers. The first of them need not wait for the document to be made.
            plane.document.prepare()
        listener = Listener(callback, later)
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def announce(self) -> None:
        """Tell whoever listens by `on_durable` of what became durable and was left for later."""
        for plane in self._planes.values():
            plane.outgoing.announce()

    def on_buffered(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have `callback` called when a record is buffered and none was before; returns how to stop.

        From then on `flush_due` says how long it may wait. Like that of `on_durable` it must only take note.
        """
        self._buffer_listeners.append(callback)
        return lambda: self._buffer_listeners.remove(callback)

    def segment_keys(self, plane: str) -> dict[str, bytes]:
        """Segment key -> 8 bytes over its content, to find where two sets differ that ought to be equal."""
        return self._shared(plane).segment_digests()

    def holes(self, plane: str) -> list[SegmentKey]:
        """Places whose segments were compacted before what supersedes them came, ascending.

        The state vector covers them and their records are not here; a peer that holds such a segment gives it by key.
        """
        return sorted(self._shared(plane).beside.holes)

    def segments_of(self, plane: str, key: str) -> list[bytes]:
        """The bytes held under a key; none when there are none."""
        try:
            return self._shared(plane).segment_bytes(SegmentKey.parse(key))
        except ValueError as failure:
            raise RemoteError(str(failure)) from None

    def adopt(self, plane: str, segments: list[bytes]) -> int:
        """Verify segments that an exchange could not bring and keep them beside the document; how many were new.

        This is for a clock that was used twice (a cloned process): both segments then count on all replicas.
        """
        home = self._shared(plane)
        unpacked = [(unpack(data), data) for data in segments]
        for segment, _ in unpacked:
            if segment.plane != plane:
                raise RemotePlaneError(f"a segment of plane {segment.plane!r} was offered for {plane!r}")
        return sum(home.adopt(segment, data) for segment, data in unpacked)

    def _plane(self, name: str) -> Plane:
        home = self._open_plane(name)
        if home is None:
            raise self._no_plane(name)
        return home

    def _open_plane(self, name: str) -> Plane | None:
        return self._planes.get(name) or self._searches.get(name)

    def _forget_plane(self, plane: str) -> None:
        for kept in (self._origins, self._origins_read, self._origins_sorted, self._ids_sorted):
            kept.pop(plane, None)

    def _announce(self, plane: Plane, durable: Durable) -> None:
        if self._listeners:
            from crdtgraph.exchange import make_delta

            delta = make_delta(plane.name, durable.update)
            for listener in list(self._listeners):
                listener.callback(delta)

    def _announce_later(self) -> bool:
        for listener in self._listeners:
            if listener.later is None:
                return False
            listener.later()
        return True

    def _note_buffered(self) -> None:
        for listener in list(self._buffer_listeners):
            listener()

    def _shared(self, name: str) -> Plane:
        home = self._open_plane(name)
        if home is None and self._planes:
            raise RemotePlaneError(f"there is no plane {name[:80]!r} here")
        return self._plane(name) if home is None else home
