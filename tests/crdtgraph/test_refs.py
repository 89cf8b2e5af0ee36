"""Refs as multi-value registers in which a target that another one descends from does not count."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

import crdtgraph
from crdtgraph import CommitId, Durability, Graph, Host, LocalError, NotFoundError
from crdtgraph.update import Update, decode_update

PLANE = "ledger"


def open_replica(seed: int) -> Graph:
    rng = random.Random(seed)
    clock = itertools.count(1_700_000_000_000_000 + seed)
    return crdtgraph.open("memory:", host=Host(now_us=lambda: next(clock), random_bytes=rng.randbytes))


@pytest.fixture
def pair() -> Iterator[tuple[Graph, Graph]]:
    with open_replica(1) as one, open_replica(2) as two:
        yield one, two


def exchange(*graphs: Graph) -> None:
    for graph in graphs:
        graph.flush()
    for source, target in itertools.permutations(graphs, 2):
        for delta in list(source.deltas(PLANE, target.state_vector(PLANE))):
            target.receive(PLANE, delta.update)


def agree(*graphs: Graph) -> bool:
    exchange(*graphs)
    exchange(*graphs)
    views = [(graph.digest(), {name: ref.targets for name, ref in graph.refs.items()}) for graph in graphs]
    return all(view == views[0] for view in views)


def start(one: Graph, two: Graph) -> CommitId:
    root = one.commit(message="root", ref="main")
    exchange(one, two)
    assert two.refs["main"] == root
    return root


def test_moving_a_ref_apart_is_a_conflict_with_one_winner_everywhere(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    root = start(one, two)
    a = one.commit(ref="main", message="a")
    b = two.commit(ref="main", message="b")
    assert not one.refs["main"].conflicted
    assert agree(one, two)
    for graph in pair:
        ref = graph.refs["main"]
        assert ref.conflicted
        assert set(ref.targets) == {a, b}
        assert ref == ref.targets[0]
        assert graph.status().conflicted_refs == 1
        assert graph.parents(CommitId(bytes(ref))) == (root,)


def test_the_winner_is_the_highest_generation_then_the_latest_time_then_the_greatest_id(
    pair: tuple[Graph, Graph],
) -> None:
    one, two = pair
    start(one, two)
    one.commit(ref="main", message="1", time=50)
    long = one.commit(ref="main", message="2", time=-50)
    late = two.commit(ref="main", message="short", time=1 << 60)
    assert agree(one, two)
    assert one.refs["main"].targets == (long, late)
    one.set_ref("tie", one.refs["main"].targets[0], force=True)
    early, later = (one.commit(parents=[long], message=str(time), time=time) for time in (5, 6))
    twins = [one.commit(parents=[long], message=text, time=6) for text in ("x", "y", "z")]
    for commit in (early, later, *twins):
        one.set_ref("tie", commit, keep_others=True)
    assert one.refs["tie"].targets == (*sorted([later, *twins], reverse=True), early)


def test_a_fast_forward_is_no_conflict(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    start(one, two)
    one.commit(ref="main", message="a")
    exchange(one, two)
    tip = two.commit(ref="main", message="b")
    assert agree(one, two)
    for graph in pair:
        assert graph.refs["main"].targets == (tip,)


def test_two_moves_along_one_line_are_no_conflict(pair: tuple[Graph, Graph]) -> None:
    """Concurrent assignments, but one target descends from the other."""
    one, two = pair
    root = start(one, two)
    near = one.commit(parents=[root], message="near")
    far = one.commit(parents=[near], message="far")
    exchange(one, two)
    one.set_ref("main", near)
    two.set_ref("main", far)
    assert agree(one, two)
    for graph in pair:
        assert graph.refs["main"].targets == (far,)
        assert len(graph.refs.live("main")) == 2
    tip = one.commit(ref="main", message="tip")
    assert agree(one, two)
    assert two.refs["main"].targets == (tip,)
    assert len(two.refs.live("main")) == 1


def test_the_same_move_on_both_sides_is_no_conflict(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    root = start(one, two)
    target = one.commit(parents=[root], message="target")
    exchange(one, two)
    for graph in pair:
        graph.set_ref("main", target)
        graph.set_ref("new", target)
    assert agree(one, two)
    for graph in pair:
        assert graph.refs["main"].targets == graph.refs["new"].targets == (target,)
    two.delete_ref("new")
    assert agree(one, two)
    assert list(one.refs) == ["main"]


def test_setting_a_ref_to_where_it_is_says_nothing(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    root = start(one, two)
    digest = one.digest()
    one.set_ref("main", root)
    one.set_ref("main", one.refs["main"], force=True)
    assert one.digest() == digest
    assert agree(one, two)


@pytest.mark.parametrize("durability", [Durability.NORMAL, Durability.CRITICAL])
def test_a_writer_that_goes_on_committing_keeps_the_other_target(
    pair: tuple[Graph, Graph], durability: Durability
) -> None:
    one, two = pair
    start(one, two)
    one.commit(ref="main", message="a")
    b = two.commit(ref="main", message="b")
    assert agree(one, two)
    loser = one.refs["main"].targets[1]
    tip = one.commit(ref="main", message="on", durability=durability)
    tip = one.commit(ref="main", message="and on", durability=durability)
    assert one.refs["main"].targets == (tip, loser)
    assert agree(one, two)
    tip_b = two.commit(ref="main", parents=[loser], message="the other one, too", durability=durability)
    assert agree(one, two)
    assert set(one.refs["main"].targets) == {tip, tip_b}
    assert two.is_ancestor(b, tip) or two.is_ancestor(b, tip_b)


def test_a_commit_on_all_targets_ends_the_conflict(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    start(one, two)
    one.commit(ref="main", message="a")
    two.commit(ref="main", message="b")
    assert agree(one, two)
    by_hand = two.commit(ref="main", parents=two.refs["main"].targets, message="by hand")
    assert agree(one, two)
    assert one.refs["main"].targets == (by_hand,)
    assert len(one.refs.live("main")) == 1


def test_merging_on_both_sides_makes_the_same_commit(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    start(one, two)
    one.commit(ref="main", changes={"x": b"1", "both": b"one"})
    two.commit(ref="main", changes={"y": b"2", "both": b"two"})
    assert agree(one, two)
    preview = one.preview_merge("main")
    assert preview.commit not in one
    merges = [graph.merge("main") for graph in pair]
    assert merges[0] == merges[1] == preview
    assert merges[0].merged
    assert merges[0].parents == one.get(merges[0].commit).parents
    assert one.get(merges[0].commit) == two.get(merges[0].commit)
    assert agree(one, two)
    for graph in pair:
        assert graph.refs["main"].targets == (merges[0].commit,)
        again = graph.merge("main")
        assert (again.commit, again.merged, again.conflicts) == (merges[0].commit, False, ())
    assert agree(one, two)


def test_a_merge_and_a_concurrent_commit_leave_no_lost_work(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    start(one, two)
    one.commit(ref="main", message="a")
    two.commit(ref="main", message="b")
    assert agree(one, two)
    merged = one.merge("main").commit
    tip = two.commit(ref="main", message="meanwhile")
    assert agree(one, two)
    assert set(one.refs["main"].targets) == {merged, tip}
    both = two.merge("main").commit
    assert agree(one, two)
    assert one.refs["main"].targets == (both,)
    assert all(one.is_ancestor(commit, both) for commit in (merged, tip))


def test_a_move_survives_a_concurrent_deletion(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    start(one, two)
    one.delete_ref("main")
    assert list(one.refs) == []
    with pytest.raises(NotFoundError):
        one.delete_ref("main")
    moved = two.commit(ref="main", message="b")
    assert agree(one, two)
    assert one.refs["main"].targets == (moved,)
    assert len(one.refs.live("main")) == 2
    tip = one.commit(ref="main", message="on")
    assert agree(one, two)
    assert two.refs["main"].targets == (tip,)
    assert len(two.refs.live("main")) == 1
    two.delete_ref("main")
    assert agree(one, two)
    assert len(one.refs) == 0
    assert "main" not in one.refs
    anew = one.commit(ref="main", message="anew")
    assert one.parents(anew) == ()
    assert agree(one, two)
    assert two.refs["main"] == anew


def test_deleting_on_both_sides_deletes(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    start(one, two)
    for graph in pair:
        graph.delete_ref("main")
    assert agree(one, two)
    assert dict(one.refs) == {}
    one.commit(ref="main")
    assert agree(one, two)
    assert len(one.refs.live("main")) == 1


def test_force_ends_a_conflict_with_any_target(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    root = start(one, two)
    one.commit(ref="main", message="a")
    two.commit(ref="main", message="b")
    assert agree(one, two)
    with pytest.raises(LocalError, match="does not descend"):
        one.set_ref("main", root)
    with pytest.raises(LocalError, match="does not descend"):
        one.set_ref("main", one.refs["main"].targets[0])
    one.set_ref("main", root, force=True)
    assert agree(one, two)
    assert two.refs["main"].targets == (root,)


def test_a_ref_to_a_commit_that_is_not_here_yet_waits(pair: tuple[Graph, Graph]) -> None:
    one, two = pair
    start(one, two)
    with open_replica(3) as three:
        exchange(one, three)
        base = three.commit(message="only three has it")
        three.flush()
        exchange(three, one)
        tip = one.commit(parents=[base], ref="side")
        # Two hears of one's segments only: the target's parent is missing there.
        (delta,) = one.deltas(PLANE, two.state_vector(PLANE))
        items = decode_update(delta.update).items
        two.receive(PLANE, Update(tuple(item for item in items if item.key.writer == one.writer)).encode())
        assert "side" not in two.refs
        assert {(waiting.kind, waiting.waits_for) for waiting in two.pending()} == {("commit", base), ("assign", tip)}
        assert two.status().pending == 2
        before = two.digest()
        two.compact()
        assert two.digest() == before
        assert agree(one, two, three)
        assert two.refs["side"] == tip
        assert two.pending() == []


def test_refs_are_a_mapping(pair: tuple[Graph, Graph]) -> None:
    one, _ = pair
    ids = {name: one.commit(ref=name, message=name) for name in ("b", "a", "ä/ö")}
    one.set_meta("not-a-ref", b"x")
    assert list(one.refs) == sorted(ids)
    assert dict(one.refs) == ids
    assert one.refs.get("nope") is None
    assert "a" in one.refs
    assert len(one.refs) == 3
    assert repr(one.refs["a"]) == f"Ref({ids['a'].hex()[:12]})"
