"""Replicas for tests of exchanges."""

from __future__ import annotations

import itertools
import random

import crdtgraph
from crdtgraph import (
    Graph,
    Host,
)


def host(seed: int) -> Host:
    clock = itertools.count(1_700_000_000_000_000 + 1000 * seed)
    return Host(now_us=lambda: next(clock), random_bytes=random.Random(seed).randbytes)


def open_replica(seed: int, url: str = "memory:") -> Graph:
    return crdtgraph.open(url, host=host(seed))
