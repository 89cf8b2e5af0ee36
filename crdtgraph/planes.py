"""A plane: one shared document, the fold over it, and this replica's own log into it.

There is the ledger, which is permanent history, and one for each search that is open (searches/plane.py).

The path of a record of our own: it is folded into the projection at once (a writer sees its own writes), waits in the
buffer, is packed into a signed segment, written to the store's log, and enters the document only once the disk has it.
Peers are served from the document, so nothing is ever sent that a crash here could take back. A segment of someone else
is verified, written, added to the document and folded, in this order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Sequence

from crdtgraph.beside import Beside
from crdtgraph.buffer import FLUSH_AFTER_US, FLUSH_RECORDS, Buffer, commit_size, count_size, record_size
from crdtgraph.checkpoints.checkpointing import Checkpoints
from crdtgraph.compaction import is_small, joinable, ranges
from crdtgraph.contents import Contents
from crdtgraph.document import Document, item_update
from crdtgraph.errors import CorruptError, LocalError
from crdtgraph.held import HeldSegments, Loader, nothing
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.log import PlaneLog
from crdtgraph.outgoing import Outgoing, Unsynced
from crdtgraph.projection import NOT_PACKED, Projection
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.segment import PAYLOAD_BYTES_MAX, Records, Segment, pack, unpack
from crdtgraph.signing import Identity
from crdtgraph.store import Store
from crdtgraph.update import Item, Update

LEDGER = "ledger"
"""The name of the plane that permanent history and all refs live in."""

SMALL_SEGMENTS_MAX = 64
"""Joining so many that hold one commit each takes 20 ms."""
DEAD_LOG_BYTES_MAX = 4 << 20
UNSYNCED_SEGMENTS_MAX = 8
"""Without a node nobody fsyncs in the background; then every so many written segments are fsynced together."""
PAUSE_BYTES = 64 << 10
"""One more pause for so many bytes that were written: the work that waits for one grows with them."""
LARGE_COMMIT_BYTES = PAYLOAD_BYTES_MAX // 2
"""A commit beyond this has a segment of its own when a ref moves to it."""


def _ignore(_segment: Segment) -> None:
    pass


class Plane(HeldSegments):
    """One plane of one open replica. `recovery.load` must be called once before anything else."""

    is_dropped = False
    """Whether it is gone, as only a search ever is."""

    def __init__(self, name: str, store: Store, identity: Identity, projection: Projection | None = None) -> None:
        self.name = name
        self.store = store
        self.log = PlaneLog(store, name)
        self.checkpoints = Checkpoints(store, name)
        self.identity = identity
        document = Document(identity.writer)
        self.outgoing = Outgoing(document)
        self.projection = Projection() if projection is None else projection
        self.beside = Beside(document, self.projection.superseded)
        self.contents = Contents(self._load_segment)
        self.on_buffered: Callable[[], object] = list
        self.on_foreign: Callable[[Segment], object] = _ignore
        """Given each segment of others before it is written."""
        self.on_pause: Callable[[], object] = list
        """Called by the first writes after one that wrote a buffer out, when all that came before is folded."""
        self._pauses = 0
        self.stamp_max = self.own_stamp_max = 0
        self._small: dict[SegmentKey, int] = {}
        self._seq = 0
        self._written = False
        self.buffer = self.start_buffer()

    # Writing our own records

    def has_parent(self, parent: CommitId) -> bool:
        """Whether a commit can build on that one; in a search a commit of the ledger becomes a base by it."""
        return parent in self.projection.nodes

    def add_commit(self, commit_id: CommitId, commit: Commit, stamp: int, size: int, records_max: int) -> None:
        """Buffer and fold a commit of ours; `size` is the length of its canonical bytes. Writes the buffer if full.

        Raises StoreError when the buffer has to be written and cannot be; then the commit was not added.
        """
        if len(commit.parents) > 1:
            size = commit_size(commit, size)
        buffer = self._room(size, stamp, records_max)
        records = buffer.records
        location = buffer.start + len(records.ids)
        records.ids.append(commit_id)
        records.commits.append(commit)
        records.stamps.append(stamp)
        buffer.grow(1, size, stamp)
        self.projection.add_commit(commit_id, commit.parents, commit.time, location)

    def add_count(self, count: Count) -> None:
        """Buffer and fold a count of a visible commit, under the same rules as `add_commit`."""
        size = count_size(count)
        buffer = self._room(size, count.stamp, FLUSH_RECORDS)
        buffer.append_count(count)
        buffer.grow(1, size, count.stamp)
        self.projection.add_count(count, NOT_PACKED)

    def add(self, record: Assign | Discard) -> None:
        """Buffer and fold any other record of ours, under the same rules as `add_commit`."""
        size = record_size(record)
        self._room(size, record.stamp, FLUSH_RECORDS).grow(1, size, record.stamp)
        self._put(record)
        self._fold_own(record)

    def add_critical(
        self,
        commit_id: CommitId | None,
        commit: Commit | None,
        records: Sequence[Assign | Count | Discard],
        stamp: int,
        size: int,
    ) -> None:
        """Write a commit (if one is given) and other records, and everything buffered, with an fsync; then fold them.

        Raises StoreError when that fails; then none of the given records was added.
        """
        shared, large = Records(), Records()
        if commit_id is not None and commit is not None:
            size = commit_size(commit, size)
            if records and size > LARGE_COMMIT_BYTES:
                # It shares no segment with the other records; both are written at once, behind what is buffered.
                self.flush(sync=False)
                large, size = Records([commit_id], [commit], [stamp]), 0
            else:
                shared = Records([commit_id], [commit], [stamp])
        size += sum(record_size(record) for record in records)
        count = len(records) + len(shared)
        self.make_room(count, size)
        buffer = self.buffer
        location = buffer.start + len(buffer.records.ids)
        mark = buffer.mark()
        buffer.records.extend(shared)
        for record in records:
            self._put(record)
        buffer.grow(count, size, stamp)
        ahead = SegmentKey(self.identity.writer, self._seq)
        try:
            self._flush(sync=True, ahead=large)
        except BaseException:
            buffer.undo(mark)
            raise
        if commit_id is not None and commit is not None:
            location = self.contents.register(ahead) if large else location
            self.projection.add_commit(commit_id, commit.parents, commit.time, location)
        for record in records:
            self._fold_own(record)
        self.outgoing.announce_later()

    def make_room(self, records: int, size: int) -> None:
        """Write the buffer if so many more records of so many bytes in all do not fit; StoreError if it cannot be."""
        if self._pauses:
            self._pause()
        if not self.buffer.has_room(records, size):
            self.flush(sync=False)

    def flush(self, *, sync: bool, ahead: Records | None = None) -> None:
        """Write what is buffered as a segment; with `sync` all of ours is durable afterwards.

        Records to go `ahead` of it have a segment of their own, which is written in the same step or not at all.
        Raises StoreError when the disk refuses; the records stay buffered and a later call tries again.
        """
        if self._flush(sync=sync, ahead=ahead):
            self.outgoing.announce()

    def _flush(self, *, sync: bool, ahead: Records | None) -> bool:
        """`flush` without telling peers; whether all is on disk."""
        sync = sync or len(self.outgoing.unsynced) >= UNSYNCED_SEGMENTS_MAX
        if len(self.buffer):
            buffer = self.buffer
            batches = [(ahead, PAYLOAD_BYTES_MAX)] if ahead else []
            key = self._write_segments([*batches, (buffer.records, buffer.bytes)], (), sync=sync)
            self.contents.seal(buffer.start, key)
            self.buffer = self.start_buffer()
            self._pauses = 1 + buffer.bytes // PAUSE_BYTES
        elif sync and self._written:
            self.store.sync()
            self._written = False
        if sync:
            self.outgoing.settle(self.unsettled())
        return sync

    def settle(self, keys: list[SegmentKey] | None = None) -> None:
        """These segments of ours (default: all written ones) are on disk: peers may have them now."""
        self.outgoing.settle(self.unsettled() if keys is None else keys)
        self.outgoing.announce()

    def compact_steps(self) -> Generator[None, None, bool]:
        """Join the small segments of this incarnation, one full segment a step (about 20 ms); returns whether any were.

        Every record stays and no digest changes. In the end the log is replaced by a snapshot if most of it is dead.
        Between two steps anything may be written or compacted; one that begins there leaves alone what this one joins.
        """
        self.flush(sync=True)
        joined, small, self._small = False, self._small, {}
        try:
            for supersedes, records, size in joinable(dict(small), self._load_segment):
                self._write_segments([(records, size)], tuple(supersedes), sync=True)
                self.settle()
                for seq in supersedes:
                    small.pop(SegmentKey(self.identity.writer, seq), None)
                joined = True
                yield
        finally:
            self._small = small | self._small
        if self.log.bytes > 2 * self.document.bytes:
            self.flush(sync=True)  # The snapshot is of the document, and what was written just now is not in it yet.
            self.log.replace(self.document.snapshot(), {digest for _, digest, _ in self.beside.strays()})
            self.checkpoints.forget()
        return joined

    def needs_compaction(self) -> bool:
        """Whether enough small segments lie about, or enough of the log is dead, to be worth `compact_steps`."""
        dead = self.log.bytes - 2 * self.document.bytes
        return len(self._small) >= SMALL_SEGMENTS_MAX or dead > DEAD_LOG_BYTES_MAX

    # Segments of others

    def receive(self, segment: Segment, data: bytes) -> Update:
        """Write, add and fold a verified segment that is the next of its writer; returns the update that adds it."""
        update = item_update(segment.key, data)
        self.on_foreign(segment)
        self._write(update, sync=False)
        self.integrate(update, [segment])
        return update

    def receive_deletions(self, update: Update) -> None:
        """Write and apply deleted items and ranges that `exchange` has checked."""
        self._write(update, sync=False)
        self.integrate(update, [])

    def adopt(self, segment: Segment, data: bytes) -> bool:
        """Keep a verified segment beside the document, which cannot carry it; False if it is known."""
        self.outgoing.document()
        if not self.beside.is_wanted(segment.key, segment.digest, data):
            return False
        self.on_foreign(segment)
        self.log.append_stray(segment.digest, data)
        self.add_stray(segment, data)
        # Deletions that came before it had no reason yet and were left out; they may not come again.
        if dead := sorted(key.seq for key in segment.supersedes if key in self.document):
            self.receive_deletions(Update((), ranges(segment.key.writer, dead)))
        return True

    # Reading

    def commit(self, commit_id: CommitId) -> Commit:
        """The content of a visible commit."""
        return self.contents.get(self.projection.locations[self.projection.nodes[commit_id]])

    def waiting_since(self) -> int | None:
        """The stamp of the first record of ours that is not on disk yet; None when all are."""
        stamps = [unsynced.stamp for unsynced in self.outgoing.unsynced.values()]
        if len(self.buffer):
            stamps.append(self.buffer.first_stamp)
        return min(stamps, default=None)

    def is_durable(self, commit_id: CommitId) -> bool:
        """Whether a visible commit is on disk."""
        key = self.contents.home(self.projection.locations[self.projection.nodes[commit_id]])
        return key is not None and key not in self.outgoing.unsynced

    def flush_due_us(self, now_us: int) -> int | None:
        """Microseconds until what is buffered must be written; 0 when something is written and not fsynced."""
        if self.outgoing.unsynced:
            return 0
        if not len(self.buffer):
            return None
        # Stamps run ahead of a wall clock that was set back; nothing may wait for it to catch up.
        self.buffer.since_us = min(self.buffer.since_us, now_us)
        return self.buffer.since_us + FLUSH_AFTER_US - now_us

    # Inside

    def start_buffer(self) -> Buffer:
        """A buffer for what is written next."""
        records = Records()
        return Buffer(records, self.contents.start(records), lambda: self.on_buffered())

    def _room(self, size: int, stamp: int, records_max: int) -> Buffer:
        """The buffer with room for one more record; what it held is written if need be, or if it waited long enough."""
        if self._pauses:
            self._pause()
        if not self.buffer.has_room(1, size, records_max) or self.buffer.is_due(stamp):
            self.flush(sync=False)
        return self.buffer

    def _pause(self) -> None:
        # Not in the call that packs and writes a segment: that one is long enough.
        self._pauses -= 1
        self.on_pause()

    def _put(self, record: Assign | Count | Discard) -> None:
        records = self.buffer.records
        if isinstance(record, Assign):
            records.assigns.append(record)
        elif isinstance(record, Count):
            self.buffer.append_count(record)
        else:
            records.discards.append(record)

    def _fold_own(self, record: Assign | Count | Discard) -> None:
        if isinstance(record, Assign):
            self.projection.add_assign(record)
        elif isinstance(record, Count):
            self.projection.add_count(record, NOT_PACKED)
        else:
            self.projection.add_discard(record)

    def _write_segments(
        self, batches: list[tuple[Records, int]], supersedes: tuple[int, ...], *, sync: bool
    ) -> SegmentKey:
        """Write batches of records (each with its size) as segments, all or none; the last one's key."""
        if self.store.read_only:
            raise LocalError(f"{self.store.url} is open for reading only")
        writer = self.identity.writer
        keys = [SegmentKey(writer, seq) for seq, _ in enumerate(batches, self._seq)]
        datas = [
            pack(records, plane=self.name, identity=self.identity, seq=key.seq, supersedes=supersedes)
            for key, (records, _) in zip(keys, batches, strict=True)
        ]
        deletes = ranges(writer, supersedes)
        update = Update(tuple(map(Item, keys, datas)), deletes)
        self._write(update, sync=sync)
        self._seq += len(keys)
        for key, data, (records, size) in zip(keys, datas, batches, strict=True):
            if is_small(len(records), size):
                self._small[key] = size
            alone = update if len(keys) == 1 else Update((Item(key, data),), deletes)
            self.outgoing.add(key, Unsynced(alone, data, self.buffer.first_stamp))
            if supersedes:
                segment = unpack(data, check_signature=False)
                self.projection.fold(segment, self.contents.register(key), self._load_folded)
            else:
                self.projection.folded_own(key, hashlib.sha256(data).digest())
        return keys[-1]

    def _write(self, update: Update, *, sync: bool) -> None:
        self.log.append(update, sync=sync)
        self._written = not sync

    def integrate(self, update: Update, segments: list[Segment], earlier: Loader = nothing) -> None:
        """Fold new segments, and apply the update that brought them, which is written already.

        `earlier` gives segments that were folded and are no longer, or not yet, in the document.
        """
        # Fold before the deletions are applied: what a compaction takes back is read from the segments it deletes.
        here = {segment.key: segment for segment in segments}

        def load(key: SegmentKey) -> list[Segment]:
            return [here[key]] if key in here else self._load_folded(key) or earlier(key)

        for segment in segments:
            self.projection.fold(segment, self.contents.register(segment.key), load)
            self._note_stamps(segment)
        self.document.apply(update)
        self.beside.note_integrated(update.items, segments)

    def add_stray(self, segment: Segment, data: bytes, earlier: Loader = nothing) -> None:
        """Fold a segment that is wanted beside the document, and is written already; `earlier` as for `integrate`."""
        # A clock that was used twice keeps its two segments: the clone's is in no compaction of ours.
        self._small.pop(segment.key, None)
        self.projection.fold(segment, self.contents.register(data), lambda key: self._load_folded(key) or earlier(key))
        self.beside.add(segment, data)
        self._note_stamps(segment)

    def _note_stamps(self, segment: Segment) -> None:
        stamps = [*segment.stamps, *(record.stamp for record in segment.assigns)]
        stamps += [record.stamp for record in segment.counts]
        latest = max([*stamps, *(record.stamp for record in segment.discards)])
        self.stamp_max = max(self.stamp_max, latest)
        if segment.public_key == self.identity.public_key:
            self.own_stamp_max = max(self.own_stamp_max, latest)

    def _unpack_stored(self, data: bytes) -> Segment:
        return unpack(data, check_signature=False)

    def _load_segment(self, key: SegmentKey) -> Segment:
        held = self.outgoing.unsynced.get(key)
        data = held.data if held is not None else self.document.get(key)
        if data is None:
            raise CorruptError(f"segment {key.text} of plane {self.name!r} is gone", hint="run crdtgraph fsck")
        return self._unpack_stored(data)

    def _load_folded(self, key: SegmentKey) -> list[Segment]:
        held = self.outgoing.unsynced.get(key)
        found = self.segment_bytes(key) if held is None else [held.data]
        return [self._unpack_stored(data) for data in found]
