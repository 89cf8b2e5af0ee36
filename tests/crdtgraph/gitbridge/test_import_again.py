"""Import of git histories again, further, after an interruption, and on two replicas."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from crdtgraph.errors import LocalError
from crdtgraph.gitbridge import RefAction, import_git
from crdtgraph.gitbridge import importer as importer_module
from tests.crdtgraph.gitbridge.repositories import SECONDS, DictionaryGraph, GitRepository, actions


def linear(repository: GitRepository, commits: int, branch: str = "main", start: str | None = None) -> None:
    """Many commits at once, through git fast-import."""
    lines = []
    for number in range(commits):
        lines.append(f"commit refs/heads/{branch}\ncommitter A <a@b> {SECONDS + number} +0000\n")
        lines.append(f"data {len(str(number))}\n{number}\n")
        if not number and start:
            lines.append(f"from {start}\n")
    repository.git("fast-import", "--quiet", "--force", stdin="".join(lines).encode())


def test_a_second_import_makes_nothing_and_asks_only_for_the_tips(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    linear(repository, 50)
    assert import_git(repository.path, graph).commits_added == 50
    graph.asked.clear()
    report = import_git(repository.path, graph)
    assert (report.commits_added, graph.batches) == (0, [50])
    assert actions(report) == {"main": RefAction.UNCHANGED}
    assert len(graph.asked) <= 2, "the tip, and its parent to compare the tip with"


def test_a_later_import_brings_what_is_new_and_stops_at_what_is_known(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_module, "WINDOW_COMMITS", 20)
    linear(repository, 500)
    import_git(repository.path, graph)
    assert graph.questions < 50, "a question costs a round trip when a node is asked"
    linear(repository, 30, start="refs/heads/main^0")
    graph.asked.clear()
    report = import_git(repository.path, graph)
    assert report.commits_added == 30
    assert actions(report) == {"main": RefAction.FORWARDED}
    assert len(graph.asked) < 100


def test_the_walk_finds_every_commit_whatever_its_window(
    repository: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(3)
    oids: list[str] = []
    for _ in range(60):
        parents = rng.sample(oids[-8:], min(len(oids), rng.choice([0, 1, 1, 1, 2, 3])))
        oids.append(repository.write_commit(*parents, message=str(len(oids)).encode()))
    for number, oid in enumerate(oids[40:]):
        repository.git("update-ref", f"refs/heads/tip-{number}", oid)
    expected = set(repository.git("rev-list", "--all").split())
    for window in (1, 2, 7, 1_000):
        monkeypatch.setattr(importer_module, "WINDOW_COMMITS", window)
        graph = DictionaryGraph()
        import_git(repository.path, graph)
        assert {commit.origin for commit in graph.commits.values()} == {f"git:{oid}" for oid in expected}


class Stopped(Exception):
    pass


def test_an_import_that_is_stopped_between_batches_resumes_behind_the_last_one(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_module, "BATCH_COMMITS", 10)
    linear(repository, 95)

    def stop(done: int, total: int) -> None:
        if done >= 30:
            raise Stopped

    with pytest.raises(Stopped):
        import_git(repository.path, graph, progress=stop)
    assert len(graph.durable) == 30
    assert graph.refs == {}
    seen: list[tuple[int, int]] = []
    report = import_git(repository.path, graph, progress=lambda done, total: seen.append((done, total)))
    assert report.commits_added == 65
    assert seen[0] == (0, 65)
    assert seen[-1] == (65, 65)
    whole = DictionaryGraph()
    import_git(repository.path, whole)
    assert graph.commits == whole.commits
    assert graph.refs == whole.refs


def test_batches_of_large_contents_hold_fewer_commits(
    repository: GitRepository, graph: DictionaryGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer_module, "BATCH_CONTENT_BYTES", 1_000)
    for number in range(5):
        repository.commit(str(number), {"file": bytes((number,)) * 600})
    import_git(repository.path, graph, trees=True)
    assert graph.batches == [2, 2, 1]


def test_two_replicas_that_import_the_same_history_make_the_same_commits(
    repository: GitRepository, tmp_path: Path
) -> None:
    repository.commit("root", {"a": b"x"})
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side", {"b": b"y"})
    clone = tmp_path / "clone.git"
    repository.git("clone", "--quiet", "--mirror", str(repository.path), str(clone))
    one, two = DictionaryGraph(), DictionaryGraph()
    import_git(repository.path, one, trees=True)
    import_git(clone, two, trees=True)
    assert one.commits == two.commits
    assert one.refs == two.refs


@pytest.mark.parametrize("first_with_trees", [False, True])
def test_importing_with_and_without_trees_into_one_graph_is_refused(
    repository: GitRepository, graph: DictionaryGraph, first_with_trees: bool
) -> None:
    repository.commit("root", {"a": b"x"})
    import_git(repository.path, graph, trees=first_with_trees)
    repository.commit("more", {"a": b"y"})
    with pytest.raises(LocalError, match="other contents") as refused:
        import_git(repository.path, graph, trees=not first_with_trees)
    assert ("with --trees" if first_with_trees else "without --trees") in refused.value.hint
    assert len(graph.commits) == 1
    assert import_git(repository.path, graph, trees=first_with_trees).commits_added == 1
