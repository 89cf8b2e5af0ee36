"""How much an exchange has to carry, worked out from what the sides hold and without packing any of it.

A diff is made of the segments beyond the receiver's state vector, an empty place for each that was compacted away, and
all deletions there ever were (`exchange.deltas`). What it cannot bring (for places that lack their records, and
segments kept beside the document) is asked for by key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crdtgraph.compaction import ranges
from crdtgraph.document import Document
from crdtgraph.ids import SegmentKey
from crdtgraph.limits import DELTA_BYTES_MAX
from crdtgraph.planes import LEDGER, Plane
from crdtgraph.replica import Replica
from crdtgraph.update import item_size, varint

_ITEM_ALLOWANCE_BYTES = 64
"""What `exchange.deltas` reckons for an item beside its value when it decides where to cut."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What one replica has for another.

    A diff brings `segments` segments in `deltas` updates of `update_bytes` bytes together. Under `by_key` keys it has
    others, of `by_key_bytes`, that have to be asked for.
    """

    segments: int
    deltas: int
    update_bytes: int
    by_key: int
    by_key_bytes: int

    @property
    def bytes(self) -> int:
        """The bytes of the updates and of the segments by key, without the messages around them."""
        return self.update_bytes + self.by_key_bytes


NOTHING = Transfer(0, 0, 0, 0, 0)


def transfer(source: Replica, target: Replica, *, plane: str = LEDGER) -> Transfer:
    """What `target` lacks of what `source` has durably. O(segments of both), at no cost when their sets are equal."""
    if source.set_digest(plane) == target.set_digest(plane):
        return NOTHING
    ours, theirs = source._plane(plane), target._plane(plane)
    by_key = _by_key(ours, theirs)
    if not _is_asked(ours, theirs):
        return Transfer(0, 0, 0, len(by_key), sum(by_key.values()))
    segments = size = chunk = writer = 0
    # Each update says how many writers it has, and for each of them where it begins; the last lists the deletions.
    deltas, head = 1, 2
    for key, length in _items(ours.document, theirs.document.state_vector):
        segments += length is not None
        more = (length or 0) + _ITEM_ALLOWANCE_BYTES
        if chunk and chunk + more > DELTA_BYTES_MAX:
            deltas, chunk, writer = deltas + 1, 0, -1
            size += head
        chunk += more
        if key.writer != writer:
            writer = key.writer
            size += 1 + len(varint(writer)) + len(varint(key.seq))
        size += item_size(key, length)
    size += head + _deletions_size(ours.document)
    return Transfer(segments, deltas, size, len(by_key), sum(by_key.values()))


def lacking(*replicas: Replica, plane: str = LEDGER) -> tuple[Transfer, ...]:
    """For each replica what it lacks of all that the others have together, as one diff would bring it. O(segments)."""
    planes = [replica._plane(plane) for replica in replicas]
    vector: dict[int, int] = {}
    held: dict[SegmentKey, int] = {}
    superseded = [home.projection.superseded for home in planes]
    for home in planes:
        # In a search they are runs, which may claim to cover any number of segments: they are asked, and not listed.
        lengths = {key: length for key, (_, length) in home.document.held.items()}
        held.update({key: length for key, length in lengths.items() if not any(key in each for each in superseded)})
        for writer, clock in home.document.state_vector.items():
            vector[writer] = max(clock, vector.get(writer, 0))
    found = []
    for home in planes:
        missing = [
            (key, held.get(key))
            for writer, clock in vector.items()
            for key in (SegmentKey(writer, seq) for seq in range(home.document.state_vector.get(writer, 0), clock))
        ]
        by_key = [held[key] for key in home.beside.holes if key in held]
        size = sum(item_size(key, length) for key, length in missing)
        segments = sum(length is not None for _, length in missing)
        found.append(Transfer(segments, -(-size // DELTA_BYTES_MAX), size, len(by_key), sum(by_key)))
    return tuple(found)


def _is_asked(ours: Plane, theirs: Plane) -> bool:
    """Whether a replica asks for a diff: not if it has all that ours has and more, and no hole to be filled."""
    vector, wanted = ours.document.state_vector, theirs.document.state_vector
    if not _covers(wanted, vector) or _covers(vector, wanted):
        return True
    return any(key.seq < vector.get(key.writer, 0) for key in theirs.beside.holes)


def _items(document: Document, vector: Mapping[int, int]) -> Iterator[tuple[SegmentKey, int | None]]:
    """What a diff for a replica with that vector has: each segment's length, None for an empty place."""
    held = document.held
    for writer, clock in document.state_vector.items():
        for seq in range(vector.get(writer, 0), clock):
            key = SegmentKey(writer, seq)
            yield key, held[key][1] if key in held else None


def _by_key(ours: Plane, theirs: Plane) -> dict[SegmentKey, int]:
    """The lengths of what they lack and no diff can bring, by key."""
    held, known = ours.document.held, theirs.document.held
    found = {key: held[key][1] for key in theirs.beside.holes if key in held}
    for key, (digest, length) in held.items():
        # One number that was used twice: another segment lies there.
        if key in known and known[key][0] != digest:
            found[key] = length
    for key, digest, data in ours.beside.strays():
        if theirs.beside.is_wanted(key, digest, data):
            found[key] = found.get(key, 0) + len(data)
    return found


def _deletions_size(document: Document) -> int:
    """The bytes of a list of all places that were compacted away, which goes with every diff."""
    size = 0
    for writer, clock in document.state_vector.items():
        runs = ranges(writer, [seq for seq in range(clock) if SegmentKey(writer, seq) not in document])
        if runs:
            size += len(varint(writer)) + len(varint(len(runs)))
            size += sum(len(varint(first)) + len(varint(length)) for _, first, length in runs)
    return size


def _covers(vector: Mapping[int, int], other: Mapping[int, int]) -> bool:
    return all(vector.get(writer, 0) >= clock for writer, clock in other.items())
