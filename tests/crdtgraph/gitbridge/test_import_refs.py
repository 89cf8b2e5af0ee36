"""Import of git histories: which commits and refs come, and where refs stand after a later import."""

from __future__ import annotations

import os

import pytest

from crdtgraph.gitbridge import GitObjectError, RefAction, import_git
from crdtgraph.records import Commit
from tests.crdtgraph.gitbridge.repositories import DictionaryGraph, GitRepository, actions

# Which commits and refs


def test_branches_keep_their_names_and_tags_get_a_folder(repository: GitRepository, graph: DictionaryGraph) -> None:
    first = repository.commit("first")
    repository.git("tag", "light")
    repository.git("tag", "-a", "annotated", "-m", "x")
    repository.git("tag", "-a", "tag-of-a-tag", "annotated", "-m", "x")
    repository.git("branch", "topic/one")
    second = repository.commit("second")
    import_git(repository.path, graph)
    origins = {name: graph.ref(name).origin for name in graph.refs}
    assert origins == {
        "main": f"git:{second}",
        "topic/one": f"git:{first}",
        "tags/light": f"git:{first}",
        "tags/annotated": f"git:{first}",
        "tags/tag-of-a-tag": f"git:{first}",
    }


def test_tags_of_trees_and_files_and_dangling_refs_are_skipped_and_named(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    repository.commit("first", {"file": b"x"})
    repository.git("tag", "tree", "HEAD^{tree}")
    repository.git("tag", "-a", "file", "HEAD:file", "-m", "x")
    repository.git("symbolic-ref", "refs/heads/dangling", "refs/heads/nowhere")
    report = import_git(repository.path, graph)
    assert report.skipped == ("refs/heads/dangling", "refs/tags/file", "refs/tags/tree")
    assert set(graph.refs) == {"main"}


def test_a_damaged_tag_is_an_error_and_not_a_tag_of_something_else(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    repository.commit("first")
    repository.git("tag", "-a", "v1", "-m", "x")
    oid = repository.git("rev-parse", "refs/tags/v1").strip()
    loose = repository.path / ".git" / "objects" / oid[:2] / oid[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"no zlib stream")
    with pytest.raises(GitObjectError, match=oid):
        import_git(repository.path, graph)


def test_a_tag_takes_the_name_that_a_branch_would_share_with_it(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    tagged = repository.commit("tagged")
    repository.git("tag", "v1")
    repository.commit("other")
    repository.git("branch", "tags/v1")
    report = import_git(repository.path, graph)
    assert graph.ref("tags/v1").origin == f"git:{tagged}"
    assert report.skipped == ("refs/heads/tags/v1",)


def test_commits_of_a_detached_head_and_of_other_refs_come_too(
    repository: GitRepository, graph: DictionaryGraph
) -> None:
    root = repository.commit("root")
    repository.git("checkout", "--quiet", "--detach")
    detached = repository.commit("detached")
    elsewhere = repository.write_commit(root)
    repository.git("update-ref", "refs/remotes/origin/main", elsewhere)
    report = import_git(repository.path, graph)
    assert report.commits_added == 3
    assert graph.by_origin(detached)
    assert graph.by_origin(elsewhere)
    assert set(graph.refs) == {"main"}


def test_a_folder_inside_a_working_copy_will_do(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root", {"folder/file": b"x"})
    assert import_git(repository.path / "folder", graph).commits_added == 1


def test_a_branch_whose_name_is_not_utf8_gets_an_escaped_one(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    repository.git("update-ref", os.fsdecode(b"refs/heads/caf\xe9"), "HEAD")
    import_git(repository.path, graph)
    assert set(graph.refs) == {"main", ".git/bytes/caf%E9"}


# Refs of a later import


def test_a_ref_that_is_ahead_of_git_stays(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    import_git(repository.path, graph)
    ours = graph.commit_many([Commit(graph.refs["main"], "me", 1, "ours")])[0]
    graph.refs["main"] = (ours,)
    assert actions(import_git(repository.path, graph)) == {"main": RefAction.AHEAD}
    assert graph.refs["main"] == (ours,)


def test_a_branch_that_git_rewrote_is_followed(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    repository.commit("to be amended")
    import_git(repository.path, graph)
    repository.git("commit", "--quiet", "--amend", "--allow-empty", "-m", "amended")
    report = import_git(repository.path, graph)
    assert actions(report) == {"main": RefAction.REPLACED}
    assert graph.ref("main").origin == f"git:{repository.head()}"
    assert len(graph.commits) == 3, "what git forgot stays"


def test_a_ref_that_both_moved_shows_both_targets(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    import_git(repository.path, graph)
    ours = graph.commit_many([Commit(graph.refs["main"], "me", 1, "ours")])[0]
    graph.refs["main"] = (ours,)
    theirs = repository.commit("theirs")
    assert actions(import_git(repository.path, graph)) == {"main": RefAction.CONFLICTED}
    assert set(graph.refs["main"]) == {ours, graph.by_origin(theirs).id}
    again = import_git(repository.path, graph)
    assert actions(again) == {"main": RefAction.UNCHANGED}, "a conflict is not raised twice"


def test_a_conflict_that_git_resolved_ends(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side")
    repository.git("checkout", "--quiet", "main")
    repository.commit("ours")
    import_git(repository.path, graph)
    graph.refs["main"] = (*graph.refs["main"], *graph.refs["side"])
    repository.git("merge", "--quiet", "-m", "merge", "side")
    assert actions(import_git(repository.path, graph))["main"] is RefAction.FORWARDED
    assert graph.ref("main").message == "merge\n"


def test_a_branch_that_git_deleted_stays(repository: GitRepository, graph: DictionaryGraph) -> None:
    repository.commit("root")
    repository.git("branch", "topic")
    import_git(repository.path, graph)
    repository.git("branch", "-D", "topic")
    assert actions(import_git(repository.path, graph)) == {"main": RefAction.UNCHANGED}
    assert "topic" in graph.refs
