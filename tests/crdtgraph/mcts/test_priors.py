"""Priors that come with evaluations: each tree needs its own, also for what others have evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from crdtgraph.mcts import PUCT, Evaluation, SearchTree
from crdtgraph.mcts.nodes import Position
from tests.crdtgraph.mcts.problems import open_graph, send

WIDTH = 8
DEPTH = 10


class Taught:
    """One line of many is worth something, and only the priors say which."""

    rewards = (0.0, 1.0)

    def __init__(self) -> None:
        self.evaluations = 0

    def initial(self) -> tuple[int, ...]:
        return ()

    def actions(self, state: Any) -> list[int]:
        return list(range(WIDTH)) if len(state) < DEPTH else []

    def apply(self, state: Any, action: Any) -> tuple[int, ...]:
        return (*state, action)

    def evaluate(self, state: Any, rng: Random) -> float | Evaluation:
        self.evaluations += 1
        good = [sum(state[:place]) * 7 % WIDTH for place in range(len(state) + 1)]
        if len(state) == DEPTH:
            return float(good[:DEPTH] == list(state))
        return Evaluation(0.0, [1.0 if action == good[-1] else 0.02 for action in range(WIDTH)])


def inner(tree: SearchTree) -> Iterator[Position]:
    """The positions that have children in a tree."""
    stack = [tree._growth.root.child]
    while stack:
        position = stack.pop()
        if position.edges:
            yield position
            stack += [edge.child for edge in position.edges]


def run(tree: SearchTree, iterations: int, batch: int) -> None:
    if batch == 1:
        tree.run(iterations)
        return
    for _ in range(iterations // batch):
        tasks = tree.ask(batch)
        tree.tell([(task.id, tree._referee.problem.evaluate(task.state, Random(0))) for task in tasks])
    tree.flush()


@pytest.mark.parametrize("batch", [1, 5])
def test_what_others_have_evaluated_has_priors_here_too(batch: int) -> None:
    trees = [SearchTree(open_graph(each), Taught(), rule=PUCT(), seed=each, solve=False) for each in range(2)]
    for _ in range(20):
        for tree in trees:
            run(tree, 10, batch)
        send(trees[0].search, trees[1].search)
        send(trees[1].search, trees[0].search)
    for tree in trees:
        tree.flush()
        found = list(inner(tree))
        assert all(position.priors is not None for position in found)
        # Whoever knows no priors of a position tries its actions in any order: 35 had children then.
        assert len(found) <= DEPTH + (0 if batch == 1 else batch)
        assert [node.mean for node in tree.best_line()][-1] == 1.0
        assert tree.statistics(tree.root).visits == 400


def test_a_search_that_is_resumed_learns_the_priors_again() -> None:
    graph = open_graph(0)
    tree = SearchTree(graph, Taught(), rule=PUCT(), name="a", solve=False)
    tree.run(400)
    tree.promote(ref="best", visits_min=3)
    again = SearchTree.resume(graph, "best", Taught(), name="b", rule=PUCT(), solve=False)
    again.run(100)
    assert len([position for position in inner(again) if position.priors is None]) == 0
    assert len(list(inner(again))) == DEPTH


def test_a_position_whose_evaluation_has_no_priors_is_evaluated_once() -> None:
    class Silent(Taught):
        def evaluate(self, state: Any, rng: Random) -> float | Evaluation:
            found = super().evaluate(state, rng)
            return found if not state or isinstance(found, float) else 0.0

    problem = Silent()
    tree = SearchTree(open_graph(0), problem, rule=PUCT(), solve=False)
    tree.run(200)
    assert tree._growth.thinks
    assert len(tree) > 150
    assert problem.evaluations <= 201
