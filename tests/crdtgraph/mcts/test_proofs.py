"""Which child is the best where something is proven, that pruning leaves it, and who it is that sees a value."""

from __future__ import annotations

from typing import Any

import pytest

from crdtgraph.mcts import Best, MostVisited, RandomRollouts, SearchTree, Stop
from tests.crdtgraph.mcts.problems import Nim, open_graph


class Indifferent(RandomRollouts):
    """Player 0 takes a safe 0.5, or leaves it to player 1, to whom it is all the same, whether 0 gets 1 or -1."""

    players = 3

    def initial(self) -> str:
        return ""

    def actions(self, state: Any) -> list[str]:
        return {"": ["safe", "ask"], "ask": ["all", "nothing"]}.get(state, [])

    def apply(self, state: Any, action: Any) -> str:
        return str(action)

    def player(self, state: Any) -> int:
        return 0 if state == "" else 1

    def reward(self, state: Any) -> tuple[float, ...]:
        return {"safe": 0.5, "all": 1.0, "nothing": -1.0}[state], 0.0, 0.0


class Generous(Indifferent):
    """Player 1 has won whatever it does."""

    def reward(self, state: Any) -> tuple[float, ...]:
        return {"safe": (0.5, 0.0, 0.0), "all": (1.0, 1.0, 0.0), "nothing": (-1.0, 1.0, 0.0)}[state]


class Graded(RandomRollouts):
    """One player: a certain 0.55 at once, or a long way on which everything is worth 0.9."""

    rewards = (0.0, 1.0)

    def initial(self) -> str:
        return ""

    def actions(self, state: Any) -> list[str]:
        return {"": ["stop", "go"]}.get(state, ["left", "right"] if state != "stop" and len(state) < 60 else [])

    def apply(self, state: Any, action: Any) -> str:
        return state + str(action)

    def reward(self, state: Any) -> float:
        return 0.55 if state == "stop" else 0.9


class Toss(RandomRollouts):
    """Chance says who begins; then both name a coin's side in turn, and player 0 wins if one of them is odd."""

    players = 2

    def initial(self) -> str:
        return ""

    def actions(self, state: Any) -> list[str]:
        return ["h", "t"] if len(state) < 4 else []

    def chance(self, state: Any) -> list[float] | None:
        return [0.5, 0.5] if state == "" else None

    def apply(self, state: Any, action: Any) -> str:
        return state + str(action)

    def player(self, state: Any) -> int:
        return (len(state) + (state[0] == "t")) % 2

    def reward(self, state: Any) -> float:
        return 1.0 if state.count("h") % 2 else -1.0


@pytest.mark.parametrize("problem", [Indifferent(), Generous()], ids=["draws", "wins"])
@pytest.mark.parametrize("seed", range(6))
def test_what_a_player_does_who_does_not_care_is_not_certain(problem: Any, seed: int) -> None:
    tree = SearchTree(open_graph(0), problem, seed=seed)
    spent = tree.run(200)
    assert {node.text: node.proven for node in tree.children()} == {"safe": 0.5, "ask": None}
    assert spent.stop is Stop.ITERATIONS


def test_three_players_are_proven_where_it_is_certain() -> None:
    class Strict(Indifferent):
        def reward(self, state: Any) -> tuple[float, ...]:
            return {"safe": (0.5, 0.0, 0.0), "all": (1.0, 0.1, 0.0), "nothing": (-1.0, 0.0, 0.0)}[state]

    tree = SearchTree(open_graph(0), Strict())
    assert tree.run(200).stop is Stop.PROVEN
    assert (tree.best_action(), tree.children()[0].proven) == ("ask", 1.0)


@pytest.mark.parametrize("best", list(Best))
def test_a_certain_reward_is_not_better_than_a_greater_one_that_is_open(best: Best) -> None:
    tree = SearchTree(open_graph(0), Graded(), seed=1)
    tree.run(300)
    assert {node.text: node.proven for node in tree.children()} == {"stop": 0.55, "go": None}
    assert tree.best_action(best) == "go"


def test_of_a_proven_position_the_child_that_proves_it_is_the_best() -> None:
    class Short(Graded):
        def actions(self, state: Any) -> list[str]:
            return ["low", "high"] if state == "" else []

        def reward(self, state: Any) -> float:
            return 0.2 if state == "low" else 0.3

    tree = SearchTree(open_graph(0), Short())
    assert tree.run(100).stop is Stop.PROVEN
    low = next(edge for edge in tree._growth.root.child.edges if edge.text == "low")
    low.visits += 10
    assert tree.best_action() == "high"


def test_the_child_that_proves_a_position_is_not_pruned() -> None:
    tree = SearchTree(open_graph(0), Nim(9), seed=2)
    tree.run(400)
    line = [node.text for node in tree.best_line()]
    root = tree._growth.root.child
    assert root.proven is not None
    (proof,) = (edge for edge in root.edges if edge.child.proven and edge.child.proven[0] == 1_000_000)
    rival = next(edge for edge in root.edges if edge is not proof)
    rival.visits += 1_000
    rival.child.grow(1_000, 0)
    tree.prune(MostVisited(0.9, visits_min=2))
    assert proof in root.edges
    assert [node.text for node in tree.best_line()][:1] == line[:1]


def test_who_sees_a_value_is_the_same_wherever_a_tree_begins() -> None:
    graph = open_graph(0)
    tree = SearchTree(graph, Toss(), name="toss", solve=False)
    tree.run(200)
    for node in tree.children():
        assert node.commit is not None
        below = SearchTree(graph, Toss(), name="toss", root=node.commit, solve=False)
        assert below._growth.root.child.mover == tree._growth.by_commit[node.commit].child.mover
