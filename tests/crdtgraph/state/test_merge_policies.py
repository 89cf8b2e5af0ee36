"""Merging a ref by policies: from the call, from the ledger, by functions; and the same commit wherever it is made."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import (
    Graph,
    LocalError,
    MergePolicy,
    NotFoundError,
    PathConflict,
    SettledPath,
    Value,
    compare,
)
from crdtgraph.union import unite
from tests.crdtgraph.state.heads import conflicted, meet, opened
from tests.crdtgraph.test_divergence_laws import NAMES, lived

GOLDEN = Path(__file__).parents[2] / "golden" / "merges.json"


@pytest.fixture
def graph() -> Iterator[Graph]:
    with opened(7) as graph:
        yield graph


def test_a_call_names_policies(graph: Graph) -> None:
    base = {"scores/a": b"1", "scores/b": b"1", "other": b"1"}
    conflicted(graph, base, dict.fromkeys(base, b"2"), dict.fromkeys(base, b"30"))
    preview = graph.preview_merge("main", policies={"scores/*": "max", "scores/b": MergePolicy.SUM})
    assert len(graph.refs["main"].targets) == 2
    result = graph.merge("main", policies={"scores/b": MergePolicy.SUM, "scores/*": "max"})
    assert result == preview
    assert result.conflicts == (PathConflict("other", b"1", b"2", b"30"),)
    assert graph.state(result.commit) == {"scores/a": b"30", "scores/b": b"31", "other": b"2"}
    assert result.settled == (SettledPath("scores/a", "max", b"30"), SettledPath("scores/b", "sum", b"31"))


def test_the_ledger_keeps_policies(graph: Graph) -> None:
    graph.set_merge_policy("**", "min")
    graph.set_merge_policy("scores/*", MergePolicy.MAX)
    assert graph.merge_policies() == {"scores/*": MergePolicy.MAX, "**": MergePolicy.MIN}
    assert list(graph.merge_policies()) == ["scores/*", "**"], "the most specific first"
    assert graph.meta() == {"merge/**": b"min", "merge/scores/*": b"max"}
    conflicted(graph, {"scores/a": b"1", "b": b"9"}, {"scores/a": b"2", "b": b"5"}, {"scores/a": b"3", "b": b"4"})
    stored = graph.preview_merge("main")
    assert stored.conflicts == ()
    assert graph.preview_merge("main", policies=graph.merge_policies()) == stored
    assert [each.path for each in graph.preview_merge("main", policies={}).conflicts] == ["b", "scores/a"]
    assert [each.path for each in graph.preview_merge("main", policies={"b": "ours"}).conflicts] == ["scores/a"]
    graph.set_merge_policy("scores/*", None)
    assert graph.merge_policies() == {"**": MergePolicy.MIN}
    result = graph.merge("main")
    assert graph.state(result.commit) == {"scores/a": b"2", "b": b"4"}


def test_what_a_peer_wrote_stops_no_merge(graph: Graph) -> None:
    graph.set_meta("merge/p", b"of a newer version")
    graph.set_meta("merge/[", b"max")
    graph.set_meta("merge/", b"max")
    graph.set_meta("merge/**", b"max")
    assert graph.merge_policies() == {"p": MergePolicy.CONFLICT, "**": MergePolicy.MAX}
    conflicted(graph, {}, {"p": b"1", "[": b"1"}, {"p": b"2", "[": b"2"})
    assert graph.merge("main").conflicts == (PathConflict("p", None, b"1", b"2"),)


@pytest.mark.parametrize(
    "pattern, policy", [("[", "max"), ("", "max"), ("a\n", "max"), ("a", "most"), ("a", 3), (3, "max")]
)
def test_a_policy_that_is_none_is_not_kept(graph: Graph, pattern: str, policy: str) -> None:
    before = graph.digest()
    with pytest.raises(LocalError) as caught:
        graph.set_merge_policy(pattern, policy)
    assert caught.value.hint
    assert graph.digest() == before


def test_a_policy_that_is_not_there_is_not_removed(graph: Graph) -> None:
    graph.set_merge_policy("a", "max")
    with pytest.raises(NotFoundError, match="'b'") as caught:
        graph.set_merge_policy("b", None)
    assert "'a'" in caught.value.hint
    graph.set_merge_policy("a", None)
    with pytest.raises(NotFoundError):
        graph.set_merge_policy("a", None)


def test_policies_are_checked_even_when_nothing_is_to_be_merged(graph: Graph) -> None:
    graph.commit(ref="main")
    assert not graph.merge("main", policies={"a": "max"}).merged
    with pytest.raises(LocalError, match="'most' is no merge policy"):
        graph.merge("main", policies={"a": "most"})


def test_a_merge_by_policies_of_the_call_is_durable_at_once(graph: Graph) -> None:
    """Nobody would make the same one again."""
    for name, policies, durable in (("one", None, False), ("two", {"p": "max"}, True), ("three", {}, True)):
        conflicted(graph, {"p": b"0"}, {"p": b"1"}, {"p": b"2"}, name=name)
        graph.flush()
        assert graph.is_durable(graph.merge(name, policies=policies).commit) is durable


# Functions


def test_a_function_decides(graph: Graph) -> None:
    asked = []

    def joined(path: str, base: Value, ours: Value, theirs: Value) -> Value | MergePolicy:
        asked.append((path, base, ours, theirs))
        if path == "gone":
            return None
        if path == "both":
            return MergePolicy.CONFLICT
        assert isinstance(ours, bytes)
        assert isinstance(theirs, bytes)
        return ours + theirs

    base: dict[str, Value] = {"a": b"0", "both": b"0", "gone": b"0", "mine": b"0"}
    ours: dict[str, Value] = dict.fromkeys(base, b"1")
    conflicted(graph, base, ours, {"a": b"2", "both": b"2", "gone": b"2", "new": b"2"})
    result = graph.merge("main", policies={"*": joined})
    assert graph.state(result.commit) == {"a": b"12", "both": b"1", "mine": b"1", "new": b"2"}
    assert result.conflicts == (PathConflict("both", b"0", b"1", b"2"),)
    assert result.settled == (SettledPath("a", "function", b"12"), SettledPath("gone", "function", None))
    assert asked == [(path, b"0", b"1", b"2") for path in ("a", "both", "gone")], "only about paths in dispute"


def boom(path: str, base: Value, ours: Value, theirs: Value) -> Value:
    raise RuntimeError("out of order")


@pytest.mark.parametrize(
    "function, said",
    [
        (boom, "'p' failed: RuntimeError: out of order"),
        (lambda path: b"", "'p' failed: TypeError"),
        (max, "'p' failed: TypeError"),
        (lambda *_: "text", "the value of path 'p' is str"),
        (lambda *_: True, "the value of path 'p' is bool"),
        (lambda *_: MergePolicy.MAX, "answered with the policy 'max'"),
        (lambda *_: crdtgraph.Reference("s", b"", -1), "size"),
    ],
)
def test_a_function_that_fails_changes_nothing(graph: Graph, function: Callable[..., Value], said: str) -> None:
    conflicted(graph, {"a": b"0", "p": b"0"}, {"a": b"1", "p": b"1"}, {"a": b"2", "p": b"2"})
    before = graph.digest(), len(graph)
    with pytest.raises(LocalError, match=said):
        graph.merge("main", policies={"p": function, "a": "max"})
    assert (graph.digest(), len(graph)) == before
    assert len(graph.refs["main"].targets) == 2


def test_an_error_of_the_library_in_a_function_is_raised_as_it_is(graph: Graph) -> None:
    def looks(path: str, base: Value, ours: Value, theirs: Value) -> Value:
        graph.resolve("nowhere")
        return None

    conflicted(graph, {}, {"p": b"1"}, {"p": b"2"})
    with pytest.raises(NotFoundError, match="nowhere"):
        graph.merge("main", policies={"p": looks})


# The latest


def test_the_latest_is_by_the_commit_that_set_the_path_and_not_by_the_head(graph: Graph) -> None:
    root = graph.commit(time=0, changes={"p": b"0", "q": b"0"})
    early = graph.commit(parents=[root], time=10, changes={"p": b"early"})
    left = graph.commit(parents=[early], time=90, changes={"q": b"left"})
    right = graph.commit(parents=[root], time=50, changes={"p": b"late", "q": b"right"})
    right = graph.commit(parents=[right], time=51)
    for head in (left, right):
        graph.set_ref("main", head, keep_others=True)
    result = graph.merge("main", policies={"*": "latest"})
    assert graph.state(result.commit) == {"p": b"late", "q": b"left"}
    assert result.conflicts == ()


def test_a_merge_that_took_a_path_over_did_not_set_it(graph: Graph) -> None:
    root = graph.commit(time=0, changes={"p": b"0"})
    one = graph.commit(parents=[root], time=99, message="the winner")
    two = graph.commit(parents=[root], time=5, changes={"p": b"5"})
    for head in (one, two):
        graph.set_ref("side", head, keep_others=True)
    taken = graph.merge("side").commit
    assert (graph.get(taken).changes, graph.get(taken).time) == ((("p", b"5"),), 99)
    other = graph.commit(parents=[root], time=7, changes={"p": b"7"})
    for head in (taken, other):
        graph.set_ref("main", head, keep_others=True)
    assert graph.state(graph.merge("main", policies={"p": "latest"}).commit)["p"] == b"7"


def test_a_removal_can_be_the_latest(graph: Graph) -> None:
    conflicted(graph, {"p": b"0", "q": b"0"}, {"p": None, "q": b"1"}, {"p": b"2", "q": None})
    assert graph.state(graph.merge("main", policies={"*": "latest"}).commit) == {"q": b"1"}


@pytest.mark.parametrize("set_at", [(1, 9), (9, 1)])
def test_the_latest_of_an_octopus_is_the_latest_of_all_that_hold_the_value(
    graph: Graph, set_at: tuple[int, int]
) -> None:
    root = graph.commit(time=0, changes={"p": b"0"})
    further = graph.commit(parents=[root], time=set_at[0], changes={"p": b"1"})
    first = graph.commit(parents=[further], time=10)
    again = graph.commit(parents=[graph.commit(parents=[root], time=set_at[1], changes={"p": b"1"})], time=10)
    between = graph.commit(parents=[root], time=5, changes={"p": b"2"})
    for head in (first, again, between):
        graph.set_ref("main", head, keep_others=True)
    assert set(graph.refs["main"].targets[:2]) == {first, again}
    assert graph.state(graph.merge("main", policies={"p": "latest"}).commit)["p"] == b"1"


def test_a_head_that_undid_what_another_one_did_is_heard(graph: Graph) -> None:
    """Though neither it nor the first head ever set the path since they parted: it left it out of a merge."""
    root = graph.commit(changes={"q": b"0"})
    first = graph.commit(parents=[graph.commit(parents=[graph.commit(parents=[root], message="1")], message="2")])
    raised = graph.commit(parents=[root], changes={"q": b"5"})
    second = graph.commit(parents=[raised], time=9, changes={"b": b""})
    aside = graph.commit(parents=[root], changes={"c": b""})
    third = graph.commit(parents=[aside, raised], time=1, changes={"d": b""})
    for head in (first, second, third):
        graph.set_ref("main", head, keep_others=True)
    assert graph.refs["main"].targets == (first, second, third)
    result = graph.merge("main")
    assert (graph.state(result.commit)["q"], result.conflicts) == (b"0", ())


def test_a_counter_that_both_sides_put_back_counts_so_as_well(graph: Graph) -> None:
    """As the changes from the base say it, though neither chain of first parents ever set the path."""
    root = graph.commit(changes={"n": b"0"})
    base = graph.commit(parents=[root], changes={"n": b"5"})
    heads = [
        graph.commit(parents=[graph.commit(parents=[root], message=side), base], time=time)
        for side, time in (("left", 2), ("right", 1))
    ]
    for head in heads:
        graph.set_ref("main", head, keep_others=True)
    assert graph.merge_bases(*heads) == [base]
    assert graph.state(graph.merge("main", policies={"n": "sum"}).commit) == {"n": b"-5"}


# Everywhere alike


@pytest.mark.parametrize("arms", [2, 3, 7])
def test_a_counter_counts_every_arm_of_an_octopus(graph: Graph, arms: int) -> None:
    conflicted(graph, {"n": b"5"}, *({"n": b"%d" % (5 + number)} for number in range(1, arms + 1)))
    result = graph.merge("main", policies={"n": "sum"})
    assert graph.state(result.commit) == {"n": b"%d" % (5 + sum(range(1, arms + 1)))}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 40))
def test_replicas_that_hold_the_same_make_the_same_merge(seed: int, steps: int) -> None:
    """Whatever order heads and policies came in; and it is the one that `compare` foretold."""
    rng = random.Random(seed)
    graphs = lived(seed, 3, steps)
    for graph in graphs:
        graph.set_merge_policy(rng.choice(["p", "?", "**"]), rng.choice(list(MergePolicy)))
        graph.flush()
    foretold = {merge.ref: merge.conflicts for merge in compare(*graphs).merges}
    pairs = list(itertools.permutations(graphs, 2))
    for _ in range(2):
        rng.shuffle(pairs)
        for source, target in pairs:
            unite(source, target)
    assert len({graph.digest() for graph in graphs}) == 1
    assert len({tuple(graph.merge_policies().items()) for graph in graphs}) == 1
    for name in NAMES:
        if len(graphs[0].refs.targets(name)) > 1:
            results = [graph.merge(name) for graph in graphs]
            assert results[0] == results[1] == results[2]
            assert foretold.get(name, results[0].conflicts) == results[0].conflicts


def test_merges_by_different_policies_are_a_conflict_that_the_next_merge_ends() -> None:
    with opened(1) as one, opened(2) as two:
        conflicted(one, {"p": b"0", "n": b"1"}, {"p": b"1", "n": b"3"}, {"p": b"2", "n": b"5"})
        meet(one, two)
        one.set_merge_policy("p", "max")
        one.set_merge_policy("n", "sum")
        merged = one.merge("main").commit, two.merge("main").commit
        assert one.state(merged[0]) == {"p": b"2", "n": b"7"}
        assert two.state(merged[1]) == {"p": b"1", "n": b"3"}
        meet(one, two)
        assert set(one.refs["main"].targets) == set(two.refs["main"].targets) == set(merged)
        again = one.merge("main"), two.merge("main")
        assert again[0] == again[1]
        assert again[0].conflicts == ()
        assert one.state(again[0].commit) == {"p": b"2", "n": b"7"}
        meet(one, two)
        assert one.refs["main"].targets == two.refs["main"].targets == (again[0].commit,)
        assert one.digest() == two.digest()


EXAMPLES: dict[str, tuple[Value, Value, Value]] = {
    "conflict": (b"0", b"1", b"2"),
    "ours": (b"0", b"1", b"2"),
    "theirs": (b"0", b"1", b"2"),
    "latest": (b"0", None, b"2"),
    "max": (b"0", b"9", b"10.50"),
    "min": (b"0", b"9", b"-10.50"),
    "sum": (b"7", b"10", b"6.25"),
    "set-union": (b"a\nb\n", b"b\nd\n", b"c\na\nb\n"),
    "text": (b"1\n2\n3\n4\n5\n", b"1\nzwei\n3\n4\n5\n", "1\n2\n3\n4\nfünf".encode()),
}


def test_the_merges_of_every_policy_are_pinned(graph: Graph) -> None:
    """A change here makes replicas of two versions disagree."""
    assert EXAMPLES.keys() == set(MergePolicy)
    made = {}
    for policy, (base, ours, theirs) in EXAMPLES.items():
        conflicted(graph, {"p": base}, {"p": ours}, {"p": theirs}, name=policy)
        commit = graph.merge(policy, policies={"p": policy}).commit
        value = graph.state(commit).get("p")
        made[policy] = {
            "value": value.decode() if isinstance(value, bytes) else None,
            "id": commit.hex(),
        }
    assert made == json.loads(GOLDEN.read_text("utf-8"))
