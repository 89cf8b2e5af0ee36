"""Where a search runs: on a store, or beside a running node, as a peer of it that has no disk."""

from __future__ import annotations

from typing import NamedTuple

from cli.context import Invocation, open_node

MEMORY = "memory:"


class SearchPlace(NamedTuple):
    """The store, the cluster that a new one belongs to, and the peers."""

    url: str
    cluster: str | None
    peers: tuple[str, ...]


def place_of(invocation: Invocation, peers: tuple[str, ...]) -> SearchPlace:
    """Read the place from a command line; raises LocalError for a node that listens nowhere."""
    from cli.answers import list_of, of, table_of
    from crdtgraph.errors import LocalError

    store, node = invocation.place()
    if node is None:
        return SearchPlace(store or "", None, peers)
    with open_node(node) as backend:
        status = table_of(table_of(backend.call("status"))["node"])
    addresses = [of(str, each) for each in list_of(status["addresses"])]
    if not addresses:
        raise LocalError(
            f"the node at {node} listens nowhere, so nobody can search along with it",
            hint="start it with crdtgraph serve --listen 127.0.0.1:0, or search on a store: --store PATH",
        )
    return SearchPlace(MEMORY, of(str, status["cluster"]), (*peers, addresses[0]))
