"""Bugs in what is on disk, and when: what a crash, a failing disk or an old copy of a store bring out."""

from __future__ import annotations

from collections.abc import Callable, Set
from contextlib import suppress

import crdtgraph.checkpoints.checkpointing
import crdtgraph.graph
from crdtgraph.checkpoints.recovery import LastStop, Recovery
from crdtgraph.durability import STANDARD_POLICY, Policy
from crdtgraph.errors import StoreError
from crdtgraph.graph import Graph
from crdtgraph.host import Host
from crdtgraph.ids import INCARNATION_BYTES, CommitId, SegmentKey
from crdtgraph.log import PlaneLog
from crdtgraph.pending import Pending
from crdtgraph.planes import LEDGER, Plane
from crdtgraph.records import Assign, Commit
from crdtgraph.segment import Records, unpack
from crdtgraph.signing import Identity
from crdtgraph.store import Batch, Keyspace, Store
from crdtgraph.update import Update
from simulations.mutants.planting import Change, Mutant
from sync.durability import Flusher, RunSync
from sync.protocol.limits import Settings
from sync.protocol.replica import LocalReplica


def _written_is_durable(flush: Callable[..., None], self: Plane, *, sync: bool, ahead: Records | None = None) -> None:
    flush(self, sync=sync, ahead=ahead)
    self.settle()


def _nothing_is_synced(append: Callable[..., None], self: PlaneLog, update: Update, *, sync: bool) -> None:
    append(self, update, sync=False)


def _a_failed_sync_is_shrugged_off(
    init: Callable[..., None],
    self: Flusher,
    graph: LocalReplica,
    settings: Settings,
    run_sync: RunSync,
    failed: Callable[[StoreError], None],
    took: Callable[[float], None],
) -> None:
    async def run_and_shrug(work: Callable[[], None]) -> None:
        with suppress(StoreError):
            await run_sync(work)

    init(self, graph, settings, run_and_shrug, failed, took)


def _memory_is_first(
    add_critical: Callable[..., None],
    self: Plane,
    commit_id: CommitId | None,
    commit: Commit | None,
    records: list[Assign],
    stamp: int,
    size: int,
) -> None:
    try:
        add_critical(self, commit_id, commit, records, stamp, size)
    except StoreError:
        for record in records:
            self.projection.add_assign(record)
        raise


def _the_log_goes_first(replace: Callable[..., None], self: PlaneLog, snapshot: bytes, strays: Set[bytes]) -> None:
    batch = Batch()
    for key, _ in self._store.scan(Keyspace.LOG, self._prefix):
        batch.delete(Keyspace.LOG, key)
    self._store.write(batch, sync=True)
    replace(self, snapshot, strays)


def _who_waits_is_forgotten(load: Callable[..., Recovery], plane: Plane, stop: LastStop) -> Recovery:
    recovery = load(plane, stop)
    plane.projection.pending = Pending()
    return recovery


def _every_start_is_the_first(init: Callable[..., None], self: Identity, seed: bytes, incarnation: bytes) -> None:
    init(self, seed, bytes(INCARNATION_BYTES))


def _the_log_goes_on(load: Callable[..., Recovery], plane: Plane, stop: LastStop) -> Recovery:
    recovery = load(plane, stop)
    plane._seq = plane.document.state_vector.get(plane.identity.writer, 0)
    return recovery


def _the_dots_go_on(
    init: Callable[..., None],
    self: Graph,
    store: Store,
    *,
    seed: bytes,
    cluster: str,
    author: str | None,
    host: Host,
    policy: Policy = STANDARD_POLICY,
) -> None:
    init(self, store, seed=seed, cluster=cluster, author=author, host=host, policy=policy)
    held = (data for key in self.segment_keys(LEDGER) for data in self.segments_of(LEDGER, key))
    dots = (assign.dot for data in held for assign in unpack(data, check_signature=False).assigns)
    self._dots = max((dot.counter + 1 for dot in dots if dot.writer == self.writer), default=0)


def _only_the_document(_folded: Callable[[Plane], dict[SegmentKey, bytes]], plane: Plane) -> dict[SegmentKey, bytes]:
    return {key: digest for key, (digest, _) in plane.document.held.items()}


MUTANTS = (
    Mutant(
        "push before fsync",
        "A segment is given to peers as soon as it is written, before the disk has it.",
        "Waiting for the disk is the slowest thing there is, and peers are a good copy.",
        (Change(Plane, "flush", _written_is_durable),),
    ),
    Mutant(
        "fsync forgotten when a ref moves",
        "A commit that moves a ref is written and reported as durable without an fsync.",
        "A flag is passed through four calls, and no test that only kills processes notices that one drops it.",
        (Change(PlaneLog, "append", _nothing_is_synced),),
    ),
    Mutant(
        "failed fsync taken for success",
        "What the background flusher wrote counts as durable although the fsync failed.",
        "An error in the background has no caller to tell (PostgreSQL did as much until 2018: fsyncgate).",
        (Change(Flusher, "__init__", _a_failed_sync_is_shrugged_off),),
    ),
    Mutant(
        "memory changed before the disk",
        "A ref that could not be written is moved in memory all the same.",
        "Folding first and writing then is the natural order of the two lines.",
        (Change(Plane, "add_critical", _memory_is_first),),
    ),
    Mutant(
        "log deleted before its snapshot",
        "A snapshot takes the place of the log in two steps, and the first one deletes.",
        "Whoever is short of space frees some first.",
        (Change(PlaneLog, "replace", _the_log_goes_first),),
    ),
    Mutant(
        "checkpoint without what is on its way to disk",
        "A checkpoint does not name segments that are written and not fsynced, so what they say is folded once more.",
        "The document is where segments are, and whoever tests flushes first.",
        (Change(crdtgraph.checkpoints.checkpointing, "segments_folded", _only_the_document),),
    ),
    Mutant(
        "pending commits lost at restart",
        "Commits that wait for a parent when a process ends are not known to the next one.",
        "The waiting room is in memory and looks like a cache.",
        (Change(crdtgraph.graph, "load", _who_waits_is_forgotten),),
    ),
    Mutant(
        "client id reused after amnesia",
        "A replica counts on from what it finds in its store, under the number that it always had.",
        "A persistent client id looks like good manners, and state vectors stay short.",
        (
            Change(Identity, "__init__", _every_start_is_the_first),
            Change(crdtgraph.graph, "load", _the_log_goes_on),
            Change(Graph, "__init__", _the_dots_go_on),
        ),
    ),
)
