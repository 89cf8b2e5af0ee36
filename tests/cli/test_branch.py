"""`crdtgraph branch`: what is listed, merged and removed, and what is refused."""

from __future__ import annotations

import pytest

import crdtgraph as library
from sync.requests import LocalCaller

from .conftest import CommandLine


@pytest.fixture
def store(crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    with library.open("search.db") as graph:
        graph.commit(message="start", changes={"score": b"1"}, ref="main")
        work = graph.branch("agents/planner/fix", author="planner")
        work.commit(message="try this\nand that", changes={"a": b"1"}, time=1_700_000_000_000_000)
        work.commit(message="try that", changes={"score": b"2"}, time=1_700_000_000_000_000)
        graph.branch("agents/idle/1")
        graph.commit(message="onward", changes={"b": b"1"}, ref="main")
    monkeypatch.setenv("CRDTGRAPH_STORE", "search.db")
    return crdtgraph


def refs() -> list[str]:
    with library.open("search.db", read_only=True) as graph:
        return list(graph.refs)


def test_branches_are_listed(store: CommandLine) -> None:
    lines = [line.split() for line in store("branch", "ls", "agents/").out.splitlines()]
    assert [line[0] for line in lines] == ["BRANCH", "agents/idle/1", "agents/planner/fix"]
    assert lines[2][2:5] == ["2", "1", "planner"]
    assert lines[2][-2:] == ["try", "that"]
    assert store("branch", "ls", "nothing/").out == ""


def test_a_branch_is_merged_and_removed(store: CommandLine) -> None:
    done = store("branch", "merge", "agents/planner/fix")
    assert done.code == 0
    assert "main is now at" in done.out
    assert refs() == ["agents/idle/1", "main"]
    assert store("state", "main", "a").out == "1"
    again = store("branch", "merge", "agents/idle/1", "--keep")
    assert "main has all of agents/idle/1" in again.out
    assert refs() == ["agents/idle/1", "main"]


def test_a_conflict_names_the_paths_and_changes_nothing(store: CommandLine) -> None:
    with library.open("search.db") as graph:
        graph.commit(changes={"score": b"3"}, ref="main")
        before = graph.digest()
    refused = store("branch", "merge", "agents/planner/fix")
    assert refused.code == 2
    assert "both sides changed 'score'" in refused.err
    assert "--take-winner" in refused.err
    with library.open("search.db", read_only=True) as graph:
        assert graph.digest() == before
    done = store("branch", "merge", "agents/planner/fix", "--policy", "score=max")
    assert done.out.endswith(", by max\n")


def test_what_is_removed_is_what_was_looked_at(store: CommandLine) -> None:
    with library.open("search.db") as graph:
        caller = LocalCaller(graph)
        assert caller.call("branch_remove", name="agents/idle/1") == 0
        with pytest.raises(library.LocalError, match="has 2 commits more than 'main'"):
            caller.call("branch_remove", name="agents/planner/fix")
        with pytest.raises(library.LocalError, match="1 commit more than 'agents/planner/fix'"):
            caller.call("branch_remove", name="main", into="agents/planner/fix")
        assert caller.call("branch_remove", name="agents/planner/fix", force=True) == 2
        with pytest.raises(library.NotFoundError):
            caller.call("branch_remove", name="agents/planner/fix", force=True)


def test_a_ref_is_not_merged_into_itself_and_removed(store: CommandLine) -> None:
    with library.open("search.db") as graph:
        with pytest.raises(library.LocalError, match="into itself"):
            LocalCaller(graph).call("branch_merge", branch="main", into="main", remove=True)
        assert "main" in graph.refs


def test_what_is_wrong_is_said(store: CommandLine) -> None:
    assert "into itself" in store("branch", "merge", "main").err
    missing = store("branch", "merge", "nothing")
    assert missing.code == 3
    refused = store("branch", "rm", "agents/planner/fix")
    assert refused.code == 2
    assert "has 2 commits more than 'main'" in refused.err
    assert "agents/planner/fix" in refs()
    assert store("branch", "rm", "agents/planner/fix", "--force").code == 0
    assert store("branch", "rm", "agents/idle/1").code == 0
    assert store("branch", "rm", "main").code == 2
    assert store("branch", "rm", "nothing").code == 3
    assert refs() == ["main"]
