"""The graph as of an earlier time or digest, for commands that only read (`--at`).

Folding a whole history anew is no work for a node that serves others. So the store is opened here, to read only, even
if a node is at work on it; of a node whose store cannot be opened here a copy is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.context import Backend, open_node

if TYPE_CHECKING:
    from crdtgraph import Graph


@contextmanager
def open_as_of(store: str | None, node: str | None, at: str) -> Iterator[Backend]:
    """A store, or if that is None the graph of a node, as of a time or a digest. O(all records)."""
    from crdtgraph.asof import as_of
    from sync.requests import LocalCaller

    with _store(store) if store is not None else _store_of_node(node or "") as graph:
        yield LocalCaller(graph, as_of(graph, at))


def _store(url: str) -> Graph:
    import crdtgraph

    return crdtgraph.open(url, create=False, read_only=True)


def _store_of_node(address: str) -> Graph:
    from cli.answers import of, table_of
    from cli.copies import graph_in_process
    from crdtgraph.errors import CrdtGraphError

    with open_node(address) as backend:
        status = table_of(table_of(backend.call("status"))["graph"])
        try:
            graph = _store(of(str, status["url"]))
        except CrdtGraphError:
            # It is kept in memory, or the socket leads to another machine.
            return graph_in_process(backend)
        if graph.replica_id.hex() == status["replica"]:
            return graph
        graph.close()
        return graph_in_process(backend)
