"""Graphs that give each other what they have."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtgraph import (
    Graph,
)
from tests.crdtgraph.exchange.replicas import open_replica


@pytest.fixture
def trio_of() -> Iterator[tuple[Graph, Graph, Graph]]:
    with open_replica(1) as one, open_replica(2) as two, open_replica(3) as three:
        yield one, two, three
