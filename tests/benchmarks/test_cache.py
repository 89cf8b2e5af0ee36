"""The traces say what a search read, the optimum is the optimum, and a replay knows what the search knew."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.cache import POLICIES, beginning, measure
from benchmarks.cache_models import models, policy_with
from benchmarks.traces.optimum import belady_hits, bound_of_hits
from benchmarks.traces.problems import Hex, Lines, Othello, Sailing, rollout
from benchmarks.traces.record import ENDING, FOLDER, PLANS, record
from benchmarks.traces.replay import Tree, replay
from benchmarks.traces.trace import NO_PARENT, VALUE_SCALE, Trace, dump, load
from crdtgraph.errors import CorruptError


def best_hits(reads: tuple[int, ...], sizes: tuple[int, ...], bytes_max: int) -> int:
    """By trying everything: after each read any of what is held, and of what was read, may go."""

    @cache
    def best(at: int, held: frozenset[int]) -> int:
        if at == len(reads):
            return 0
        node = reads[at]
        reach = held | {node}
        found = 0
        for kept in subsets(reach):
            if sum(sizes[each] for each in kept) <= bytes_max:
                found = max(found, best(at + 1, kept))
        return found + (node in held)

    return best(0, frozenset())


def subsets(of: frozenset[int]) -> list[frozenset[int]]:
    found: list[frozenset[int]] = [frozenset()]
    for each in sorted(of):
        found += [other | {each} for other in found]
    return found


short_reads = st.lists(st.integers(0, 4), max_size=9)


@given(short_reads, st.integers(0, 5))
def test_belady_is_the_optimum_for_equal_sizes(reads: list[int], room: int) -> None:
    assert belady_hits(reads, [1] * 5, room) == best_hits(tuple(reads), (1,) * 5, room)


@given(short_reads, st.lists(st.integers(1, 4), min_size=5, max_size=5), st.integers(0, 10))
def test_for_unequal_sizes_the_optimum_is_between_belady_and_the_bound(
    reads: list[int], sizes: list[int], room: int
) -> None:
    optimum = best_hits(tuple(reads), tuple(sizes), room)
    assert belady_hits(reads, sizes, room) <= optimum <= bound_of_hits(reads, sizes, room)


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200), st.integers(1, 20))
def test_no_policy_beats_belady(reads: list[int], room: int) -> None:
    trace = Trace("made up", 2)
    numbers: dict[int, int] = {}
    for key in reads:
        if key not in numbers:
            numbers[key] = trace.add_node(numbers[reads[0]] if numbers else NO_PARENT, 1)
        trace.read(numbers[key])
    optimum = belady_hits(trace.reads(), trace.sizes, room)
    assert all(replay(trace, room, policy).hits <= optimum for policy in POLICIES.values())


@pytest.mark.parametrize("name", PLANS)
def test_a_search_recorded_again_is_the_same_byte_for_byte(name: str) -> None:
    first, again, other = (dump(record(name, seed=seed, iterations=60)) for seed in (5, 5, 6))
    assert first == again != other


def test_every_search_has_its_trace_and_every_trace_is_sound() -> None:
    files = {path.name.removesuffix(ENDING): path for path in FOLDER.glob(f"*{ENDING}")}
    assert files.keys() == PLANS.keys()
    for name, path in files.items():
        trace = load(path)
        assert trace.name == name
        assert path.stat().st_size < 300_000
        assert dump(trace) == path.read_bytes()
        assert set(trace.reads()) == set(range(len(trace.parents)))
        assert all(parent < node for node, parent in enumerate(trace.parents))
        assert sum(event < 0 for event in trace.events) == len(trace.values)
        assert min(trace.sizes) > 0


def test_a_shipped_trace_is_what_the_recorder_makes() -> None:
    shipped = load(FOLDER / f"connect-four{ENDING}")
    recorded = record("connect-four", iterations=100)
    assert shipped.events[: len(recorded.events)] == recorded.events
    assert shipped.sizes[: len(recorded.sizes)] == recorded.sizes


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_a_cut_file_is_an_error_that_names_it(tmp_path: Path, kept: int) -> None:
    path = tmp_path / f"cut{ENDING}"
    path.write_bytes(dump(record("connect-four", iterations=50))[:kept])
    with pytest.raises(CorruptError, match="cut"):
        load(path)


def test_a_replayed_tree_knows_visits_and_values() -> None:
    trace = Trace("made up", 2)
    root = trace.add_node(NO_PARENT, 1)
    left, right = trace.add_node(root, 1), trace.add_node(root, 1)
    tree = Tree(trace)
    for node, value in ((left, 1.0), (right, 0.25), (right, 0.75)):
        tree.backup(node, value)
    assert [tree.visits(node) for node in (root, left, right)] == [3, 1, 2]
    # The first player moves at the root, and so chooses between these two; the root's value is the second one's.
    assert [tree.value(left), tree.value(right)] == [1.0, 0.5]
    assert tree.value(root) == pytest.approx(1 - 2 / 3)
    assert (tree.best_child(root), tree.best_child(left)) == (right, None)
    assert (tree.parent(left), tree.parent(root), tree.depth(left)) == (root, None, 1)


def test_values_are_in_fixed_point() -> None:
    trace = Trace("made up", 1)
    trace.backup(0, 0.5)
    assert list(trace.values) == [VALUE_SCALE // 2]


def test_a_row_of_the_benchmark_is_complete_and_in_order() -> None:
    row = measure(beginning(load(FOLDER / f"hex-parallel{ENDING}"), 2_000), 0.1)
    assert 0 < row["lru"] <= row["belady"] <= row["bound"] <= 1
    assert row["of_belady"] == row["learned"] / row["belady"]
    assert row["loads_a_read"] >= 1 - row["prefetching"]


def test_our_own_model_put_in_the_place_of_itself_changes_nothing() -> None:
    trace = beginning(load(FOLDER / f"hex-parallel{ENDING}"), 2_000)
    assert replay(trace, 2_000, policy_with(models()["own"])) == replay(trace, 2_000, POLICIES["learned"])


def test_lines_are_seen_in_all_directions_and_not_over_the_edge() -> None:
    game = Lines(3, 3, 3)
    for line, won in (((0, 1, 2), True), ((0, 4, 8), True), ((0, 5, 10), True), ((2, 5, 8), True), ((1, 2, 4), False)):
        # A row takes four bits, of which the last is no square.
        stones = sum(1 << square for square in line)
        assert (game.result((0, stones, 5)) == 1.0) == won


def test_a_stone_drops_to_the_bottom() -> None:
    game = Lines(7, 6, 4, drop=True)
    state = game.play(game.start(), 3)
    assert game.moves(state, Random(0)) == [0, 1, 2, 4, 5, 6, 11]


def test_hex_is_won_by_a_chain_and_never_drawn() -> None:
    game = Hex(3)
    assert game.result((0, 1 << 0 | 1 << 4 | 1 << 8, 5)) == 1.0
    assert game.result((0, 1 << 0 | 1 << 1 | 1 << 2, 5)) is None
    assert game.result((0, 1 << 0 | 1 << 1 | 1 << 2, 6)) == 0.0
    assert all(rollout(game, game.start(), Random(seed)) in (0.0, 1.0) for seed in range(50))


def test_othello_turns_stones_and_ends() -> None:
    game = Othello(6, 6)
    assert len(game.moves(game.start(), Random(0))) == 4
    after = game.play(game.start(), game.moves(game.start(), Random(0))[0])
    assert (after[0].bit_count(), after[1].bit_count()) == (1, 4)
    assert all(0 <= rollout(game, game.start(), Random(seed)) <= 1 for seed in range(20))


def test_a_track_grows_with_every_leg() -> None:
    problem = Sailing()
    state = problem.play(problem.start(), 0.8)
    assert len(problem.paths(state)) == 6
    assert state[1][2] > 0
