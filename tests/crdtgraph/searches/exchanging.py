"""Searches of one name in several graphs, and what passes between their planes as it does between peers."""

from __future__ import annotations

from itertools import count

from crdtgraph import Commit, Graph, Host, Search
from crdtgraph.exchange import deltas, receive_steps
from crdtgraph.opening import attach
from crdtgraph.searches.plane import SearchPlane
from crdtgraph.store.memory import MemoryStore
from crdtgraph.update import Update, decode_update

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


def send(source: Search, target: Search, *, only_own: bool = False) -> None:
    """Give the target all that it lacks of the source, as one exchange does, or only what the source itself wrote."""
    source.flush()
    plane_of(target).has_parent(ROOT.id)
    known = dict(plane_of(target).document.state_vector)
    if only_own:
        writer = plane_of(source).identity.writer
        known = {**plane_of(source).document.state_vector, writer: known.get(writer, 0)}
    for delta in list(deltas(plane_of(source), known)):
        update = decode_update(delta.update)
        runs = tuple(run for run in update.deletes if not only_own or run[0] == plane_of(source).identity.writer)
        for _ in receive_steps(plane_of(target), Update(update.items, runs).encode()):
            pass


def digest(search: Search) -> bytes:
    return plane_of(search).projection.digest()
