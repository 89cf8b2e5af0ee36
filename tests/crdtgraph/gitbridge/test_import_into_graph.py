"""Import of git histories into a real graph, and into two that meet."""

from __future__ import annotations

import crdtgraph
from crdtgraph.gitbridge import GraphTarget, RefAction, import_git
from crdtgraph.gitbridge.texts import MESSAGE_BYTES_MAX
from tests.crdtgraph.gitbridge.repositories import GitRepository, actions


def test_two_graphs_that_import_one_history_agree_and_their_union_has_no_duplicates(
    repository: GitRepository,
) -> None:
    repository.commit("root", {"a": b"x", "large": b"y" * 70_000})
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side", {"b": b"y"})
    repository.git("checkout", "--quiet", "main")
    repository.commit("ours", {"c": b"z"})
    repository.git("merge", "--quiet", "-m", "merge", "side")
    repository.git("tag", "-a", "v1", "-m", "x")
    with crdtgraph.open("memory:") as one, crdtgraph.open("memory:") as two:
        import_git(repository.path, GraphTarget(one), trees=True)
        import_git(repository.path, GraphTarget(two), trees=True)
        for delta in two.deltas("ledger", one.state_vector("ledger")):
            one.receive("ledger", delta.update)
        assert len(one) == len(two) == 4
        assert {name: ref.targets for name, ref in one.refs.items()} == {
            name: ref.targets for name, ref in two.refs.items()
        }
        assert sorted(one.refs) == ["main", "side", "tags/v1"]
        assert one.get(one.resolve(f"git:{repository.head()}")).message == "merge\n"
        assert dict(one.state(one.resolve("main")))["b"] == b"y"
        report = import_git(repository.path, GraphTarget(one), trees=True)
        assert (report.commits_added, set(actions(report).values())) == (0, {RefAction.UNCHANGED})


def test_a_ref_that_both_moved_is_in_conflict_and_merges(repository: GitRepository) -> None:
    repository.commit("root")
    with crdtgraph.open("memory:") as graph:
        import_git(repository.path, GraphTarget(graph))
        ours = graph.commit(parents=[graph.refs["main"]], message="ours", ref="main")
        repository.commit("theirs")
        assert actions(import_git(repository.path, GraphTarget(graph))) == {"main": RefAction.CONFLICTED}
        assert graph.refs["main"].conflicted
        merged = graph.merge("main").commit
        assert graph.is_ancestor(ours, merged)
        assert actions(import_git(repository.path, GraphTarget(graph))) == {"main": RefAction.AHEAD}
        repository.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "amended")
        assert actions(import_git(repository.path, GraphTarget(graph))) == {"main": RefAction.CONFLICTED}


def test_commits_at_the_limits_of_an_import_fit_into_a_graph(repository: GitRepository) -> None:
    files = {f"file-{number:03}": bytes((number,)) * 65_536 for number in range(60)}
    repository.commit("m" * (MESSAGE_BYTES_MAX + 10), files)
    with crdtgraph.open("memory:") as graph:
        import_git(repository.path, GraphTarget(graph), trees=True)
        assert len(graph.state(graph.resolve("main"))) == 60
