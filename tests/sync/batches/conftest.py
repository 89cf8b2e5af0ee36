"""A graph, and the commit that all else follows from."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtgraph import (
    CommitId,
    Graph,
)
from tests.sync.replicas import replica


@pytest.fixture
def graph() -> Iterator[Graph]:
    with replica("a") as opened:
        yield opened


@pytest.fixture
def root(graph: Graph) -> CommitId:
    return graph.commit(message="root", ref="main")
