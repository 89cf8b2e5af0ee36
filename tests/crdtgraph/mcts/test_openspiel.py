"""Any game of OpenSpiel that hides nothing is a problem."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from random import Random
from types import ModuleType
from typing import Any

import pytest

from crdtgraph import Graph, LocalError
from crdtgraph.mcts import ProblemError, SearchTree
from tests.crdtgraph.mcts.problems import open_graph

pyspiel = pytest.importorskip("pyspiel", reason="OpenSpiel is not installed: pip install 'crdtgraph[games]'")

Make = Callable[..., Any]


@pytest.fixture
def adapter() -> ModuleType:
    return importlib.import_module("crdtgraph.mcts.openspiel")


@pytest.fixture
def game(adapter: ModuleType) -> Make:
    found: Make = adapter.OpenSpielGame
    return found


@pytest.fixture
def graph() -> Graph:
    return open_graph(0)


@pytest.mark.parametrize("transpositions", [True, False])
def test_a_win_in_one_is_found(graph: Graph, game: Make, transpositions: bool) -> None:
    # x has three in the third column, o three in the fourth; x is to move.
    problem = game("connect_four", start=[2, 3, 2, 3, 2, 3], transpositions=transpositions)
    tree = SearchTree(graph, problem, seed=1)
    tree.run(300)
    assert tree.best_action() == 2
    assert tree.children()[0].proven == 1


def test_a_threat_is_met(graph: Graph, game: Make) -> None:
    tree = SearchTree(graph, game("connect_four", start=[2, 3, 2, 3, 2]), seed=1)
    tree.run(600)
    assert tree.best_action() == 2


@pytest.mark.parametrize(
    "name", ["tic_tac_toe", "hex(board_size=3)", "breakthrough(rows=5,columns=4)", "nim", "pig(winscore=10)", "mancala"]
)
def test_games_of_all_kinds_are_played(graph: Graph, game: Make, name: str) -> None:
    tree = SearchTree(graph, game(name), seed=2)
    tree.run(300)
    assert tree.best_line()
    assert tree.search.counters(tree.root)[0] == tree.iterations


def test_chance_has_the_probabilities_of_the_game(graph: Graph, game: Make) -> None:
    problem = game("pig(winscore=20)")
    state = problem.initial()
    state = problem.apply(state, 0)
    assert state.is_chance_node()
    assert problem.chance(state) == pytest.approx([1 / 6] * 6)
    assert len(problem.actions(state)) == 6


def test_rewards_beyond_one_are_scaled(game: Make) -> None:
    problem = game("backgammon(scoring_type=full_scoring)")
    assert problem.rewards == (-1, 1)
    rewards = problem.evaluate(problem.initial(), Random(1))
    assert sum(rewards) == 0
    assert abs(rewards[0]) in (1 / 3, 2 / 3, 1)


def test_the_same_board_is_the_same_position(graph: Graph, game: Make) -> None:
    tree = SearchTree(graph, game("tic_tac_toe"), seed=1, solve=False)
    tree.run(500)
    assert len(tree._growth.by_key) < len(tree)


@pytest.mark.parametrize(
    "name, said",
    [
        ("kuhn_poker", "do not see everything"),
        ("matching_pennies_3p", "at the same time"),
        ("goofspiel", "at the same time"),
        ("catch", ""),
        ("no_such_game", "no game"),
        ("connect_four(rows=-1)", "cannot be played"),
        ("hex(board_size=0)", "cannot be played"),
        ("nfg_game", "cannot load"),
        ("hex(size=3)", "cannot load"),
        (7, "cannot load"),
    ],
)
def test_a_game_that_cannot_be_searched_is_refused(game: Make, name: Any, said: str) -> None:
    if not said:
        game(name)
        return
    with pytest.raises(ProblemError, match=said) as caught:
        game(name)
    assert caught.value.hint


def test_what_a_game_gives_on_the_way_is_part_of_its_end(graph: Graph, game: Make) -> None:
    problem = game("cliff_walking(height=2,width=3,horizon=8)")
    tree = SearchTree(graph, problem, seed=1)
    tree.run(500)
    # Up, twice right, and down, each of which costs 1, and a fall 100.
    assert problem.game.min_utility() == -107
    found = tree.greatest()
    assert found is not None
    assert found[0] == pytest.approx(-4 / 107, abs=1e-6)
    assert len(tree.best_line()) == 4
    with pytest.raises(ProblemError, match="on the way"):
        game("cliff_walking", transpositions=True)


def test_moves_of_the_start_are_checked(game: Make) -> None:
    with pytest.raises(ProblemError, match="9 is no move"):
        game("connect_four", start=[3, 9])


def test_games_with_other_parameters_are_other_problems(graph: Graph, game: Make) -> None:
    SearchTree(graph, game("hex(board_size=3)")).run(5)
    with pytest.raises(LocalError, match="board_size=3"):
        SearchTree(graph, game("hex(board_size=4)"))


def test_a_game_without_end_is_given_up(game: Make, adapter: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "LENGTH_MAX", 3)
    problem = game("connect_four")
    with pytest.raises(ProblemError, match="does not end"):
        problem.evaluate(problem.initial(), Random(1))
