"""Every close and every step of these tests is worth a checkpoint."""

from __future__ import annotations

import pytest

import crdtgraph
import crdtgraph.graph
from crdtgraph import projection as projections
from crdtgraph.checkpoints import checkpointing


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every close leaves a checkpoint, of many small pieces."""
    monkeypatch.setattr(crdtgraph.graph, "CLOSING_WEIGHT_MIN", 1)
    monkeypatch.setattr(checkpointing, "GROWTH_DIVISOR", 1 << 30)
    monkeypatch.setattr(checkpointing, "PART_ENTRIES", 3)
    monkeypatch.setattr(checkpointing, "PART_ASSIGNS", 2)
    monkeypatch.setattr(checkpointing, "MARKS_PART_BYTES", 5)
    monkeypatch.setattr(checkpointing, "BLOCK_ROWS", 4)
    monkeypatch.setattr(projections, "BLOCK_ROWS", 4)
