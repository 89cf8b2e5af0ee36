"""Graphs for tests of searches: on a clock that ticks at each look, above a store that counts what reaches it."""

from __future__ import annotations

from itertools import count

from crdtgraph import (
    Durability,
    Host,
    Write,
)
from crdtgraph.store import Batch
from crdtgraph.store.memory import MemoryStore


class CountingStore(MemoryStore):
    """A store that counts what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = self.syncs = 0

    def write(self, batch: Batch, *, sync: bool) -> None:
        self.writes += 1
        self.syncs += sync
        super().write(batch, sync=sync)

    def sync(self) -> None:
        self.syncs += 1
        super().sync()


def ticking() -> Host:
    numbers = count(1_700_000_000_000_000)
    return Host(now_us=lambda: next(numbers), random_bytes=bytes)


class Recording:
    def __init__(self) -> None:
        self.asked: list[Write] = []

    def durability(self, write: Write) -> Durability:
        self.asked.append(write)
        return Durability.SPECULATIVE if write.in_search else Durability.NORMAL
