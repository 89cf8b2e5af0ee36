"""P-games: the published parameters, the same game from the same seed, and a truth that brute force confirms."""

from __future__ import annotations

import random
from itertools import islice

import pytest

from simulations.pgame import PUBLISHED, VALUE_MAX, PGame, Place, decisions


def brute(game: PGame, state: Place) -> float:
    actions = game.actions(state)
    if not actions:
        return game.evaluate(state, random.Random(0))
    values = [brute(game, game.apply(state, action)) for action in actions]
    return min(values) if game.player(state) else max(values)


@pytest.mark.parametrize("branching, depth", [(2, 1), (2, 2), (2, 9), (3, 5), (5, 4), (8, 3)])
def test_the_truth_is_that_of_a_full_search(branching: int, depth: int) -> None:
    for seed in range(10):
        game = PGame(branching, depth, seed)
        root = game.initial()
        moves = [brute(game, game.apply(root, action)) for action in game.actions(root)]
        # Of what is beyond the best reply of a brother only that much is known; at the root no move has a brother.
        assert game.truth() == moves, seed


def test_moves_have_values_from_0_to_127_of_the_players_sign_and_evenly() -> None:
    game = PGame(8, 8, 7)
    root = game.initial()
    for depth, state in enumerate([root, game.apply(root, 3)]):
        values = [game._value(node, depth) for node in range(50_000)]
        sign = -1 if game.player(state) else 1
        assert {sign * value for value in values} == set(range(VALUE_MAX + 1))
        assert abs(sign * sum(values) / len(values) - VALUE_MAX / 2) < 1


def test_the_sum_on_the_way_decides() -> None:
    game = PGame(2, 20, 3)
    state, total = game.initial(), 0
    while actions := game.actions(state):
        depth = state.depth
        state = game.apply(state, actions[state.node % 2])
        total += game._value(state.node, depth)
    assert (state.total, state.depth) == (total, 20)
    assert game.evaluate(state, random.Random(0)) == (total > 0) - (total < 0)


def test_equal_seeds_are_equal_games_and_the_first_are_pinned() -> None:
    found = {shape: [(game.seed, truth) for game, truth in islice(decisions(*shape), 3)] for shape in PUBLISHED}
    assert found == {
        (2, 20): [(1, [-1, 1]), (2, [1, -1]), (5, [-1, 1])],
        (8, 8): [
            (0, [-1, -1, -1, -1, -1, -1, 1, -1]),
            (1, [-1, -1, -1, 1, -1, -1, -1, -1]),
            (3, [-1, -1, -1, -1, 1, -1, -1, -1]),
        ],
    }
    games = [PGame(2, 20, 5), PGame(2, 20, 5), PGame(2, 20, 6)]
    ends = [[game.evaluate(game.initial(), random.Random(each)) for each in range(50)] for game in games]
    assert ends[0] == ends[1] != ends[2]
    assert games[0].identity == games[1].identity != games[2].identity


def test_regret_is_what_a_move_loses_against_the_best() -> None:
    game = PGame(8, 8, 0)
    assert [game.regret(action, [1, 0, -1]) for action in range(3)] == [0, 1, 2]
