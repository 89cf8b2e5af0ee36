"""Searches of one name in several graphs, and what passes between their planes as it does between peers."""

from __future__ import annotations

from itertools import count

from crdtgraph import Commit, Graph, Host, Search
from crdtgraph.exchange import deltas, receive_steps
from crdtgraph.opening import attach
from crdtgraph.searchplane import SearchPlane
from crdtgraph.store.memory import MemoryStore

ROOT = Commit((), "mcts", 0, "root")


def open_graph(number: int) -> Graph:
    """A graph on a clock that ticks at each look, with the common root in its ledger."""
    ticks = count(1_700_000_000_000_000)
    host = Host(now_us=lambda: next(ticks), random_bytes=lambda size: bytes([number + 1]) * size)
    graph = attach(MemoryStore(), host=host)
    graph.commit_many([ROOT])
    return graph


def plane_of(search: Search) -> SearchPlane:
    return search._home()


def send(source: Search, target: Search) -> None:
    """Give the target all that it lacks of the source, as one exchange does."""
    source.flush()
    plane_of(target).has_parent(ROOT.id)
    for delta in list(deltas(plane_of(source), plane_of(target).document.state_vector)):
        for _ in receive_steps(plane_of(target), delta.update):
            pass


def digest(search: Search) -> bytes:
    return plane_of(search).projection.digest()
