"""Branches that touch the same paths, and writers of one branch: nothing is lost, and somebody is told."""

from __future__ import annotations

import pickle

import pytest

import crdtgraph
from crdtgraph import Graph, LocalError, MergeConflictError, OnConflict
from tests.crdtgraph.branches.mainline import NAME, main
from tests.crdtgraph.clusters import Clock, exchange

# Conflicts


def conflict(graph: Graph, **options: object) -> crdtgraph.Branch:
    branch = graph.branch(NAME, **options)  # type: ignore[arg-type]
    branch.commit(changes={"score": b"5", "mine": b"1"})
    graph.commit(changes={"score": b"7"}, ref="main")
    return branch


def test_a_conflict_names_the_paths_and_nothing_is_lost(graph: Graph) -> None:
    with pytest.raises(MergeConflictError) as raised, conflict(graph) as branch:
        before = main(graph), branch.head
    assert raised.value.message == "not merged into 'main': a path that was changed on both sides: 'score'"
    assert [each.path for each in raised.value.conflicts] == ["score"]
    assert f"it stays at {branch.head.hex()[:12]}" in raised.value.hint  # type: ignore[union-attr]
    assert (main(graph), graph.refs[NAME]) == before
    # As the hint says:
    with graph.branch(NAME) as again:
        assert again.update(on_conflict="winner").conflicts
        again.commit(changes={"score": b"6"}, message="both were right")
    assert graph.state(main(graph))["score"] == b"6"
    assert graph.state(main(graph))["mine"] == b"1"


def test_a_conflict_error_survives_pickling(graph: Graph) -> None:
    with pytest.raises(MergeConflictError) as raised:
        conflict(graph).merge()
    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.message, again.hint, again.conflicts) == (
        raised.value.message,
        raised.value.hint,
        raised.value.conflicts,
    )


def test_a_conflict_may_be_left_for_later(graph: Graph) -> None:
    with conflict(graph, on_conflict=OnConflict.LEAVE) as branch:
        before = main(graph), branch.head
    assert (main(graph), graph.refs[NAME]) == before
    assert branch.result is not None
    assert [each.path for each in branch.result.conflicts] == ["score"]
    assert not branch.result.merged
    assert not branch.is_merged
    assert branch.merge(on_conflict="winner").merged
    assert branch.is_merged


def test_policies_decide_and_are_checked_before_anything_is_done(graph: Graph) -> None:
    with conflict(graph, policies={"score": "max"}):
        pass
    assert graph.state(main(graph))["score"] == b"7"
    graph.set_merge_policy("score", "sum")
    with conflict(graph):
        pass
    assert graph.state(main(graph))["score"] == b"5"  # 7 + 5 - 7
    for wrong in ({"policies": {"x": "best"}}, {"on_conflict": "panic"}):
        with pytest.raises(LocalError):
            graph.branch("agents/wrong", **wrong)  # type: ignore[arg-type]
    assert "agents/wrong" not in graph.refs


def test_a_conflict_among_others_stops_nobody(graph: Graph) -> None:
    start = main(graph)
    for value in (b"7", b"8"):
        graph.set_ref(
            "main", graph.commit(parents=[start], changes={"score": value, f"by {value!r}": b""}), keep_others=True
        )
    apart = graph.refs["main"].targets
    with graph.branch(NAME, from_=start) as branch:
        branch.commit(changes={"mine": b"1"})
    assert len(graph.refs["main"].targets) == 2
    assert apart[1] in graph.refs["main"].targets
    assert branch.is_merged
    result = graph.merge("main")
    assert [each.path for each in result.conflicts] == ["score"]
    assert {"mine", "by b'7'", "by b'8'"} <= graph.state(result.commit).keys()


# Two writers of one name


def test_two_processes_on_one_name_are_a_conflict_that_the_merge_ends() -> None:
    clock = Clock()
    here, there = (crdtgraph.open("memory:", author=name, host=clock.host(name)) for name in "ab")
    with here, there:
        here.commit(message="start", ref="main")
        exchange(here, there)
        ours, theirs = here.branch(NAME), there.branch(NAME)
        mine, yours = ours.commit(changes={"a": b"1"}), theirs.commit(changes={"b": b"1"})
        exchange(there, here)
        assert set(here.refs[NAME].targets) == {mine, yours}
        next_one = ours.commit(changes={"a": b"2"})
        assert here.parents(next_one) == (mine,)
        assert set(here.refs[NAME].targets) == {next_one, yours}
        with ours:
            pass
        assert ours.is_merged
        assert {"a": b"2", "b": b"1"}.items() <= here.state(main(here)).items()
        # The other one goes on, although the ref is gone.
        exchange(here, there)
        assert NAME not in there.refs
        last = theirs.commit(changes={"b": b"2"})
        assert there.parents(last) == (yours,)
        with theirs:
            pass
        assert {"a": b"2", "b": b"2"}.items() <= there.state(main(there)).items()


def test_a_second_writer_of_the_same_process_goes_on_where_the_first_is(graph: Graph) -> None:
    one, other = graph.branch(NAME), graph.branch(NAME)
    first = one.commit(changes={"a": b"1"})
    second = other.commit(changes={"a": b"2"})
    assert graph.parents(second) == (first,)
    assert one.head == second


def test_a_branch_that_was_moved_away_keeps_both_places(graph: Graph) -> None:
    start = main(graph)
    branch = graph.branch(NAME)
    first = branch.commit(changes={"a": b"1"})
    elsewhere = graph.commit(parents=[start], changes={"z": b"1"})
    graph.set_ref(NAME, elsewhere, force=True)
    second = branch.commit(changes={"a": b"2"})
    assert graph.parents(second) == (first,)
    assert set(graph.refs[NAME].targets) == {second, elsewhere}
    with branch:
        pass
    assert {"a", "z"} <= graph.state(main(graph)).keys()


def test_a_commit_stays_on_the_branch_although_somebody_moved_the_ref_back(graph: Graph) -> None:
    start = main(graph)
    branch = graph.branch(NAME)
    made = branch.commit(changes={"a": b"1"})
    graph.set_ref(NAME, start, force=True)
    with branch:
        assert branch.commits() == [made]
    assert main(graph) == made
