"""What `mcts-scale` and `mcts-split` measure: worlds that repeat, and totals that are what was counted."""

from __future__ import annotations

from itertools import islice

import pytest

from benchmarks.mcts_scale import Trial, Way, _hold, _play_one, _ways
from benchmarks.mctsnodes import NodeWorld, Result, Split, check_totals
from benchmarks.mctsworld import Cluster, World, apart, search_together, segments_read_once
from benchmarks.report import Report
from simulations.pgame import PGame, decisions

C = 0.8


@pytest.fixture(scope="module")
def game() -> PGame:
    # A small one, of which a few hundred rollouts find the best move.
    return next(islice(decisions(2, 6), 1))[0]


def nodes(game: PGame, split: Split | None = None, seed: int = 1) -> Result:
    return NodeWorld(game, 4, 200, seed, c=C, rollout_s=0.05, latency_s=0.005, split=split).run()


@pytest.mark.parametrize("in_flight", [True, False])
def test_all_writers_of_a_cluster_have_all_rollouts_in_one_tree(game: PGame, in_flight: bool) -> None:
    with segments_read_once():
        world = World(game, Cluster(5, 0.02, in_flight), 150, 3, c=C)
        world.run()
    for writer in world.writers:
        assert writer.tree.search.counters(writer.tree.root)[0] == 150
        assert sum(node.visits for node in writer.tree.children()) >= 150 - 5
    assert len({writer.graph.digest(plane=writer.plane.name) for writer in world.writers}) == 1


def test_what_is_in_flight_elsewhere_is_known_only_where_it_is_told(game: PGame) -> None:
    def most_at_once(cluster: Cluster) -> int:
        world, most = World(game, cluster, 60, 1, c=C), 0
        begin = world._begin

        def watched(writer: object) -> None:
            nonlocal most
            begin(writer)  # type: ignore[arg-type]
            most = max(most, len(world.writers[0].exchange.by_writer("move")))

        world._begin = watched  # type: ignore[assignment,method-assign]
        world.run()
        return most

    assert most_at_once(Cluster(4, 0.002)) == 3
    assert most_at_once(Cluster(4, 0.002, in_flight=False)) == 0


def test_equal_seeds_are_equal_searches(game: PGame) -> None:
    def times(seed: int) -> tuple[float, int, list[int]]:
        world = World(game, Cluster(3, 0.02), 60, seed, c=C)
        world.run()
        return world.now, world.messages, [node.visits for node in world.writers[1].tree.children()]

    assert times(1) == times(1) != times(2)


def test_whoever_searches_enough_finds_the_best_move_together_apart_and_alone() -> None:
    for game, truth in islice(decisions(2, 6), 5):
        best = {move for move, reward in enumerate(truth) if reward == max(truth)}
        assert search_together(game, Cluster(1), 300, 1, c=C) in best
        assert apart(game, 3, 900, 1, c=C) in best
        assert search_together(game, Cluster(3, 0.05), 300, 1, c=C) in best


@pytest.mark.slow
def test_real_nodes_come_to_the_same_kind_of_result() -> None:
    """The same in the simulator with the very nodes: one tree with all rollouts, and the best move."""
    right = 0
    for game, truth in islice(decisions(2, 6), 3):
        result = nodes(game)
        check_totals(result)
        assert result.root_visits == 200
        assert len(set(result.moves)) == 1
        right += truth[result.moves[0]] == max(truth)
    assert right == 3


def test_a_search_that_was_split_ends_with_the_sum_of_both_sides(game: PGame) -> None:
    result = nodes(game, Split(0.25, 0.75))
    check_totals(result)
    assert result.root_visits == 200
    assert min(result.sides) > 30


def test_a_search_that_stays_split_has_one_half_of_it_on_each_side(game: PGame) -> None:
    result = nodes(game, Split(0.25, 2.0))
    assert result.root_visits < 150
    with pytest.raises(AssertionError):
        check_totals(result)


def test_nodes_repeat_as_well(game: PGame) -> None:
    assert nodes(game).counted == nodes(game).counted


@pytest.mark.slow
def test_a_table_has_every_way_and_bars_for_both_delays() -> None:
    ways = list(_ways((2,)))
    assert [way.row for way in ways] == [
        "sequential", "2 apart", "2 at 5 ms", "2 at 5 ms, in flight not told", "2 at 50 ms",
        "2 at 50 ms, in flight not told",
    ]  # fmt: skip
    trial = Trial(2, 6, 40, C)
    seed = next(decisions(2, 6))[0].seed
    losses = _play_one((trial, seed, ways))
    assert len(losses) == len(ways)
    assert set(losses) <= {0, 1, 2}
    report = Report("mcts-scale", {})
    _hold(report, trial, ways, {way: [0, 0, 2] if isinstance(way, Way) and way.is_apart else [0, 0, 0] for way in ways})
    assert [bar.holds for bar in report.bars] == [True] * 6
