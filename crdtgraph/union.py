"""One replica given to another within a process: the target then holds the union of both.

It is what an exchange between two nodes comes to (`sync`), without the network: what the target's state vector lacks,
and then, because a vector says nothing about what is kept beside a document, about places that lack their records, or
about a number that was used twice, every segment under a key where the two sets differ. Large values that its commits
name go along.
"""

from __future__ import annotations

from collections.abc import Callable

from crdtgraph.errors import LocalError
from crdtgraph.graph import Graph
from crdtgraph.records import OBJECT_SCHEME, Reference

Progress = Callable[[int, int], object]
"""Called with the segments that were given and those that may be missing."""


def unite(source: Graph, target: Graph, *, progress: Progress | None = None) -> int:
    """Give `target` all that `source` holds and it lacks, durably; returns under how many keys it had less.

    Whatever stops it, what was given until then is there, whole segment by whole segment, and it can be done again.
    Raises LocalError for replicas of different clusters, StoreError when the target's disk refuses. Costs about 8 us a
    commit that is new.
    """
    if source.cluster != target.cluster:
        raise LocalError(
            f"{source.cluster!r} is not the cluster of the target, {target.cluster!r}",
            hint="replicas of different clusters never exchange anything",
        )
    given = sum(_unite_plane(source, target, plane, progress) for plane in source.stored_planes())
    for object_id, size in [*target.objects.wanted()]:
        if source.objects.is_whole(object_id):
            target.objects.put(source.objects.read(Reference(OBJECT_SCHEME, object_id, size)))
    target.flush()
    return given


def _unite_plane(source: Graph, target: Graph, plane: str, progress: Progress | None) -> int:
    target.flush()
    if source.set_digest(plane) == target.set_digest(plane):
        return 0
    theirs, before = source.segment_keys(plane), target.segment_keys(plane)
    total = sum(1 for key in theirs if key not in before)
    given = 0
    for delta in source.deltas(plane, target.state_vector(plane)):
        given += len(target.receive(plane, delta.update).segments)
        if progress is not None:
            progress(min(given, total), total)
    here = target.segment_keys(plane)
    for key, digest in theirs.items():
        if here.get(key) != digest:
            target.adopt(plane, source.segments_of(plane, key))
    target.flush()
    return sum(1 for key, digest in target.segment_keys(plane).items() if before.get(key) != digest)
