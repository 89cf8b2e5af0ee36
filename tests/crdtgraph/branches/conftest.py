"""A graph with a first commit on `main`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crdtgraph
from crdtgraph import Graph
from tests.crdtgraph.clusters import Clock


@pytest.fixture
def graph() -> Iterator[Graph]:
    with crdtgraph.open("memory:", author="ann", host=Clock().host("a")) as opened:
        opened.commit(message="start", changes={"readme": b"hello", "score": b"1"}, ref="main")
        yield opened
