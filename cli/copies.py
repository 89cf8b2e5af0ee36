"""A graph in this process, whatever a command was pointed at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.context import Backend, graph_of

if TYPE_CHECKING:
    from crdtgraph import Graph
    from crdtgraph.reader import Reader


def graph_in_process(backend: Backend) -> Graph:
    """The graph of a store that is open here; of a running node a copy of it, in memory."""
    graph = graph_of(backend)
    if graph is not None:
        return graph
    import crdtgraph
    from cli.answers import of, table_of

    status = table_of(table_of(backend.call("status"))["graph"])
    copy = crdtgraph.open("memory:", cluster=of(str, status["cluster"]))
    for delta in map(table_of, backend.stream("deltas")):
        copy.receive(of(str, delta["plane"]), of(bytes, delta["update"]))
    return copy


def reader_in_process(backend: Backend) -> Reader:
    """Where to read from: the graph of a store that is open here (with --at as of then), or a copy of a node's."""
    from sync.requests import LocalCaller

    if isinstance(backend, LocalCaller) and backend.view is not None:
        return backend.view
    return graph_in_process(backend)
