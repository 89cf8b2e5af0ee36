"""A writer's branch: what is on it, how it is merged, and that nothing is lost when it is not."""

from __future__ import annotations

import pytest

import crdtgraph
from crdtgraph import Durability, Graph, LocalError, NotFoundError, StoreError
from tests.crdtgraph.branches.mainline import NAME, main


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
