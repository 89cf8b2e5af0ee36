"""What sync needs of a graph, and nothing more, so that the protocol can be read and tested without one.

`crdtgraph.Graph` satisfies these protocols as it is. Deltas and results are read-only here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from crdtgraph.checkpoints.recovery import Recovery
from crdtgraph.exchange import Delta
from crdtgraph.host import Host
from crdtgraph.ids import ReplicaId, SegmentKey
from crdtgraph.objects import Collected, ObjectStore
from crdtgraph.refs import Refs
from crdtgraph.searches.searching import Hearing, SearchStatus
from crdtgraph.status import PlaneStatus, Status
from crdtgraph.store import Store

if TYPE_CHECKING:
    from crdtgraph.metering import Meter
    from crdtgraph.reader import Waiting


class DeltaLike(Protocol):
    """Segments of one plane as a Yjs update; see `crdtgraph.exchange.Delta`."""

    @property
    def plane(self) -> str:
        """The plane's name."""

    @property
    def base(self) -> Mapping[int, int]:
        """Writer -> its first clock in the update."""

    @property
    def update(self) -> bytes:
        """The update."""

    @property
    def last(self) -> bool:
        """Whether it ends a diff."""


class ReceivedLike(Protocol):
    """What an update brought; see `crdtgraph.exchange.Received`."""

    @property
    def segments(self) -> Sequence[SegmentKey]:
        """The keys of segments that are new here."""

    @property
    def delta(self) -> DeltaLike | None:
        """The news alone, for other peers; None if there were none."""


class Replica(Protocol):
    """The part of a graph that reconciliation reads and feeds."""

    @property
    def replica_id(self) -> ReplicaId:
        """Who we are."""

    @property
    def cluster(self) -> str:
        """Only replicas of one cluster exchange anything."""

    def planes(self) -> Sequence[str]:
        """The planes that are kept here."""

    def digest(self, *, plane: str) -> bytes:
        """32 bytes over the projection."""

    def set_digest(self, plane: str) -> bytes:
        """32 bytes over the set of segments."""

    def state_vector(self, plane: str) -> Mapping[int, int]:
        """Writer -> next clock; covers only what a crash here cannot take back."""

    def is_flushed(self, plane: str) -> bool:
        """Whether the segments of a plane hold all there is, and may be shown."""

    def hear_of(self, plane: str) -> Hearing:
        """A peer has a plane of this name: keep it here as well, if it is a search that is not over."""

    def deltas(self, plane: str, state_vector: Mapping[int, int], bytes_max: int) -> Iterator[DeltaLike]:
        """What a replica with that state vector lacks, in order and cut to size; the last of them says so."""

    def receive_steps(self, plane: str, update: bytes) -> Generator[None, None, ReceivedLike]:
        """Verify and apply an update, a few milliseconds of work a step."""

    def segment_keys(self, plane: str) -> Mapping[str, bytes]:
        """Key -> first 8 bytes of the SHA-256 of what is held under it."""

    def holes(self, plane: str) -> Sequence[SegmentKey]:
        """Places that the state vector covers and whose records are not here, ascending."""

    def segments_of(self, plane: str, key: str) -> Sequence[bytes]:
        """Everything held under a key."""

    def adopt(self, plane: str, segments: list[bytes]) -> int:
        """Verify segments and keep those that the document cannot carry; how many were new."""


class LocalReplica(Replica, Protocol):
    """The part of a graph that a running node looks after as well."""

    @property
    def host(self) -> Host:
        """Where randomness comes from."""

    @property
    def url(self) -> str:
        """What opens it."""

    @property
    def read_only(self) -> bool:
        """Whether it refuses to write."""

    @property
    def store(self) -> Store:
        """The store below."""

    def stored_planes(self) -> Sequence[str]:
        """The planes that the store keeps."""

    @property
    def objects(self) -> ObjectStore:
        """Its large values."""

    def collect_steps(self) -> Generator[None, None, Collected]:
        """Remove large values that no live commit names, some milliseconds a step."""

    def look_for_objects_steps(self) -> Iterator[None]:
        """Look through all commits for large values that are not here, some milliseconds a step."""

    @property
    def writer(self) -> int:
        """The incarnation under which it writes."""

    @property
    def refs(self) -> Refs:
        """The refs."""

    @property
    def meter(self) -> Meter | None:
        """What is told how long things take in it, if anything is."""

    def pending(self) -> Sequence[Waiting]:
        """Records of the ledger that wait for a commit that is not here."""

    def flush_due(self) -> float | None:
        """Seconds until buffered records have to be flushed; None when the ledger's segments hold all there is."""

    def searches(self) -> Sequence[str]:
        """The searches that are open here."""

    def closed_searches(self) -> Collection[str]:
        """The searches that the ledger remembers as closed."""

    def search_status(self, name: str) -> SearchStatus:
        """How an open search is doing."""

    def search_written_us(self, name: str) -> int | None:
        """The stamp of the latest record of an open search; None when there is none."""

    def search_known_us(self, name: str) -> int:
        """When an open search became known here."""

    def forget_search(self, name: str) -> bool:
        """Let go of a search if nothing was ever said in it as far as is known here; whether that was so."""

    def is_closed_search(self, name: str) -> bool:
        """Whether the ledger remembers a search of this name as closed."""

    def close_search(self, name: str) -> None:
        """End a search everywhere."""

    def flush_searches(self) -> None:
        """Pack what is buffered in searches, so that peers may have it."""

    def searches_wait(self) -> bool:
        """Whether anything is buffered in a search."""

    def on_search_buffered(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back when a first record is buffered in a search; returns what ends that."""

    def on_search_end(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Call back with the name of each search's plane that was dropped; returns what ends that."""

    def status(self) -> Status:
        """How it is doing."""

    def plane_status(self, plane: str) -> PlaneStatus:
        """How one plane is doing."""

    def flush(self) -> None:
        """Everything buffered is durable on return."""

    def write_behind(self) -> Mapping[str, list[SegmentKey]]:
        """Write what is buffered without waiting for the disk; what waits for `store.sync` then."""

    def settle(self, written: Mapping[str, list[SegmentKey]]) -> None:
        """A `store.sync` after `write_behind` is over: its segments may go to peers."""

    def needs_compaction(self) -> bool:
        """Whether `compact` is worth its while."""

    def compact_steps(self) -> Generator[None, None, bool]:
        """Join small segments of our own, some 20 ms of work a step."""

    @property
    def recovery(self) -> Recovery:
        """How it came back when it was opened."""

    def advance_checkpoint(self, weight_min: int) -> bool:
        """A step of a checkpoint that is under way or due, some 2 ms of work; whether to go on."""

    def needs_state_checkpoints(self) -> bool:
        """Whether enough commits have come whose states are not stored."""

    def checkpoint_states_steps(self) -> Generator[None, None, int]:
        """Store the states that are not stored yet, some 2 ms of work a step."""

    def on_durable(
        self, callback: Callable[[Delta], None], *, later: Callable[[], object] | None = None
    ) -> Callable[[], None]:
        """Call back with every delta of our own that became durable; returns what ends that.

        In the middle of a critical write `later` is called instead, and `announce` is expected soon.
        """

    def announce(self) -> None:
        """Call back with what was left for later."""

    def on_buffered(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back when a first record is buffered, so that `flush_due` is None no longer; returns what ends that."""
