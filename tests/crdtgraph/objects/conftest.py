"""A graph to put large values into, and blocks so small that a test has many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crdtgraph
from crdtgraph import Graph
from crdtgraph.objects import (
    format,
)


@pytest.fixture
def graph() -> Iterator[Graph]:
    with crdtgraph.open("memory:") as opened:
        yield opened


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 64 bytes and two hashes a block, so that a few hundred bytes are a tree of two levels."""
    monkeypatch.setattr(format, "CHUNK_BYTES", 64)
    monkeypatch.setattr(format, "FANOUT", 2)
