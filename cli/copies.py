"""A graph in this process, whatever a command was pointed at.

Of a running node that is its own store, opened to read beside it, wherever that shows all that the node says is
durable: the node then has nothing to do for it. Else (a store in memory, a socket from another machine or container)
the node gives a copy of everything, segment by segment.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cli.context import Backend, graph_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crdtgraph import Graph
    from crdtgraph.reader import Reader

_MEMORY = "memory:"


def graph_in_process(backend: Backend) -> Graph:
    """The graph of a store that is open here; of a running node its store opened to read, or a copy in memory.

    Close it in the end; closing one that is open here early does no harm beyond that. O(all commits) for a node.
    """
    graph = graph_of(backend)
    if graph is not None:
        return graph
    from cli.answers import of, table_of
    from crdtgraph.errors import StoreError

    # What the node was told just now is in no segment yet. If its disk refuses, what it has is still worth a look.
    with suppress(StoreError):
        backend.call("flush")
    status = table_of(table_of(backend.call("status"))["graph"])
    beside = _beside(backend, of(str, status["url"]), of(str, status["replica"]))
    return beside if beside is not None else _copy(backend, of(str, status["cluster"]))


def reader_in_process(backend: Backend) -> Reader:
    """Where to read from: the graph of a store that is open here (with --at as of then), or a copy of a node's."""
    view = view_of(backend)
    return graph_in_process(backend) if view is None else view


def view_of(backend: Backend) -> Reader | None:
    """The graph as of then, if --at asks for one."""
    from sync.requests import LocalCaller

    return backend.view if isinstance(backend, LocalCaller) else None


def _beside(backend: Backend, url: str, replica: str) -> Graph | None:
    """The store of a node, opened to read; None where its path does not lead to it from here."""
    import crdtgraph
    from crdtgraph.errors import CrdtGraphError
    from sync.plain import vector_from_plain

    if url.startswith(_MEMORY):
        return None
    vector = vector_from_plain(backend.call("state_vector"))
    try:
        graph = crdtgraph.open(url, create=False, read_only=True)
    except CrdtGraphError:
        return None
    # A store of the same replica may be a copy that was left behind: it has to hold what the node holds.
    if graph.replica_id.hex() == replica and _covers(graph.state_vector(crdtgraph.LEDGER), vector):
        return graph
    graph.close()
    return None


def _covers(vector: Mapping[int, int], other: Mapping[int, int]) -> bool:
    return all(vector.get(writer, 0) >= clock for writer, clock in other.items())


def _copy(backend: Backend, cluster: str) -> Graph:
    import crdtgraph
    from cli.answers import of, table_of

    copy = crdtgraph.open(_MEMORY, cluster=cluster)
    for delta in map(table_of, backend.stream("deltas")):
        copy.receive(of(str, delta["plane"]), of(bytes, delta["update"]))
    return copy
