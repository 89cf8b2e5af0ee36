"""A graph to search in."""

from __future__ import annotations

import pytest

from crdtgraph import Graph
from tests.crdtgraph.mcts.problems import open_graph


@pytest.fixture
def graph() -> Graph:
    return open_graph(0)
