"""Replicas give each other what they have, without a network, and are compared."""

from __future__ import annotations

import itertools
from collections.abc import Generator

from crdtgraph import CommitId, Graph, Received
from crdtgraph.update import Update, decode_update

PLANE = "ledger"


def pull(target: Graph, source: Graph) -> None:
    for delta in source.deltas(PLANE, target.state_vector(PLANE)):
        target.receive(PLANE, delta.update)


def exchange(*graphs: Graph) -> None:
    for _ in graphs:
        for target, source in itertools.permutations(graphs, 2):
            source.flush()
            pull(target, source)


def finish(steps: Generator[None, None, Received]) -> Received:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            received: Received = done.value
            return received


def fill(graph: Graph, commits: int, *, flush_every: int = 1) -> list[CommitId]:
    """A chain with counts, in segments of `flush_every` commits."""
    made: list[CommitId] = []
    for number in range(commits):
        made.append(graph.commit(parents=made[-1:], changes={"n": b"%d" % number}))
        graph.count(made[-1], [1, number])
        if (number + 1) % flush_every == 0:
            graph.flush()
    graph.flush()
    return made


def assert_equal(*graphs: Graph) -> None:
    assert len({graph.digest() for graph in graphs}) == 1
    assert len({graph.set_digest(PLANE) for graph in graphs}) == 1
    assert all(graph.state_vector(PLANE) == graphs[0].state_vector(PLANE) for graph in graphs)
    assert all(graph.segment_keys(PLANE) == graphs[0].segment_keys(PLANE) for graph in graphs)
    for graph in graphs:
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []


def updates_of(graph: Graph) -> list[bytes]:
    """One update for every segment, in order by writer."""
    items = [item for delta in graph.deltas(PLANE, {}) for item in decode_update(delta.update).items]
    return [Update((item,)).encode() for item in items]
