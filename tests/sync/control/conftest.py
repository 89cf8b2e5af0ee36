"""A graph, a caller of the control methods in this process, and a place for a socket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtgraph import Graph
from sync.requests import LocalCaller
from tests.sync.replicas import replica


@pytest.fixture
def graph() -> Iterator[Graph]:
    with replica("a") as opened:
        yield opened


@pytest.fixture
def caller(graph: Graph) -> LocalCaller:
    return LocalCaller(graph)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control"
