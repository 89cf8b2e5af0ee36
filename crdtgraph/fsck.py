"""Is this store what it says it is? Everything is checked again from the bytes.

For every segment: the signature, the canonical form, the ids (they are not stored, so each commit is hashed again), and
that the map key is the segment's own. For the plane: the index leads back to every commit, a projection folded from
scratch has the digest that the incremental one has, and the document's own accounting is right. Before that every
entry of the store is read, and after it the records of episodes and every object, which has the bytes that its id is
the hash of.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from crdtgraph.episodes import Episode, stored
from crdtgraph.errors import CorruptError, RemoteError
from crdtgraph.ids import CommitId
from crdtgraph.objects.store import ObjectStore
from crdtgraph.planes import Plane
from crdtgraph.projection import fold_all
from crdtgraph.segment import Segment
from crdtgraph.store import Store
from crdtgraph.store.checking import problems as store_problems

OBJECTS = "objects"
"""What stands for a plane's name where objects are checked."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One step of the check: `checked` of `total` segments so far; `problem` is empty unless something is wrong.

    With "objects" for the plane, it is so many objects.
    """

    plane: str
    checked: int
    total: int
    commits: int
    problem: str = ""


def check_all(planes: Iterable[Plane], store: Store, objects: ObjectStore) -> Iterator[Finding]:
    """Check all that is in a store; the planes' buffers are written."""
    for problem in store_problems(store):
        yield Finding("store", 0, 0, 0, problem)
    for plane in planes:
        yield from check(plane)
    yield from _check_objects(objects)
    yield from _check_episodes(store)


def check(plane: Plane) -> Iterator[Finding]:
    """Check one plane whose buffer is written; yields one finding a segment and one for the whole at the end."""
    total = plane.segment_count()
    good: list[Segment] = []
    seen: set[CommitId] = set()
    for checked, key in enumerate(plane.document.segment_keys(), 1):
        problem = ""
        try:
            segment = plane.verify(key)
        except (RemoteError, CorruptError) as failure:
            problem = f"segment {key.text}: {failure}"
        else:
            good.append(segment)
            seen.update(segment.ids)
            nodes, pending = plane.projection.nodes, plane.projection.pending
            if not all(commit in nodes or pending.holds(commit) for commit in segment.ids):
                problem = f"segment {key.text} holds commits that are not in the index"
        yield Finding(plane.name, checked, total, len(seen), problem)
    try:
        good += plane.stray_segments()
    except RemoteError as failure:
        yield Finding(plane.name, total, total, len(seen), f"a segment kept beside the document: {failure}")
    scratch = fold_all(good)
    problem = ""
    if scratch.digest() != plane.projection.digest():
        names = zip(scratch.components(), plane.projection.components(), scratch.components()._fields, strict=True)
        parts = ", ".join(name for ours, theirs, name in names if ours != theirs)
        problem = f"a projection from scratch differs from the one in use in: {parts}"
    elif not plane.document.check_state_vector():
        problem = "the document's state vector is not the one that was kept"
    elif not plane.document.check_content():
        problem = "the document does not hold the segments that its digest is made of"
    problem = problem or _misplaced(plane)
    yield Finding(plane.name, total, total, len(seen), problem)


def _check_objects(objects: ObjectStore) -> Iterator[Finding]:
    """Check the bytes of every object; a damaged one is removed (unless this only reads), to be fetched again."""
    whole = [*objects.whole()]
    for checked, (object_id, size) in enumerate(whole, 1):
        steps = objects.check_steps(object_id, size)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                yield Finding(OBJECTS, checked, len(whole), 0, done.value)
                break
            yield Finding(OBJECTS, checked - 1, len(whole), 0)


def _check_episodes(store: Store) -> Iterator[Finding]:
    """Check the records of episodes; yields those that cannot be read."""
    for number, data in stored(store):
        try:
            Episode.from_bytes(data)
        except CorruptError as failure:
            yield Finding("episodes", 0, 0, 0, f"episode {number}: {failure}")


def _misplaced(plane: Plane) -> str:
    """The first commit that the index does not lead back to, or ""."""
    ids, locations = plane.projection.ids, plane.projection.locations
    for node in sorted(range(len(ids)), key=locations.__getitem__):
        try:
            found = plane.contents.get(locations[node]).id
        except (RemoteError, CorruptError, IndexError) as failure:
            return f"commit {ids[node].hex()} cannot be read: {failure}"
        if found != ids[node]:
            return f"the index has commit {found.hex()} where {ids[node].hex()} should be"
    return ""
