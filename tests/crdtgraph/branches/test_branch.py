"""A writer's branch: what is on it, how it is merged, and that nothing is lost when it is not."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

import crdtgraph
from crdtgraph import (
    BranchInfo,
    CommitId,
    Durability,
    Graph,
    LocalError,
    MergeConflictError,
    NotFoundError,
    OnConflict,
    StoreError,
)
from tests.crdtgraph.clusters import Clock, exchange

NAME = "agents/planner/fix-17"


@pytest.fixture
def graph() -> Iterator[Graph]:
    with crdtgraph.open("memory:", author="ann", host=Clock().host("a")) as opened:
        opened.commit(message="start", changes={"readme": b"hello", "score": b"1"}, ref="main")
        yield opened


def main(graph: Graph) -> CommitId:
    return graph.refs.require("main").targets[0]


def test_a_branch_is_worked_on_and_merged_at_the_end(graph: Graph) -> None:
    start = main(graph)
    with graph.branch(NAME, author="planner") as branch:
        assert branch.head == start
        first = branch.commit(changes={"a": b"1"}, message="one")
        second = branch.commit(changes={"b": b"2"}, message="two")
        assert branch.head == second
        assert dict(branch.state()) == {"readme": b"hello", "score": b"1", "a": b"1", "b": b"2"}
        assert branch.commits() == [first, second]
        assert graph.refs[NAME].targets == (second,)
        assert graph.get(second).author == "planner"
        assert main(graph) == start
    assert main(graph) == second
    assert branch.is_merged
    assert NAME not in graph.refs


def test_two_branches_are_merged_by_a_merge_commit(graph: Graph) -> None:
    with graph.branch("agents/a") as one, graph.branch("agents/b") as other:
        ours, theirs = one.commit(changes={"a": b"1"}), other.commit(changes={"b": b"2"})
    merged = graph.get(main(graph))
    assert set(merged.parents) == {ours, theirs}
    assert {"a": b"1", "b": b"2"}.items() <= graph.state(main(graph)).items()
    assert one.result is not None
    assert one.result.merged


def test_the_merge_commit_is_the_one_that_ending_a_conflict_would_make(graph: Graph) -> None:
    start = main(graph)
    tips = [graph.commit(parents=[start], changes={name: b"1"}) for name in "ab"]
    for tip in tips:
        graph.set_ref("conflicted", tip, keep_others=True)
        graph.merge_into("merged", [tip])
    assert graph.merge("conflicted").commit == graph.refs["merged"]


def test_commits_on_a_branch_wait_for_no_disk_and_the_merge_does(graph: Graph) -> None:
    graph.flush()
    with graph.branch(NAME) as branch:
        made = branch.commit(changes={"a": b"1"})
        assert not graph.is_durable(made)
    assert graph.is_durable(made)
    with graph.branch(NAME, durability=Durability.NORMAL) as branch:
        lazy = branch.commit(changes={"a": b"2"})
    assert main(graph) == lazy
    assert not graph.is_durable(lazy)


def test_an_error_in_the_block_leaves_the_branch_unmerged_and_says_so(graph: Graph) -> None:
    start = main(graph)
    branch = graph.branch(NAME)
    made = branch.commit(changes={"a": b"1"})
    with pytest.raises(ZeroDivisionError) as raised, branch:
        raise ZeroDivisionError("x")
    assert raised.value.__notes__ == [
        f"branch '{NAME}' was not merged: it stays at {made.hex()[:12]}, and graph.branch('{NAME}') goes on with it"
    ]
    assert main(graph) == start
    with graph.branch(NAME) as again:
        assert again.head == made
    assert main(graph) == made


def test_a_branch_without_commits_leaves_nothing_behind(graph: Graph) -> None:
    start = main(graph)
    with graph.branch(NAME):
        assert graph.refs[NAME].targets == (start,)
    assert main(graph) == start
    assert NAME not in graph.refs
    with graph.branch(NAME, from_=None) as empty:
        assert empty.head is None
        assert dict(empty.state()) == {}
        assert empty.commits() == []
        with pytest.raises(LocalError, match="has no commits"):
            empty.merge()


def test_a_branch_may_start_anywhere(graph: Graph) -> None:
    start = main(graph)
    graph.commit(changes={"later": b"1"}, ref="main")
    with graph.branch("agents/old", from_=start) as old:
        assert old.head == start
        old.commit(changes={"old": b"1"})
    with graph.branch("agents/new", from_=None) as new:
        made = new.commit(changes={"new": b"1"})
        assert graph.parents(made) == ()
    assert {"later", "old", "new", "readme"} <= graph.state(main(graph)).keys()


def test_a_first_branch_makes_main() -> None:
    with crdtgraph.open("memory:") as graph:
        with pytest.raises(NotFoundError, match="has nowhere to start") as raised:
            graph.branch(NAME)
        assert "from_=None" in raised.value.hint
        with graph.branch(NAME, from_=None) as branch:
            made = branch.commit(changes={"a": b"1"})
        assert main(graph) == made


def test_a_branch_of_a_commit_in_a_search_is_promoted(graph: Graph) -> None:
    with graph.search("s") as search:
        found = search.commit(parents=[main(graph)], changes={"found": b"1"})
        branch = graph.branch(NAME, from_=found)
    assert found in graph
    assert branch.merge().commit == found


def test_merge_at_will_and_go_on(graph: Graph) -> None:
    with graph.branch(NAME) as branch:
        first = branch.commit(changes={"a": b"1"})
        assert branch.merge().commit == first
        assert main(graph) == first
        assert NAME in graph.refs
        assert branch.is_merged
        assert branch.commits() == []
        second = branch.commit(changes={"a": b"2"})
        assert not branch.is_merged
        assert branch.commits() == [second]
    assert main(graph) == second


def test_a_branch_is_kept_or_not_merged_on_request(graph: Graph) -> None:
    with graph.branch("agents/kept", keep=True) as kept:
        made = kept.commit(changes={"a": b"1"})
    assert main(graph) == made == graph.refs["agents/kept"]
    with graph.branch("agents/draft", into=None) as draft:
        other = draft.commit(changes={"b": b"1"})
        with pytest.raises(LocalError, match="no other ref"):
            draft.merge()
        with pytest.raises(LocalError, match="nothing to take in"):
            draft.update()
    assert main(graph) == made
    assert graph.refs["agents/draft"] == other
    assert not draft.is_merged
    assert draft.merge("release").commit == other == graph.refs["release"]


def test_update_takes_in_what_others_merged(graph: Graph) -> None:
    with graph.branch(NAME) as branch:
        branch.commit(changes={"a": b"1"})
        theirs = graph.commit(changes={"theirs": b"1"}, ref="main")
        result = branch.update()
        assert result.merged
        assert branch.head == result.commit
        assert branch.state()["theirs"] == b"1"
        assert branch.state()["a"] == b"1"
        assert main(graph) == theirs
        assert branch.update().commit == result.commit
        last = branch.commit(changes={"a": b"2"})
    assert main(graph) == last


def test_an_update_of_a_branch_without_commits_moves_it_ahead(graph: Graph) -> None:
    branch = graph.branch(NAME)
    theirs = graph.commit(changes={"theirs": b"1"}, ref="main")
    result = branch.update()
    assert not result.merged
    assert branch.head == theirs == graph.refs[NAME]


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


# Names and listings


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 2_000, 7])
def test_names_are_checked(graph: Graph, name: object) -> None:
    with pytest.raises(LocalError, match="branch name"):
        graph.branch(name)  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="ref name"):
        graph.branch(NAME, into=name)  # type: ignore[arg-type]


def test_a_branch_is_not_merged_into_itself(graph: Graph) -> None:
    with pytest.raises(LocalError, match="into itself"):
        graph.branch("main")
    with graph.branch("main", into=None) as branch:
        branch.commit(changes={"a": b"1"})
        with pytest.raises(LocalError, match="no other ref"):
            branch.merge("main")


def test_branches_are_listed_with_how_far_they_are(graph: Graph) -> None:
    work = graph.branch("agents/a/1", author="a")
    work.commit(changes={"a": b"1"})
    tip = work.commit(changes={"a": b"2"}, message="two\nmore", time=7)
    graph.branch("agents/b/1")
    graph.set_ref("other", tip)
    graph.commit(changes={"m": b"1"}, ref="main")
    assert [each.name for each in graph.branches()] == ["agents/a/1", "agents/b/1", "other"]
    first, second = graph.branches("agents/")
    assert first == BranchInfo("agents/a/1", (tip,), 2, 1, "a", 7, "two")
    assert (first.head, first.conflicted) == (tip, False)
    assert (second.ahead, second.behind) == (0, 1)
    assert [each.ahead for each in graph.branches("agents/a", into="other")] == [0]
    assert [each.ahead for each in graph.branches("agents/a", into="nowhere")] == [3]


def test_nothing_to_merge_is_an_error_and_unknown_commits_are(graph: Graph) -> None:
    with pytest.raises(LocalError, match="no commits were given"):
        graph.merge_into("new", [])
    with pytest.raises(NotFoundError):
        graph.merge_into("main", [CommitId(bytes(32))])
    before = graph.digest()
    assert graph.merge_into("main", []).commit == main(graph)
    assert graph.digest() == before


# Failing disks, closed and read-only graphs


def test_a_disk_that_refuses_leaves_the_branch(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    start = main(graph)

    def refuse(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    branch = graph.branch(NAME)
    made = branch.commit(changes={"a": b"1"})
    with monkeypatch.context() as patch, pytest.raises(StoreError), branch:
        patch.setattr(graph.store, "write", refuse)
    assert main(graph) == start
    assert graph.refs[NAME] == made
    with graph.branch(NAME):
        pass
    assert main(graph) == made


def test_a_closed_graph_says_so() -> None:
    graph = crdtgraph.open("memory:")
    branch = graph.branch(NAME, from_=None)
    branch.commit(changes={"a": b"1"})
    graph.close()
    with pytest.raises(LocalError, match="closed"):
        branch.commit(changes={"a": b"2"})
    with pytest.raises(LocalError, match="closed"):
        graph.branch("agents/b")
