"""Fixtures for tests of searches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crdtgraph import (
    Graph,
)
from crdtgraph.opening import attach
from tests.crdtgraph.searches.graphs import CountingStore, ticking


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def graph(store: CountingStore) -> Iterator[Graph]:
    with attach(store, host=ticking()) as graph:
        graph.commit(message="root", ref="main", changes={"board": b"empty"})
        yield graph
