"""A graph to search in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtgraph import Graph
from tests.sync.replicas import replica


@pytest.fixture
def graph() -> Iterator[Graph]:
    with replica("a") as opened:
        yield opened
