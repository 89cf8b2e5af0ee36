"""How a plane comes back from its store: the checkpoint if it is good, then what log and strays have beyond it.

A store that is open for writing has a *dirty mark*, which is set durably before anything is written and removed by a
clean close as the last thing. One that is found at opening says that the process before was killed, or its machine.
Nothing has to be repaired then: batches are whole or absent, and what was acknowledged is there. But nobody has looked
at what was written last, so segments beyond the checkpoint are read with all checks, signatures among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from crdtgraph.checkpoints.checkpoint import Checkpoint, Manifest, UnusableError
from crdtgraph.errors import CorruptError, RemoteError, StoreCorruptError
from crdtgraph.ids import SegmentKey
from crdtgraph.log import MANIFEST_NAME, block_name, part_name
from crdtgraph.planes import Plane
from crdtgraph.projection import digest_of
from crdtgraph.segment import Segment
from crdtgraph.segment import unpack as unpack_segment
from crdtgraph.store import Batch, Keyspace, Store
from crdtgraph.update import Update, decode_update

_DIRTY = b"dirty"


class LastStop(StrEnum):
    """How the process that had a store open for writing before ended, as far as the store can tell."""

    CLEAN = "clean"
    """It closed the store, or there was none."""
    UNCLEAN = "unclean"
    """It was killed, or its machine was, or the disk refused the last writes."""
    UNKNOWN = "unknown"
    """It may still be at work: the store was opened to read only."""


class CheckpointUse(StrEnum):
    """What became of the checkpoint at opening."""

    NONE = "none"
    """There was none."""
    USED = "used"
    IGNORED = "ignored"
    """It did not verify; everything was folded, and the next one takes its place."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How a graph came back when it was opened.

    `reason` says why a checkpoint was ignored. `covered` commits came from the checkpoint, `folded` from segments, of
    which `verified` were read with all checks, because the last stop was not a clean one.
    """

    last_stop: LastStop = LastStop.CLEAN
    checkpoint: CheckpointUse = CheckpointUse.NONE
    reason: str = ""
    covered: int = 0
    folded: int = 0
    verified: int = 0

    def warnings(self) -> list[str]:
        """What somebody should know, in sentences; empty when all was as it should be."""
        found = []
        if self.last_stop is LastStop.UNCLEAN:
            found.append(
                f"the last stop was not clean: {self.folded} commits folded, {self.verified} segments verified"
            )
        if self.checkpoint is CheckpointUse.IGNORED:
            found.append(f"the checkpoint was ignored, and all {self.folded} commits folded: {self.reason}")
        return found


def last_stop(store: Store) -> LastStop:
    """What the dirty mark of a store says."""
    if store.get(Keyspace.META, _DIRTY) is None:
        return LastStop.CLEAN
    return LastStop.UNKNOWN if store.read_only else LastStop.UNCLEAN


def mark_dirty(store: Store, now_us: int) -> None:
    """Say, durably, that a store is being written since then; all that was written before is durable, too."""
    batch = Batch()
    batch.put(Keyspace.META, _DIRTY, b"%d" % now_us)
    store.write(batch, sync=True)


def mark_clean(store: Store) -> None:
    """Say that nothing is written any more; the close that follows makes it durable. Raises StoreError."""
    batch = Batch()
    batch.delete(Keyspace.META, _DIRTY)
    store.write(batch, sync=False)


def load(plane: Plane, stop: LastStop = LastStop.CLEAN) -> Recovery:
    """Read checkpoint, snapshot, log and strays from the store and fold what is new; says how it went.

    Raises CorruptError naming the entry that cannot be read. About 1 us for a commit that the checkpoint covers, 5 us
    for others, and 0.1 ms for each segment of them after an unclean stop.
    """
    updates = list(_read_log(plane))
    values = {key: value for _, update in updates for key, value in update.items if value is not None}
    kept, use, reason = _restore(plane, values)
    held = frozenset[SegmentKey]() if kept is None else kept.held.keys() | set(kept.superseded)
    check = stop is LastStop.UNCLEAN
    verified = 0

    def earlier(key: SegmentKey) -> list[Segment]:
        return [_unpacked(values[key])] if key in values else []

    for where, update in updates:
        try:
            fresh = [_unpacked(value, check) for key, value in update.items if value is not None and key not in held]
        except RemoteError as failure:
            raise _unreadable(plane, where, failure) from failure
        plane.integrate(update, fresh, earlier)
        verified += check * len(fresh)
    for value in plane.log.strays():
        try:
            segment = _unpacked(value, check)
            verified += check
            if plane.beside.is_wanted(segment.key, segment.digest, value):
                plane.add_stray(segment, value, earlier)
        except RemoteError as failure:
            raise _unreadable(plane, "an adopted segment", failure) from failure
    covered = 0 if kept is None else len(kept.ids)
    folded = len(plane.projection) - covered
    return Recovery(stop, use, reason, covered, folded, verified)


def _read_log(plane: Plane) -> Iterator[tuple[str, Update]]:
    for where, value in plane.log.entries():
        try:
            yield where, decode_update(value)
        except RemoteError as failure:
            raise _unreadable(plane, where, failure) from failure


def _restore(plane: Plane, values: Mapping[SegmentKey, bytes]) -> tuple[Checkpoint | None, CheckpointUse, str]:
    """Take over the checkpoint if there is one for what the log holds; what need not be folded then."""
    found: set[bytes] = set()
    try:
        kept = _read_checkpoint(plane, found)
        if kept is None:
            plane.checkpoints.begin(found, None)
            return None, CheckpointUse.NONE, ""
        for key, digest in kept.held.items():
            if hashlib.sha256(values.get(key, b"")).digest() != digest:
                raise UnusableError(f"it is the fold of segment {key.text}, which the store does not hold")
    except (UnusableError, StoreCorruptError) as failure:
        # The next one takes its place; until then everything is folded, as if there were none.
        with suppress(StoreCorruptError):
            found.update(name for name, _ in plane.checkpoints.log.pieces())
        plane.checkpoints.begin(found, None)
        return None, CheckpointUse.IGNORED, str(failure)
    plane.checkpoints.begin(found, kept.manifest)
    plane.projection.restore(kept)
    plane.contents.restore(kept.keys)
    plane.buffer = plane.start_buffer()
    plane.stamp_max, plane.own_stamp_max = kept.stamps
    return kept, CheckpointUse.USED, ""


def _read_checkpoint(plane: Plane, found: set[bytes]) -> Checkpoint | None:
    """The checkpoint of a plane if there is one; `found` takes the names of all pieces that were met.

    Raises UnusableError when it does not verify.
    """
    kept: Checkpoint | None = None
    expected: dict[bytes, int] = {}
    for name, data in plane.checkpoints.log.pieces():
        found.add(name)
        if name == MANIFEST_NAME:
            manifest = Manifest.from_bytes(data)
            kept = Checkpoint(manifest)
            names = [block_name(number, block.generation) for number, block in enumerate(manifest.blocks)]
            names += [part_name(manifest.generation, number) for number in range(len(manifest.parts))]
            expected = {name: number for number, name in enumerate(names)}
        elif kept is not None and name in expected:
            number, blocks = expected.pop(name), kept.manifest.blocks
            # Pieces come in the order of their names, which is that of the rows.
            if number < len(blocks):
                kept.add_block(data, blocks[number])
            else:
                kept.add_part(data, kept.manifest.parts[number - len(blocks)])
    if kept is None:
        return None
    if expected:
        raise UnusableError(f"{len(expected)} of its pieces are missing")
    kept.finish()
    if digest_of(kept.sums) != kept.manifest.digest:
        raise UnusableError("its sums are not those of its digest")
    return kept


def _unpacked(data: bytes, check_signature: bool = False) -> Segment:
    return unpack_segment(data, check_signature=check_signature)


def _unreadable(plane: Plane, where: str, failure: RemoteError) -> CorruptError:
    return CorruptError(
        f"{where} of plane {plane.name!r} in {plane.store.url} cannot be read: {failure}",
        hint="restore the store from a backup, or create it anew and let it fetch from its peers",
    )
