"""How a plane comes back from its store: the checkpoint if it is good, then what log and strays have beyond it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress

from crdtgraph.checkpoint import Checkpoint, UnusableError, is_due, pack, unpack
from crdtgraph.errors import CorruptError, RemoteError, StoreError
from crdtgraph.ids import SegmentKey
from crdtgraph.planes import Plane
from crdtgraph.segment import Segment
from crdtgraph.segment import unpack as unpack_segment
from crdtgraph.update import Update, decode_update


def load(plane: Plane) -> int:
    """Read snapshot, log and strays from the store and fold them; the latest stamp of this replica itself.

    Raises CorruptError naming the entry that cannot be read. About 1 us for a commit that the checkpoint covers, 5 us
    for others.
    """
    updates = list(_read_log(plane))
    values = {key: value for _, update in updates for key, value in update.items if value is not None}
    kept = _restore(plane, values)
    held = frozenset[SegmentKey]() if kept is None else kept.held.keys() | kept.superseded

    def earlier(key: SegmentKey) -> list[Segment]:
        return [_unpacked(values[key])] if key in values else []

    for where, update in updates:
        try:
            fresh = [_unpacked(value) for key, value in update.items if value is not None and key not in held]
        except RemoteError as failure:
            raise _unreadable(plane, where, failure) from failure
        plane.integrate(update, fresh, earlier)
    for value in plane.log.strays():
        try:
            segment = _unpacked(value)
            if plane.beside.is_wanted(segment.key, segment.digest, value):
                plane.add_stray(segment, value, earlier)
        except RemoteError as failure:
            raise _unreadable(plane, "an adopted segment", failure) from failure
    plane.covered = 0 if kept is None else len(kept.ids)
    return plane.own_stamp_max


def keep_checkpoint(plane: Plane, latest: int) -> None:
    """Write what the projection is, if enough has come since the last time; nothing may be buffered.

    `latest` is a stamp that none of our own is above. A disk that refuses is no error: nothing is lost without a
    checkpoint, opening only takes longer.
    """
    keys = plane.contents.keys()
    if not is_due(len(plane.projection), plane.covered) or keys is None or any(plane.beside.strays()):
        return
    stamps = max(plane.stamp_max, latest), max(plane.own_stamp_max, latest)
    data = pack(plane.projection, plane.document.held, keys, stamps)
    if data is not None:
        with suppress(StoreError):
            plane.log.keep_checkpoint(data)
            plane.covered = len(plane.projection)


def _read_log(plane: Plane) -> Iterator[tuple[str, Update]]:
    for where, value in plane.log.entries():
        try:
            yield where, decode_update(value)
        except RemoteError as failure:
            raise _unreadable(plane, where, failure) from failure


def _restore(plane: Plane, values: Mapping[SegmentKey, bytes]) -> Checkpoint | None:
    """Take over the checkpoint if there is one for what the log holds; what need not be folded then."""
    data = plane.log.checkpoint()
    if data is None:
        return None
    try:
        kept = unpack(data)
    except UnusableError:
        # The next one takes its place; until then everything is folded, as if there were none.
        return None
    for key, digest in kept.held.items():
        if hashlib.sha256(values.get(key, b"")).digest() != digest:
            return None
    plane.projection.restore(kept)
    plane.contents.restore(kept.keys)
    plane.buffer = plane.start_buffer()
    plane.stamp_max, plane.own_stamp_max = kept.stamps
    return kept


def _unpacked(data: bytes) -> Segment:
    return unpack_segment(data, check_signature=False)


def _unreadable(plane: Plane, where: str, failure: RemoteError) -> CorruptError:
    return CorruptError(
        f"{where} of plane {plane.name!r} in {plane.store.url} cannot be read: {failure}",
        hint="restore the store from a backup, or create it anew and let it fetch from its peers",
    )
