"""A graph in this process given to a node, as one of its peers would give it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import TYPE_CHECKING

from cli.answers import list_of, of
from cli.context import Backend
from sync.plain import vector_from_plain

if TYPE_CHECKING:
    from crdtgraph import Graph
    from sync.protocol.calls import Plain


def deliver(source: Graph, backend: Backend, *, progress: Callable[[int, int], object] | None = None) -> int:
    """What `crdtgraph.union.unite` does, with methods of a node; under how many keys it had less."""
    return sum(_deliver_plane(source, backend, plane, progress) for plane in source.planes())


def _deliver_plane(source: Graph, backend: Backend, plane: str, progress: Callable[[int, int], object] | None) -> int:
    theirs, before = source.segment_keys(plane), _keys(backend, plane)
    total = sum(1 for key in theirs if key not in before)
    given = 0
    vector = vector_from_plain(backend.call("state_vector", plane=plane))
    for delta in source.deltas(plane, vector):
        given += of(int, backend.call("receive", plane=plane, update=delta.update))
        if progress is not None:
            progress(min(given, total), total)
    here = _keys(backend, plane)
    for key, digest in theirs.items():
        if here.get(key) != digest:
            # A diff cannot bring what lies beside a document, or under a number that was used twice.
            for segment in source.segments_of(plane, key):
                backend.call("adopt", plane=plane, segments=[segment])
    backend.call("flush")
    return sum(1 for key, digest in _keys(backend, plane).items() if before.get(key) != digest)


def _keys(backend: Backend, plane: str) -> dict[str, bytes]:
    pairs = map(list_of, chain.from_iterable(map(list_of, backend.stream("segment_keys", plane=plane))))
    return {of(str, key): of(bytes, digest) for key, digest in pairs}


def cluster_of(backend: Backend) -> str:
    """The cluster that a node belongs to."""
    from cli.answers import table_of

    graph: Plain = table_of(backend.call("status"))["graph"]
    return of(str, table_of(graph)["cluster"])
