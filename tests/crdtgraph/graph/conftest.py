"""A graph in memory, and the machine that it runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crdtgraph
from crdtgraph import Graph
from tests.crdtgraph.graph.machine import Machine


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def graph(machine: Machine) -> Iterator[Graph]:
    with crdtgraph.open("memory:", host=machine.host) as opened:
        yield opened
