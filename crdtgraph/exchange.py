"""What two replicas give each other: the missing segments of a plane, cut into deltas without gaps.

A delta is a Yjs update and the clocks that it builds on. A receiver that lacks those refuses it (`RemoteGapError`)
and asks for a diff, because Yjs would keep the update in a waiting room where nobody sees it. Before anything is
applied it is read and verified (update.py, segment.py); each segment is then written, added and folded by itself, so
a large delta is a sequence of small, whole steps.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from crdtgraph.compaction import ranges
from crdtgraph.errors import RemoteError
from crdtgraph.ids import SegmentKey
from crdtgraph.limits import DELTA_BYTES_MAX
from crdtgraph.planes import Plane
from crdtgraph.segment import unpack
from crdtgraph.update import Item, RemoteUpdateError, Update, decode_update


class RemoteGapError(RemoteError):
    """A delta builds on segments that are not here; a diff from our own state vector mends it."""


@dataclass(frozen=True, slots=True)
class Delta:
    """Segments of one plane as a Yjs update.

    `base` maps each writer in it to its first clock; the receiver must have all earlier ones. `last` marks the end of
    a diff.
    """

    plane: str
    base: Mapping[int, int]
    update: bytes
    last: bool = True


@dataclass(frozen=True, slots=True)
class Received:
    """What a delta brought: the keys that were new, and a delta of just the news for other peers (None: no news)."""

    segments: tuple[SegmentKey, ...]
    delta: Delta | None


def make_delta(plane: str, update: Update, *, last: bool = True) -> Delta:
    """Wrap an update."""
    return Delta(plane, update.base(), update.encode(), last)


def deltas(plane: Plane, vector: Mapping[int, int], bytes_max: int = DELTA_BYTES_MAX) -> Iterator[Delta]:
    """What a replica with that state vector lacks, in order; the last one carries all deletions and may be empty.

    None grows beyond `bytes_max`, or one segment. The diff is taken at the first step; segments that are added while a
    slow peer reads are not part of it.
    """
    update = plane.document.diff(vector)
    chunk: list[Item] = []
    size = 0
    for item in update.items:
        more = len(item.value or b"") + 64
        if chunk and size + more > bytes_max:
            yield make_delta(plane.name, Update(tuple(chunk)), last=False)
            chunk, size = [], 0
        chunk.append(item)
        size += more
    yield make_delta(plane.name, Update(tuple(chunk), update.deletes))


def receive_steps(plane: Plane, data: bytes) -> Generator[None, None, Received]:
    """Apply a delta's update segment by segment, at most about 6 ms of work between two steps.

    Raises RemoteUpdateError, RemoteSegmentError, RemoteEncodingError or RemoteGapError. The segments before the
    offending one stay applied (each is valid by itself), it and those after it do not.
    """
    update = decode_update(data)
    news: list[Item] = []
    added: Update | None = None
    for item in update.items:
        known = plane.document.state_vector.get(item.key.writer, 0)
        if item.key.seq < known:
            continue
        if item.key.seq > known:
            raise RemoteGapError(
                f"a delta of plane {plane.name!r} goes on at segment {item.key.text}, and only {known} are here"
            )
        if item.key.writer == plane.identity.writer:
            raise RemoteUpdateError(
                f"segment {item.key.text} bears our own writer number, and we did not write it",
                hint="this process was cloned while it ran: restart it, and it will write under a new number",
            )
        if item.value is None:
            plane.receive_deletions(Update((item,)))
        else:
            segment = unpack(item.value)
            if segment.key != item.key or segment.plane != plane.name:
                raise RemoteUpdateError(
                    f"key {item.key.text} of plane {plane.name!r} holds segment {segment.key.text} of {segment.plane!r}"
                )
            added = plane.receive(segment, item.value)
        news.append(item)
        yield
        if plane.is_dropped:
            return Received((), None)
    deletes = _receive_deletes(plane, update)
    if not news and not deletes:
        return Received((), None)
    if len(news) > 1 or deletes or added is None:
        added = Update(tuple(_without_holes(plane, news)), deletes)
    delta = make_delta(plane.name, added)
    return Received(tuple(item.key for item in news), delta)


def _without_holes(plane: Plane, news: list[Item]) -> list[Item]:
    # While this delta was taken in, step by step, another one may have brought segments from the middle of it. A delta
    # for third parties has no gaps, so they go along, as they are here.
    found: list[Item] = []
    for item in news:
        before = found[-1].key if found else item.key
        if before.writer == item.key.writer:
            between = (SegmentKey(before.writer, seq) for seq in range(before.seq + 1, item.key.seq))
            found += [Item(key, plane.document.get(key)) for key in between]
        found.append(item)
    return found


def _receive_deletes(plane: Plane, update: Update) -> tuple[tuple[int, int, int], ...]:
    """Apply what may be deleted; the runs (writer, first, length) that were.

    A deletion bears no signature, and whoever relays an update could add one. Those that no segment of the same
    writer calls for are left out, not refused: a replica that was lied to goes on exchanging, and the digests that
    then differ raise the alarm.
    """
    for writer, first, length in update.deletes:
        known = plane.document.state_vector.get(writer, 0)
        if first + length > known:
            raise RemoteGapError(f"a delta deletes {first + length} segments of writer {writer:x}; {known} are here")
    dead = sorted(key for key in plane.document.present(update.deletes) if key in plane.projection.superseded)
    writers = dict.fromkeys(key.writer for key in dead)
    deletes = tuple(run for writer in writers for run in ranges(writer, [key.seq for key in dead if key[0] == writer]))
    if deletes:
        plane.receive_deletions(Update((), deletes))
    return deletes
