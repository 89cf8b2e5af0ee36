"""Graphs at a time of their own, and what a revset selects from them."""

from __future__ import annotations

import crdtgraph
from crdtgraph import CommitId, Graph, Host
from crdtgraph.revsets import evaluate

NOW = 1_764_000_000_000_000


def open_graph() -> Graph:
    counter = iter(range(1 << 30))
    host = Host(now_us=lambda: NOW + next(counter), random_bytes=lambda size: b"\x07" * size)
    return crdtgraph.open("memory:", host=host)


def select(graph: Graph, text: str) -> list[CommitId]:
    return list(evaluate(graph, text, now_us=NOW))
