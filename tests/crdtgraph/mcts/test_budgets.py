"""Budgets of a search: by the clock, by iterations, by a move that has settled; and others get their turn."""

from __future__ import annotations

from typing import Any

import pytest

from crdtgraph import Graph, LocalError
from crdtgraph.mcts import Budget, SearchTree, Stop
from tests.crdtgraph.mcts.problems import Line, Nim


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.01
        return self.now


def test_a_run_ends_by_the_clock_that_it_is_given(graph: Graph) -> None:
    tree = SearchTree(graph, Line(30), solve=False)
    spent = tree.run(Budget(seconds=1.0), now=Clock())
    assert spent.stop is Stop.TIME
    assert 90 <= spent.iterations <= 110


def test_a_run_ends_when_its_best_move_has_settled(graph: Graph) -> None:
    tree = SearchTree(graph, Line(5), solve=False)
    spent = tree.run(Budget(iterations=100_000, stable=300, margin=0.2))
    assert spent.stop is Stop.CONVERGED
    assert 300 <= spent.iterations < 10_000
    assert tree.best_action() == "one"


def test_the_first_limit_ends_it(graph: Graph) -> None:
    tree = SearchTree(graph, Line(30), solve=False)
    assert tree.run(Budget(iterations=50, seconds=1e9, stable=10_000)).stop is Stop.ITERATIONS
    assert tree.iterations == 50


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"iterations": 0},
        {"iterations": -3},
        {"iterations": 1.5},
        {"iterations": True},
        {"seconds": 0},
        {"seconds": float("nan")},
        {"seconds": 10**400},
        {"seconds": float("inf")},
        {"seconds": "10"},
        {"stable": 0},
        {"stable": 5, "margin": 2},
    ],
)
def test_a_budget_that_is_none_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(LocalError) as caught:
        Budget(**given)
    assert caught.value.hint


@pytest.mark.parametrize("budget", [0, -1, "many", 2.5, None])
def test_running_on_nothing_is_refused(graph: Graph, budget: Any) -> None:
    tree = SearchTree(graph, Nim())
    with pytest.raises(LocalError):
        tree.run(budget)
    assert tree.iterations == 0


async def test_others_get_their_turn(graph: Graph) -> None:
    turns = 0

    async def checkpoint() -> None:
        nonlocal turns
        turns += 1

    tree = SearchTree(graph, Line(20), solve=False)
    await tree.run_async(3000, checkpoint)
    assert tree.iterations == 3000
    assert turns >= 3


def test_progress_is_told(graph: Graph) -> None:
    seen: list[int] = []
    tree = SearchTree(graph, Line(20), solve=False)
    tree.run(2000, on_progress=lambda tree: seen.append(tree.iterations))
    assert seen == sorted(seen)
    assert len(seen) >= 2
