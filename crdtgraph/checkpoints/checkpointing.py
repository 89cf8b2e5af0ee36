"""Checkpoints of a plane while it is at work: in steps of a few milliseconds, and only of what is new.

The view that is written has to be of one moment, and copying all of it would stop the program for too long. Most of it
needs no copy. Rows only grow at the end, and so do the sets of what was superseded, replaced and discarded: their
lengths at that moment are enough. Of registers and counters the few that change while the steps run are remembered as
they were. What is copied is the locations of the rows to write, the marks and the list of segments: 1 ms for a million
commits.

A full block of rows is written once. Only a compaction changes one, by moving locations; the projection notes which.
So a checkpoint costs what is new since the last, and the small parts that change all the time.

What always holds: the manifest that is stored names pieces that were written before it, whole, and no piece that it
names is ever written again or removed. A kill at any moment leaves the last checkpoint or the new one; what it leaves
of an unfinished one is removed with the next.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from crdtgraph.checkpoints.checkpoint import (
    MARKS_PART_BYTES,
    PART_ASSIGNS,
    PART_ENTRIES,
    Block,
    Manifest,
    assigns_part,
    block_bytes,
    dots_part,
    held_part,
    marks_part,
    numbers_part,
    pending_part,
    roots_part,
    superseded_part,
    totals_part,
)
from crdtgraph.ids import SegmentKey
from crdtgraph.log import MANIFEST_NAME, CheckpointLog, block_name, generation_of, part_name
from crdtgraph.projection import BLOCK_ROWS
from crdtgraph.steps import Stepwise
from crdtgraph.store import Store

if TYPE_CHECKING:
    from crdtgraph.planes import Plane

CLOSING_WEIGHT_MIN = 1_000
"""What is new has to weigh this at a close: it is folded in 5 ms. While the program runs, `CHECKPOINT_WEIGHT_MIN`."""
GROWTH_DIVISOR = 10
"""So large a part of all has to be new: opening folds that at most, and all checkpoints together cost ten times it."""
BYTES_A_COMMIT = 64
"""Log bytes that take as long to fold as a commit does otherwise: one that changes 100 paths has a thousand or more."""

_Item = TypeVar("_Item")


class Checkpoints:
    """The checkpoints of one plane: what the last one has, and whether another is due."""

    def __init__(self, store: Store, plane: str) -> None:
        self.log = CheckpointLog(store, plane)
        self.generation = 0
        self.blocks: tuple[Block, ...] = ()
        self.covered = 0
        """Commits that the last one has."""
        self._covered_weight = 0
        self._pieces: set[bytes] = set()
        """All that lie in the store, those of unfinished ones among them."""

    def is_due(self, weight: int, weight_min: int) -> bool:
        """Whether a checkpoint of a plane that weighs so much (see `weight`) would be worth it."""
        return weight - self._covered_weight >= max(weight_min, weight // GROWTH_DIVISOR)

    def begin(self, pieces: Iterable[bytes], manifest: Manifest | None) -> None:
        """The plane was opened with this one, or with none that could be used; these pieces lie in the store."""
        self._pieces = {*pieces} - {MANIFEST_NAME}
        # Whatever there is, the next one gets names of its own.
        self.generation = max(map(generation_of, self._pieces), default=0)
        if manifest is not None:
            self.blocks, self.covered, self._covered_weight = manifest.blocks, manifest.rows, manifest.weight

    def note_attempt(self, weight: int) -> None:
        """One is being made of a plane that weighs so much. If it comes to nothing the next is not tried at once."""
        self._covered_weight = weight

    def forget(self) -> None:
        """The store has no longer what the last one is the fold of."""
        self.covered = self._covered_weight = 0

    def put(self, name: bytes, data: bytes) -> None:
        """Write a piece of the next one."""
        self._pieces.add(name)
        self.log.put(name, data)

    def finish(self, manifest: Manifest) -> None:
        """All pieces are written: let it be the checkpoint, and remove those that it does not name."""
        names = {block_name(number, block.generation) for number, block in enumerate(manifest.blocks)}
        names |= {part_name(manifest.generation, number) for number in range(len(manifest.parts))}
        self.log.replace(manifest.to_bytes(), sorted(self._pieces - names))
        self._pieces = names
        self.generation, self.blocks, self.covered = manifest.generation, manifest.blocks, manifest.rows


def weight(plane: Plane) -> int:
    """How long all of a plane takes to fold, in commits without much in them."""
    return len(plane.projection) + plane.log.bytes // BYTES_A_COMMIT


def checkpoint_steps(plane: Plane, latest: Callable[[], int]) -> Stepwise[bool]:
    """Write a checkpoint of a plane; returns whether there is one now. A step takes some 2 ms.

    Anything may happen to the plane between two steps. `latest` gives a stamp that none of our own is above. There is
    none while a segment is kept beside the document, or a counter is beyond 64 bits. Raises StoreError when the disk
    refuses; the last checkpoint is still there then.
    """
    checkpoints = plane.checkpoints
    checkpoints.note_attempt(weight(plane))
    dates = plane.projection.dates
    while dates.missing() > BLOCK_ROWS:
        dates.advance(BLOCK_ROWS)
        yield
    plane.flush(sync=False)
    dates.advance(dates.missing())
    keys = plane.contents.keys()
    if keys is None or any(plane.beside.strays()):
        return False
    frozen = _Frozen(plane, keys, latest())
    try:
        for name, data in frozen.pieces():
            if data:
                checkpoints.put(name, data)
            yield
            if plane.log.replaced != frozen.replaced:
                # A snapshot took the place of the log, and has no longer what this is the fold of.
                return False
        checkpoints.finish(frozen.manifest())
        frozen.is_kept = True
        return True
    except OverflowError:
        return False
    finally:
        frozen.thaw()


def segments_folded(plane: Plane) -> dict[SegmentKey, bytes]:
    """The segments that a plane is the fold of when nothing is buffered, with their SHA-256. O(segments)."""
    held = {key: digest for key, (digest, _) in plane.document.held.items()}
    # Written, and not in the document before they are fsynced.
    held.update({key: hashlib.sha256(each.data).digest() for key, each in plane.outgoing.unsynced.items()})
    return held


class _Frozen:
    """A plane as it is at this moment, whatever becomes of it."""

    def __init__(self, plane: Plane, keys: list[SegmentKey | None], latest: int) -> None:
        projection = plane.projection
        self.is_kept = False
        self.replaced = plane.log.replaced
        self._projection = projection
        self._rows = len(projection)
        self._weight = weight(plane)
        self._generation = plane.checkpoints.generation + 1
        self._moved, projection.moved = projection.moved, set()
        self._blocks: dict[int, Block] = {}
        self._fresh: dict[int, array[int]] = {}
        known = plane.checkpoints.blocks
        for number, first in enumerate(range(0, self._rows, BLOCK_ROWS)):
            if number < len(known) and known[number].rows == BLOCK_ROWS and number not in self._moved:
                self._blocks[number] = known[number]
            else:
                self._fresh[number] = projection.locations[first : min(first + BLOCK_ROWS, self._rows)]
        self._numbers = keys
        held = segments_folded(plane)
        self._held, self._held_digests = list(held), list(held.values())
        self._superseded = len(projection.superseded.order)
        self._roots = len(projection.discards.roots.order)
        self._marks = bytes(projection.discards.marks) if self._roots else b""
        self._dots = len(projection.registers.superseded_dots())
        self._pending = list(projection.pending.waiting())
        self._namespaces = projection.registers.freeze()
        self._has_totals = len(projection.counters) > 0
        projection.counters.freeze()
        self._stamps = max(plane.stamp_max, latest), max(plane.own_stamp_max, latest)
        self._sums, self._digest = projection.sums(), projection.digest()
        self._parts: list[bytes] = []

    def thaw(self) -> None:
        """Nobody writes it any more. Unless it is kept, the blocks that had changed are still to be written."""
        self._projection.registers.thaw()
        self._projection.counters.thaw()
        if not self.is_kept:
            self._projection.moved |= self._moved

    def pieces(self) -> Iterator[tuple[bytes, bytes]]:
        """Name and bytes of all that is to be written, made one by one; no bytes where some work found none."""
        for number, locations in self._fresh.items():
            data, edges = block_bytes(self._projection, number * BLOCK_ROWS, locations)
            self._blocks[number] = Block(self._generation, len(locations), edges, hashlib.sha256(data).digest())
            yield block_name(number, self._generation), data
        for data in self._made_parts():
            yield part_name(self._generation, len(self._parts)), data
            if data:
                self._parts.append(hashlib.sha256(data).digest())

    def manifest(self) -> Manifest:
        """What was written, once all of it is."""
        blocks = tuple(self._blocks[number] for number in sorted(self._blocks))
        return Manifest(
            self._generation,
            blocks,
            tuple(self._parts),
            len(self._numbers),
            self._weight,
            self._stamps,
            self._sums,
            self._digest,
        )

    def _made_parts(self) -> Iterator[bytes]:
        projection = self._projection
        for at in range(0, len(self._held), PART_ENTRIES):
            yield held_part(self._held[at : at + PART_ENTRIES], self._held_digests[at : at + PART_ENTRIES])
        for at in range(0, len(self._numbers), PART_ENTRIES):
            yield numbers_part(at, self._numbers[at : at + PART_ENTRIES])
        yield from map(superseded_part, _batches(projection.superseded.order, self._superseded))
        for at in range(0, len(self._marks), MARKS_PART_BYTES):
            yield marks_part(self._marks[at : at + MARKS_PART_BYTES])
        yield from map(roots_part, _batches(projection.discards.roots.order, self._roots))
        yield from map(dots_part, _batches(projection.registers.superseded_dots(), self._dots))
        yield from map(pending_part, _batches(self._pending, len(self._pending)))
        yield from map(assigns_part, projection.registers.frozen(self._namespaces, PART_ASSIGNS))
        if self._has_totals:
            for first in range(0, self._rows, PART_ENTRIES):
                commits = projection.ids[first : min(first + PART_ENTRIES, self._rows)]
                counted, totals = projection.counters.frozen(commits)
                yield totals_part(counted, totals) if counted else b""


def _batches(items: Sequence[_Item], count: int) -> Iterator[Sequence[_Item]]:
    """The first so many items, as many at a time as a part has."""
    for first in range(0, count, PART_ENTRIES):
        yield items[first : min(first + PART_ENTRIES, count)]
