"""What must be left of registers in a simulated world: each rule is seen to fail."""

from __future__ import annotations

import random

import pytest

import crdtgraph
from crdtgraph import Graph, Host
from crdtgraph.searches.plane import PREFIX
from simulations import searchchecks
from simulations.assignments import Assignments
from simulations.checkers import ViolationError
from simulations.reading import Reading

HERE, THERE = 1, 2


@pytest.fixture
def graph() -> Graph:
    ticks = iter(range(1_700_000_000_000_000, 1_800_000_000_000_000))
    opened = crdtgraph.open("memory:", host=Host(lambda: next(ticks), random.Random(1).randbytes))
    opened.search("s")
    return opened


def assigned(graph: Graph, *said: tuple[int, bytes | None]) -> Assignments:
    assignments = Assignments()
    for writer, value in said:
        assignments.assign(graph.search("s"), writer, "line", value)
    return assignments


def test_what_was_assigned_and_replaced_passes(graph: Graph) -> None:
    assigned(graph, (HERE, b"a"), (THERE, b"b")).check("n0", graph, (HERE, THERE))
    assigned(graph, (HERE, b"c"), (THERE, None)).check("n0", graph, (HERE, THERE))


def test_a_value_that_is_lost(graph: Graph) -> None:
    assignments = assigned(graph, (HERE, b"a"))
    graph.search("s").assign("line", None)
    with pytest.raises(ViolationError, match=f"no value is lost .*n0 has nothing as 'line'.*, and not {b'a'.hex()}"):
        assignments.check("n0", graph, (HERE,))
    # Of a process that crashed nobody knows; and a search that is over has no registers.
    assignments.check("n0", graph, (THERE,))
    graph.search("s").close()
    assignments.check("n0", graph, (HERE,))


def test_a_value_that_comes_back(graph: Graph) -> None:
    assignments = assigned(graph, (HERE, b"a"), (THERE, None))
    graph.search("s").assign("line", b"a")
    with pytest.raises(ViolationError, match="what was replaced does not come back"):
        assignments.check("n0", graph, (HERE, THERE))
    assignments.check("n0", graph, (HERE,))


def test_a_value_that_nobody_assigned(graph: Graph) -> None:
    assignments = assigned(graph, (HERE, None))
    graph.search("s").assign("line", b"x")
    with pytest.raises(ViolationError, match="values are what was assigned"):
        assignments.check("n0", graph, (HERE,))


def test_registers_that_are_not_the_models(graph: Graph) -> None:
    search = graph.search("s")
    search.assign("line", b"a")
    search.assign("line", b"b")
    search.raise_to("best", 3, b"x")
    search.raise_to("best", 5, b"y")
    search.flush()
    read = Reading().of_search(graph, PREFIX + "s")
    searchchecks.check_search_model("n0", graph, PREFIX + "s", read)
    search.assign("line", b"c")
    with pytest.raises(ViolationError, match="differ in register 'line'"):
        searchchecks.check_search_model("n0", graph, PREFIX + "s", read)
    search.assign("line", None)
    search.raise_to("best", 6)
    with pytest.raises(ViolationError, match="differ in register"):
        searchchecks.check_search_model("n0", graph, PREFIX + "s", read)
