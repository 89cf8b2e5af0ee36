"""Real replicas in memory for the tests of sync, with a clock and randomness of their own."""

from __future__ import annotations

import hashlib
import random

import crdtgraph
from crdtgraph import CommitId, Graph, Host


def host(name: str, start_us: int = 1_700_000_000_000_000) -> Host:
    """A host whose clock moves a millisecond at every look and whose randomness follows from its name."""
    rng = random.Random(hashlib.sha256(name.encode()).digest())
    now_us = start_us

    def tick() -> int:
        nonlocal now_us
        now_us += 1_000
        return now_us

    return Host(now_us=tick, random_bytes=rng.randbytes)


def replica(name: str, cluster: str = "test") -> Graph:
    """An empty graph in memory."""
    return crdtgraph.open("memory:", cluster=cluster, author=name, host=host(name))


def grow(graph: Graph, count: int, label: str = "") -> list[CommitId]:
    """A chain of commits on top of the smallest head, each flushed into a segment of its own."""
    made: list[CommitId] = []
    for number in range(count):
        heads = graph.heads()[:1]
        made.append(graph.commit(parents=heads, message=f"{graph.author} {label}{number}"))
        graph.flush()
    return made
