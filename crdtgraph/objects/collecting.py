"""Garbage collection: objects that no live commit names are removed, and blocks that no object needs.

Mark and sweep, in bounded steps between which anything may be written:

1. mark what is named by a commit that is not discarded, in any plane, pending commits among them;
2. remove the marks of objects that are not named;
3. note the blocks of the objects that are left;
4. sweep all other blocks.

What was put, fetched or named lately is *fresh* and is left alone whatever the marks say (see `ObjectStore`): an object
that is put now and named by a commit in a moment, or one that a commit of a peer names while this runs. Live commits
only ever become fewer by being discarded, and that is for ever, so nothing that was found dead comes back to life.

Marking finds objects as well that are named and neither here nor wanted: from then on they are wanted.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from crdtgraph.contents import Contents
from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.objects.store import STEP_BLOCKS, ObjectStore
from crdtgraph.pending import PendingCommit
from crdtgraph.projection import Projection
from crdtgraph.records import OBJECT_SCHEME, Reference, Value

STEP_COMMITS = 256
"""Commits looked through in one step: a few milliseconds where their segments have to be unpacked."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed (or, as a dry run, would have removed), and what is left.

    `bytes` are those of the blocks removed; `missing` are objects that live commits name and that are not here.
    """

    objects: int
    blocks: int
    bytes: int
    kept_objects: int
    kept_blocks: int
    missing: int


class Fold(NamedTuple):
    """A plane, as far as this is concerned.

    `is_eager`: what it names is fetched without being asked for, and what is discarded there does not count. In a
    search all counts, as a discarded commit may still be promoted. `is_open` says whether it has not been dropped.
    """

    projection: Projection
    contents: Contents
    is_eager: bool
    is_open: Callable[[], bool]


def collect_steps(
    planes: Iterable[Fold], objects: ObjectStore, *, dry_run: bool = False
) -> Generator[None, None, Collected]:
    """Collect garbage; see above. O(commits) and O(bytes of all blocks).

    Raises LocalError while another collection of the same objects is under way: what is fresh is so for one at a time.
    """
    if dry_run:
        return (yield from _collect_steps(planes, objects, dry_run=True))
    if objects.is_collecting:
        raise LocalError("garbage is being collected already", hint="wait until that is over; a node does it by itself")
    objects.is_collecting = True
    try:
        return (yield from _collect_steps(planes, objects, dry_run=False))
    finally:
        objects.is_collecting = False


def mark_steps(plane: Fold, named: dict[bytes, int]) -> Iterator[None]:
    """Add the objects that live and pending commits of a plane name to `named`, with the sizes that they claim."""
    projection, contents, is_eager, is_open = plane
    node, renumbered = 0, projection.renumbered
    while is_open() and node < len(projection.ids):
        if renumbered != projection.renumbered:
            node, renumbered = 0, projection.renumbered
        end = min(node + STEP_COMMITS, len(projection.ids))
        live = [each for each in range(node, end) if not is_eager or each not in projection.discards]
        if is_eager:
            for changes in contents.changes(projection.locations[each] for each in live):
                named.update(_objects_in(changes))
        else:
            for each in live:
                with suppress(NotFoundError):  # A search lets go of what was discarded; then nobody can promote it.
                    named.update(_objects_in(contents.get(projection.locations[each]).changes))
        node = end
        yield
    for record, _ in [*projection.pending] if is_open() else ():
        if isinstance(record, PendingCommit):
            named.update(_objects_in(contents.get(record.location).changes))


def _objects_in(changes: Iterable[tuple[str, Value]]) -> Iterator[tuple[bytes, int]]:
    """The objects that changes name: id and size."""
    for _, value in changes:
        if isinstance(value, Reference) and value.scheme == OBJECT_SCHEME:
            yield value.digest, value.size


def _collect_steps(planes: Iterable[Fold], objects: ObjectStore, *, dry_run: bool) -> Generator[None, None, Collected]:
    named: set[bytes] = set()
    for plane in planes:
        found: dict[bytes, int] = {}
        yield from mark_steps(plane, found)
        named.update(found)
        if plane.is_eager and not dry_run:
            objects.want((Reference(OBJECT_SCHEME, each, size) for each, size in found.items()), fresh=False)
    dead = 0
    kept: list[bytes] = []
    for place, (object_id, _) in enumerate(objects.whole()):
        if object_id in named or objects.is_fresh(object_id):
            kept.append(object_id)
        else:
            dead += 1
            if not dry_run:
                objects.remove(objects=[object_id])
        if place % STEP_BLOCKS == STEP_BLOCKS - 1:
            yield
    needed: set[bytes] = set()
    missing = 0
    for object_id, _ in [*objects.wanted()]:
        if object_id in named or objects.is_fresh(object_id):
            kept.append(object_id)
            missing += 1
        elif not dry_run:
            objects.remove(objects=[object_id])
    for object_id in kept:
        needed.update(objects.blocks_of(object_id))
        yield
    blocks = size = 0
    garbage: list[bytes] = []
    for place, (name, length) in enumerate(objects.blocks()):
        if name not in needed and not objects.is_fresh(name):
            garbage.append(name)
            blocks += 1
            size += length
        if place % STEP_BLOCKS == STEP_BLOCKS - 1:
            _sweep(objects, garbage, dry_run=dry_run)
            garbage = []
            yield
    _sweep(objects, garbage, dry_run=dry_run)
    if not dry_run:
        objects.grow_older()
        objects.note_scanned()
    return Collected(dead, blocks, size, len(kept) - missing, len(needed), missing)


def _sweep(objects: ObjectStore, garbage: list[bytes], *, dry_run: bool) -> None:
    if not dry_run:
        objects.remove(blocks=[name for name in garbage if not objects.is_fresh(name)])
