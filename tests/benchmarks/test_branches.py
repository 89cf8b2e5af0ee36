"""The benchmark of branches counts what main lacks, on both sides."""

from __future__ import annotations

from pathlib import Path

import pytest

import crdtgraph
from benchmarks.branches import Outcome, count_lost, count_lost_git, git, git_command, libgit2, node, replicas


@pytest.mark.slow
@pytest.mark.parametrize("side", [node, replicas, git, libgit2])
def test_every_side_does_the_same_and_loses_nothing(side: object, tmp_path: Path) -> None:
    assert callable(side)
    outcome = side(tmp_path, 3, 2)
    assert (len(outcome.committed), len(outcome.merged)) == (6, 3)
    assert (outcome.changes_lost, outcome.commits_lost) == (0, 0)


def test_what_is_lost_is_counted() -> None:
    with crdtgraph.open("memory:") as graph:
        base = graph.commit(ref="main", changes={"work/w0/step-0": b"writer 0, step 0\n", "work/w0/step-1": b"wrong"})
        apart = graph.commit(parents=[base])
        outcome = Outcome()
        count_lost(outcome, graph, [base, apart], 1, 3)
        assert (outcome.changes_lost, outcome.commits_lost) == (2, 1)


def test_what_git_lost_is_counted(tmp_path: Path) -> None:
    git(tmp_path, 2, 2)
    repository = tmp_path / "repository"
    git_command(repository, "reset", "-q", "--hard", "agents/w0")
    outcome = count_lost_git(Outcome(), repository, 2, 2)
    assert (outcome.changes_lost, outcome.commits_lost) == (2, 2)
