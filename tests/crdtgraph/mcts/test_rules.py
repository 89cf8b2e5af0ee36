"""The formulas, and that the fast way chooses as the plain one does."""

from __future__ import annotations

from math import log, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.mcts import PUCT, UCT, InFlight, Numbers, SearchTree
from crdtgraph.mcts.nodes import Edge, Position
from crdtgraph.mcts.rules import Chooser
from crdtgraph.mcts.statistics import UNIT
from tests.crdtgraph.mcts.problems import Line, open_graph

children = st.lists(st.tuples(st.integers(0, 50), st.integers(-UNIT, UNIT), st.booleans()), min_size=1, max_size=8)


def position_with(found: list[tuple[int, int, bool]]) -> Position:
    position = Position(0)
    position.actions = list(range(len(found)))
    for number, (visits, mean, is_proven) in enumerate(found):
        edge = Edge(position, number, str(number), Position(0))
        edge.visits, edge.value = visits, visits * mean
        edge.child.grow(edge.visits, edge.value)
        if is_proven and visits:
            edge.child.prove((mean,))
        edge.measure()
        position.edges += (edge,)
    position.grow(1 + sum(visits for visits, _, _ in found), 0)
    return position


@given(children, st.floats(0.01, 3))
def test_the_fast_way_chooses_as_the_plain_one(found: list[tuple[int, int, bool]], c: float) -> None:
    position = position_with(found)
    chooser = Chooser(UCT(c), InFlight.WU_UCT, -UNIT, 0)
    fast = chooser.choose(position, position.edges, may_expand=True)
    chooser.fast = None
    plain = chooser.choose(position, position.edges, may_expand=True)
    assert fast is not None
    assert plain is not None
    if fast is not plain:  # Scores that are equal but for the last bits.
        scores = UCT(c).scores(chooser.numbers(position, position.edges, expands=False))
        numbers = [position.edges.index(edge) for edge in (fast, plain)]
        assert scores[numbers[0]] == pytest.approx(scores[numbers[1]])


def test_uct_is_the_formula() -> None:
    scores = UCT(1.5).scores(Numbers(9, [4, 2, 0], [0.5, -0.25, 0.1], [1 / 3] * 3))
    assert scores[0] == pytest.approx(0.5 + 1.5 * sqrt(log(10) / 4))
    assert scores[1] == pytest.approx(-0.25 + 1.5 * sqrt(log(10) / 2))
    assert scores[2] == float("inf")


def test_puct_is_the_formula() -> None:
    scores = PUCT(2.0).scores(Numbers(9, [4, 0], [0.5, 0.1], [0.75, 0.25]))
    assert scores == pytest.approx([0.5 + 2 * 0.75 * 3 / 5, 0.1 + 2 * 0.25 * 3])


def test_what_is_in_flight_counts_by_its_mode() -> None:
    position = position_with([(4, UNIT // 2, False), (2, 0, False)])
    edge = position.edges[0]
    edge.flying = edge.child.flying = 4
    position.flying = 4
    seen = {
        mode: Chooser(UCT(), mode, -UNIT, 0).numbers(position, position.edges, expands=False)
        for mode in (InFlight.WU_UCT, InFlight.VIRTUAL_LOSS)
    }
    for numbers in seen.values():
        assert (numbers.total, numbers.visits) == (11, [8, 2])
    assert seen[InFlight.WU_UCT].means == pytest.approx([0.5, 0.0])
    assert seen[InFlight.VIRTUAL_LOSS].means == pytest.approx([(4 * 0.5 - 4) / 8, 0.0])


def test_a_child_in_flight_without_visits_has_the_mean_of_its_siblings() -> None:
    position = position_with([(4, UNIT // 2, False), (0, 0, False)])
    position.edges[1].flying = position.edges[1].child.flying = position.flying = 1
    numbers = Chooser(UCT(), InFlight.WU_UCT, -UNIT, 0).numbers(position, position.edges, expands=False)
    assert numbers.means == pytest.approx([0.5, 0.5])
    assert numbers.visits == [4, 1]


def test_the_untried_comes_last_with_its_prior() -> None:
    position = position_with([(4, UNIT // 2, False), (2, 0, False)])
    position.actions = [0, 1, 2]
    position.priors = [0.2, 0.3, 0.5]
    position.untried = [2]
    numbers = Chooser(PUCT(), InFlight.WU_UCT, -UNIT, 0).numbers(position, position.edges, expands=True)
    assert numbers.visits == [4, 2, 0]
    assert numbers.priors[-1] == 0.5


def test_a_rule_of_ones_own() -> None:
    class Greedy:
        def scores(self, node: Numbers) -> list[float]:
            return [mean if visits else 1e9 for mean, visits in zip(node.means, node.visits, strict=True)]

    tree = SearchTree(open_graph(0), Line(6), rule=Greedy(), solve=False)
    tree.run(300)
    best, other = tree.children()
    assert best.visits > 20 * other.visits


def test_a_virtual_loss_is_one_also_where_nobody_has_been() -> None:
    position = position_with([(4, UNIT // 2, False), (0, 0, False)])
    position.edges[1].flying = position.edges[1].child.flying = 2
    numbers = Chooser(UCT(), InFlight.VIRTUAL_LOSS, -UNIT, 0).numbers(position, position.edges, expands=False)
    assert list(numbers.means) == [0.5, -1.0]
