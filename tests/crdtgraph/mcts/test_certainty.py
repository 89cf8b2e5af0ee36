"""What is certain and what is only likely: proofs among several players, their place in an order, and full trees."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

from crdtgraph import Graph, LocalError
from crdtgraph.mcts import Budget, SearchTree
from tests.crdtgraph.mcts.problems import Line, Nim, Ring, open_graph


@pytest.fixture
def graph() -> Graph:
    return open_graph(0)


@dataclass(frozen=True)
class Indifferent:
    """Player 0 lets player 1 choose; both choices are worth the same to player 1, and very different to player 0."""

    players = 3
    rewards = (0.0, 1.0)

    def initial(self) -> tuple[str, ...]:
        return ()

    def actions(self, state: Any) -> list[str]:
        return {0: ["ask", "keep"], 1: ["give", "take"] if state == ("ask",) else []}.get(len(state), [])

    def apply(self, state: Any, action: Any) -> tuple[str, ...]:
        return (*state, action)

    def player(self, state: Any) -> int:
        return len(state)

    def evaluate(self, state: Any, rng: Random) -> list[float]:
        return {"give": [1.0, 1.0, 0.0], "take": [0.0, 1.0, 1.0], "keep": [0.6, 0.0, 0.0]}.get(
            state[-1] if state else "", [0.5, 0.5, 0.5]
        )


def test_what_a_player_does_not_care_about_is_proven_for_nobody(graph: Graph) -> None:
    tree = SearchTree(graph, Indifferent(), name="s", seed=1)
    tree.run(200)
    assert {node.text: node.proven for node in tree.children()}["ask"] is None


@dataclass(frozen=True)
class Draw:
    """One action is a draw for certain; the other leads on to lines that are nearly always won."""

    players = 2

    def initial(self) -> tuple[int, ...]:
        return ()

    def actions(self, state: Any) -> list[int]:
        if state == (0,):
            return []
        return list(range(2 if not state else 40)) if len(state) < 4 else []

    def apply(self, state: Any, action: Any) -> tuple[int, ...]:
        return (*state, action)

    def player(self, state: Any) -> int:
        return len(state) % 2

    def evaluate(self, state: Any, rng: Random) -> float:
        return 0.0 if state == (0,) else 0.9


def test_a_certain_draw_does_not_stand_before_what_is_nearly_won(graph: Graph) -> None:
    tree = SearchTree(graph, Draw(), name="s", seed=1)
    tree.run(400)
    assert [node.action for node in tree.children()] == [1, 0]
    assert tree.best_action() == 1


def test_a_full_tree_is_pruned_by_iterations_and_not_by_the_clock() -> None:
    found = []
    for step in (0.0, 0.03):
        graph = open_graph(0)
        clock = iter(range(10**9))
        tree = SearchTree(graph, Line(30), name="s", seed=3, nodes_max=300, solve=False)
        tree.run(Budget(iterations=3_000), now=lambda clock=clock, step=step: next(clock) * step)
        tree.flush()
        found.append([(node.commit, tree.search.counters(node.commit)) for node in tree.top(100) if node.commit])
    assert len(found[0]) > 100
    assert found[0] == found[1]


def test_a_ring_has_a_top_that_ends(graph: Graph) -> None:
    tree = SearchTree(graph, Ring(4), name="s", seed=1)
    tree.run(500)
    assert 4 < len(list(tree.top(depth=1_000))) < 10_000


def test_a_promotion_that_cannot_move_its_ref_copies_nothing(graph: Graph) -> None:
    graph.commit(message="elsewhere", ref="best")
    before = len(graph)
    tree = SearchTree(graph, Nim(9), name="s", solve=False)
    tree.run(300)
    with pytest.raises(LocalError, match="best"):
        tree.promote(ref="best", visits_min=1)
    assert len(graph) == before


@pytest.mark.parametrize("target", [7, "best", [1, 2], object()])
def test_what_is_no_node_is_not_promoted(graph: Graph, target: Any) -> None:
    tree = SearchTree(graph, Nim(9), name="s")
    tree.run(50)
    with pytest.raises(LocalError, match="no node of the tree"):
        tree.promote(target)
