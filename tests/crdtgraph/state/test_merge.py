"""Merging the targets of a conflicted ref: three-way by path, several heads, several merge bases."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping

import pytest

import crdtgraph
from crdtgraph import CommitId, Graph, Host, MergeResult, PathConflict, Reference, Value
from crdtgraph.state import merge_states

KEPT = object()
"""Marks a side that leaves the path as it was."""


@pytest.fixture
def graph() -> Iterator[Graph]:
    clock = itertools.count(1_700_000_000_000_000)
    host = Host(now_us=lambda: next(clock), random_bytes=random.Random(7).randbytes)
    with crdtgraph.open("memory:", host=host) as opened:
        yield opened


def point(graph: Graph, *targets: CommitId, name: str = "main") -> None:
    for target in targets:
        graph.set_ref(name, target, keep_others=True)
    assert set(graph.refs[name].targets) == set(targets)


def merge(graph: Graph, *targets: CommitId) -> MergeResult:
    point(graph, *targets)
    result = graph.merge("main")
    assert result.merged
    assert result.parents == graph.parents(result.commit)
    assert graph.refs["main"].targets == (result.commit,)
    return result


def child(graph: Graph, parents: list[CommitId], changes: Mapping[str, Value]) -> CommitId:
    """A commit that is never the same as another of these tests."""
    return graph.commit(parents=parents, changes=changes, message=str(len(graph)))


# base, ours, theirs -> merged, conflict. None: the path is not there.
ONE_PATH: list[tuple[Value, Value, Value, Value, bool]] = [
    (None, None, None, None, False),
    (b"0", b"0", b"0", b"0", False),
    (b"0", b"1", b"0", b"1", False),
    (b"0", b"0", b"2", b"2", False),
    (b"0", b"1", b"1", b"1", False),
    (b"0", b"1", b"2", b"1", True),
    (None, b"1", None, b"1", False),
    (None, None, b"2", b"2", False),
    (None, b"1", b"1", b"1", False),
    (None, b"1", b"2", b"1", True),
    (b"0", None, b"0", None, False),
    (b"0", b"0", None, None, False),
    (b"0", None, None, None, False),
    (b"0", None, b"2", None, True),
    (b"0", b"1", None, b"1", True),
    (b"", None, b"", None, False),
    (None, b"", None, b"", False),
    (b"0", Reference("s", b"d", 1), b"0", Reference("s", b"d", 1), False),
    (b"0", Reference("s", b"d", 1), Reference("s", b"d", 1), Reference("s", b"d", 1), False),
    (b"0", Reference("s", b"d", 1), Reference("s", b"d", 2), Reference("s", b"d", 1), True),
    (b"0", Reference("s", b"d", 1), b"d", Reference("s", b"d", 1), True),
]


@pytest.mark.parametrize("base, ours, theirs, merged, conflict", ONE_PATH)
def test_every_case_of_one_path(
    graph: Graph, base: Value, ours: Value, theirs: Value, merged: Value, conflict: bool
) -> None:
    root = child(graph, [], {} if base is None else {"p": base})
    sides = []
    for time, value in ((9, ours), (1, theirs)):
        changes: dict[str, Value] = {} if value == base else {"p": value}
        sides.append(graph.commit(parents=[root], changes=changes, message=str(time), time=time))
    result = merge(graph, *sides)
    assert result.parents == tuple(sides), "the later one is first"
    assert result.conflicts == ((PathConflict("p", base, ours, theirs),) if conflict else ())
    assert graph.state(result.commit).get("p") == merged
    assert ("p" in graph.state(result.commit)) == (merged is not None)


@pytest.mark.parametrize("base, ours, theirs, merged, conflict", ONE_PATH)
def test_swapping_the_sides_swaps_a_conflict_and_nothing_else(
    base: Value, ours: Value, theirs: Value, merged: Value, conflict: bool
) -> None:
    def state(value: Value) -> dict[str, Value]:
        return {} if value is None else {"p": value}

    for mine, other in ((ours, theirs), (theirs, ours)):
        changes, conflicts, _ = merge_states([state(base)], state(mine), state(other))
        assert [(found.base, found.ours, found.theirs) for found in conflicts] == [(base, mine, other)] * conflict
        assert {"p": mine, **changes}["p"] == (mine if conflict else merged)


def test_paths_are_merged_one_by_one(graph: Graph) -> None:
    root = child(graph, [], dict.fromkeys(("both", "gone", "left", "right", "same", "still"), b"0"))
    left = graph.commit(
        parents=[root], time=9, changes={"both": b"1", "left": b"1", "same": b"x", "gone": None, "new/l": b"l"}
    )
    right = graph.commit(
        parents=[root], time=1, changes={"both": b"2", "right": b"2", "same": b"x", "gone": b"2", "new/r": b"r"}
    )
    result = merge(graph, left, right)
    assert result.conflicts == (PathConflict("both", b"0", b"1", b"2"), PathConflict("gone", b"0", None, b"2"))
    assert graph.state(result.commit) == {
        "both": b"1", "left": b"1", "right": b"2", "same": b"x", "still": b"0", "new/l": b"l", "new/r": b"r",
    }  # fmt: skip
    assert graph.get(result.commit).changes == (("new/r", b"r"), ("right", b"2")), "only what differs from the first"


def test_a_change_far_down_either_side_counts_once(graph: Graph) -> None:
    root = child(graph, [], {"p": b"0", "q": b"0"})
    left = right = root
    for number in range(20):
        left = child(graph, [left], {"p": b"%d" % number})
        right = child(graph, [right], {"q": b"%d" % number, f"r{number}": b"" if number % 2 else None})
    back = child(graph, [right], {"p": b"1"})
    there = child(graph, [back], {"p": b"0"})
    result = merge(graph, left, there)
    assert result.conflicts == (), "a change that was taken back is none"
    state = graph.state(result.commit)
    assert (state["p"], state["q"]) == (b"19", b"19")


def test_heads_without_a_common_root_merge_against_nothing(graph: Graph) -> None:
    one = graph.commit(changes={"a": b"1", "c": b"same", "d": b"1"}, time=9)
    two = graph.commit(changes={"b": b"2", "c": b"same", "d": b"2"}, time=1)
    result = merge(graph, one, two)
    assert result.conflicts == (PathConflict("d", None, b"1", b"2"),)
    assert graph.state(result.commit) == {"a": b"1", "b": b"2", "c": b"same", "d": b"1"}


@pytest.mark.parametrize("arms", [3, 5, 40])
def test_an_octopus_takes_every_arm(graph: Graph, arms: int) -> None:
    root = child(graph, [], {"shared": b"0"} | {f"old{number}": b"" for number in range(arms)})
    heads = [child(graph, [root], {f"new{number}": b"%d" % number, f"old{number}": None}) for number in range(arms)]
    result = merge(graph, *heads)
    assert set(result.parents) == set(heads)
    assert result.conflicts == ()
    assert graph.state(result.commit) == {"shared": b"0"} | {f"new{n}": b"%d" % n for n in range(arms)}


def test_an_octopus_reports_each_arm_that_disagrees(graph: Graph) -> None:
    root = child(graph, [], {"p": b"0"})
    heads = [graph.commit(parents=[root], time=9 - number, changes={"p": b"%d" % number}) for number in range(1, 5)]
    agreeing = graph.commit(parents=[root], time=1, changes={"p": b"1"})
    untouched = graph.commit(parents=[root], time=0, changes={"q": b"q"})
    result = merge(graph, *heads, agreeing, untouched)
    assert result.conflicts == tuple(PathConflict("p", b"0", b"1", b"%d" % number) for number in (2, 3, 4))
    assert graph.state(result.commit) == {"p": b"1", "q": b"q"}


def test_an_arm_that_forked_off_another_arm_merges_against_the_fork(graph: Graph) -> None:
    root = child(graph, [], {"p": b"0"})
    line = child(graph, [root], {"p": b"1"})
    a = child(graph, [line], {"p": b"2"})
    b = child(graph, [root], {"q": b"b"})
    c = child(graph, [line], {"r": b"c"})
    result = merge(graph, a, b, c)
    assert result.conflicts == ()
    assert graph.state(result.commit) == {"p": b"2", "q": b"b", "r": b"c"}


def test_an_arm_that_forked_off_a_later_arm_merges_against_that_fork(graph: Graph) -> None:
    root = child(graph, [], {"p": b"0"})
    line = child(graph, [root], {"p": b"1"})
    first = child(graph, [child(graph, [child(graph, [root], {})], {})], {"a": b""})
    second = graph.commit(parents=[line], time=9, changes={"p": b"2"})
    third = graph.commit(parents=[line], time=1, changes={"c": b""})
    result = merge(graph, first, second, third)
    assert result.parents == (first, second, third)
    assert result.conflicts == ()
    assert graph.state(result.commit) == {"p": b"2", "a": b"", "c": b""}


def criss_cross(graph: Graph, x: Value, y: Value) -> tuple[CommitId, CommitId]:
    """Two heads with two merge bases: one where `p` is `x`, one where it is `y`."""
    root = child(graph, [], {"p": b"0"})
    left, right = child(graph, [root], {"p": x}), child(graph, [root], {"p": y})
    one = graph.commit(parents=[left, right], message="one")
    two = graph.commit(parents=[right, left], message="two")
    assert graph.merge_bases(one, two) == sorted([left, right])
    return one, two


def test_a_criss_cross_with_two_resolutions_is_a_conflict(graph: Graph) -> None:
    one, two = criss_cross(graph, b"x", b"y")
    result = merge(graph, one, two)
    assert len(result.conflicts) == 1
    assert {result.conflicts[0].ours, result.conflicts[0].theirs} == {b"x", b"y"}


def test_a_criss_cross_where_one_side_went_on_takes_it(graph: Graph) -> None:
    one, two = criss_cross(graph, b"x", b"x")
    further = child(graph, [one], {"p": b"z"})
    result = merge(graph, further, two)
    assert result.conflicts == ()
    assert graph.state(result.commit)["p"] == b"z"


def test_a_criss_cross_where_both_went_on_is_a_conflict(graph: Graph) -> None:
    one, two = criss_cross(graph, b"x", b"y")
    result = merge(graph, child(graph, [one], {"p": b"1"}), child(graph, [two], {"p": b"2"}))
    assert [(found.ours, found.theirs) for found in result.conflicts] in ([(b"1", b"2")], [(b"2", b"1")])


def test_a_merge_has_no_author_and_no_clock_of_its_own() -> None:
    def merged(seed: int) -> tuple[CommitId, crdtgraph.Commit, tuple[PathConflict, ...]]:
        clock = itertools.count(seed << 40)
        rng = random.Random(seed)
        host = Host(now_us=lambda: next(clock), random_bytes=rng.randbytes)
        with crdtgraph.open("memory:", host=host, author=f"author {seed}") as graph:
            root = graph.commit(author="a", time=0, changes={f"p{number}": b"0" for number in range(50)})
            heads = [
                graph.commit(
                    parents=[root], author="a", time=number, changes={f"p{n}": b"%d" % number for n in range(50)}
                )
                for number in range(1, 6)
            ]
            rng.shuffle(heads)
            result = merge(graph, *heads)
            return result.commit, graph.get(result.commit), result.conflicts

    assert merged(1) == merged(2) == merged(3)
    made = merged(1)[1]
    assert (made.author, made.time) == ("crdtgraph", 5), "the time is the latest of its parents"
    assert all(parent.hex()[:12] in made.message for parent in made.parents)


def test_a_preview_changes_nothing(graph: Graph) -> None:
    root = child(graph, [], {})
    point(graph, child(graph, [root], {"a": b""}), child(graph, [root], {"b": b""}))
    before = graph.digest(), len(graph)
    preview = graph.preview_merge("main")
    assert (graph.digest(), len(graph)) == before
    assert graph.merge("main") == preview


def test_a_merge_that_is_known_already_only_moves_the_ref(graph: Graph) -> None:
    root = child(graph, [], {})
    heads = [child(graph, [root], {name: b""}) for name in "ab"]
    point(graph, *heads, name="one")
    point(graph, *heads, name="two")
    assert graph.merge("one").commit == graph.merge("two").commit == graph.refs["two"]
    assert len(graph) == 4
