"""Names of branches, how far each is, and what has nothing to merge."""

from __future__ import annotations

import pytest

from crdtgraph import BranchInfo, CommitId, Graph, LocalError, NotFoundError
from tests.crdtgraph.branches.mainline import NAME, main


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
