"""A graph as a git repository: git finds it in order, and it comes back as what it was."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph import Commit, CommitId, Graph
from crdtgraph.gitbridge import (
    GitTargetError,
    GraphTarget,
    RefAction,
    export_git,
    import_git,
)
from crdtgraph.gitbridge.names import ref_names
from tests import recorded

from ..interchange.replicas import act, everything, give, grow, open_replica
from .exports import (
    assert_comes_back,
    assert_in_order,
    assert_same_shape,
    git,
    oids,
)
from .repositories import GitRepository


def test_everything_a_replica_can_hold_comes_back_from_git(tmp_path: Path) -> None:
    graph, target = everything(), tmp_path / "export"
    report = export_git(graph, target)
    assert (report.commits_written, report.commits_known) == (len(graph), 0)
    assert_in_order(target)
    assert_same_shape(graph, target)
    assert_comes_back(graph, target)


def test_git_draws_the_export(tmp_path: Path) -> None:
    graph = everything()
    graph.commit(parents=graph.heads()[:3], message="octopus", ref="many")
    export_git(graph, tmp_path / "export")
    drawn = git(tmp_path / "export", "log", "--graph", "--all", "--format=%H")
    assert "|" in drawn
    assert len(re.findall(r"\b[0-9a-f]{40}\b", drawn)) == len(graph)
    assert git(tmp_path / "export", "log", "-1", "--format=%s", "many") == "octopus"


@settings(max_examples=15)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_any_history_of_several_writers_comes_back(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int
) -> None:
    rng = random.Random(seed)
    target = tmp_path_factory.mktemp("history") / "export"
    replicas = [open_replica(seed * 3 + number) for number in range(3)]
    for _ in range(steps):
        act(rng, rng.choice(replicas), rng.choice(replicas))
    export_git(replicas[0], target)
    if len(replicas[0]):
        assert_same_shape(replicas[0], target)
    for _ in range(steps):
        act(rng, rng.choice(replicas), rng.choice(replicas))
    export_git(replicas[0], target)
    assert_in_order(target, exports=2)
    if len(replicas[0]):
        assert_same_shape(replicas[0], target)
    assert_comes_back(replicas[0], target)


@pytest.mark.skipif(not recorded.IS_THERE, reason=recorded.WHY_NOT)
def test_a_recorded_history_has_the_shape_authors_dates_and_messages_that_were_recorded(tmp_path: Path) -> None:
    target = tmp_path / "export"
    rows = recorded_rows(10_000)
    ids: dict[str, CommitId] = {}
    commits = []
    for name, parents, author, seconds in rows:
        known = tuple(ids[parent] for parent in parents.split())
        commits.append(Commit(known, f"{author} <{author}@example.invalid>", int(seconds) * 1_000_000, name))
        ids[name] = commits[-1].id
    with open_replica(1) as graph:
        graph.commit_many(commits)
        graph.set_refs({f"head-{number}": head for number, head in enumerate(graph.heads())})
        export_git(graph, target)
        assert_comes_back(graph, target)
    assert_in_order(target)
    # The message is the recorded name, so it stands for the commit.
    lines = git(target, "log", "--all", "--format=%H%x09%P%x09%s%x09%an%x09%ae%x09%at%x09%ct").splitlines()
    table = [line.split("\t") for line in lines]
    names = {line[0]: line[2] for line in table}
    found = {(name, " ".join(names[each] for each in parents.split()), *rest) for _, parents, name, *rest in table}
    assert found == {
        (name, parents, author, f"{author}@example.invalid", seconds, seconds)
        for name, parents, author, seconds in rows
    }


def recorded_rows(count: int) -> list[list[str]]:
    """The first commits of the recorded history, parents first: name, parents, author, seconds."""
    with recorded.DAG.open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    return [line.split("\t") for line in text.splitlines()[:count]]


# Refs


def test_refs_of_all_kinds_arrive_and_go(tmp_path: Path) -> None:
    target = tmp_path / "export"
    graph, other = open_replica(1), open_replica(2)
    root = graph.commit(message="root", ref="main")
    names = ["my branch", "a", "a/b", "tags/v1", "tags/v1/x", "HEAD", "x.lock", "\u00fc"]
    for name in names:
        graph.set_ref(name, root)
    give(graph, other)
    loose = graph.commit(message="loose", parents=[root])
    for replica in (graph, other):
        replica.commit(message=str(replica.writer), ref="main")
    give(other, graph)
    export_git(graph, target)
    assert_in_order(target)
    listed = git(target, "for-each-ref", "--format=%(refname)").splitlines()
    assert listed == sorted(
        [
            "refs/heads/main", "refs/conflicts/2/main", f"refs/crdtgraph/heads/{loose.hex()}", "refs/crdtgraph/ledger",
            "refs/heads/my%20branch", "refs/heads/a", "refs/heads/a%2Fb", "refs/tags/v1", "refs/tags/v1%2Fx",
            "refs/heads/%48EAD", "refs/heads/x%2Elock", "refs/heads/\u00fc",
        ],
        key=str.encode,
    )  # fmt: skip
    names_of = oids(target)
    assert [git(target, "rev-parse", name) for name in ("main", "refs/conflicts/2/main")] == [
        names_of[each] for each in graph.refs["main"].targets
    ]
    assert git(target, "symbolic-ref", "HEAD") == "refs/heads/main"
    git(target, "update-ref", "refs/heads/mine", "main")
    graph.merge("main")
    graph.delete_ref("a")
    graph.set_ref("found", loose)
    report = export_git(graph, target)
    assert report.commits_written == 1
    left = git(target, "for-each-ref", "--format=%(refname)").splitlines()
    assert set(left) == (
        set(listed)
        - {"refs/conflicts/2/main", f"refs/crdtgraph/heads/{loose.hex()}", "refs/heads/a", "refs/heads/a%2Fb"}
        | {"refs/heads/a/b", "refs/heads/found", "refs/heads/mine"}
    )
    assert_comes_back_but_for(graph, target, "mine")


def assert_comes_back_but_for(graph: Graph, target: Path, *extra: str) -> None:
    with open_replica(99) as fresh:
        report = import_git(target, GraphTarget(fresh))
        assert {outcome.name: outcome.action for outcome in report.refs} == dict.fromkeys(extra, RefAction.CREATED)
        assert set(fresh.refs) == {*graph.refs, *extra}


def test_head_is_a_branch_that_is_there_or_the_newest_commit(tmp_path: Path) -> None:
    graph = open_replica(1)
    commit = graph.commit(message="no ref")
    export_git(graph, tmp_path / "none")
    assert_in_order(tmp_path / "none")
    assert git(tmp_path / "none", "rev-parse", "HEAD") == oids(tmp_path / "none")[commit]
    graph.set_ref("other", commit)
    export_git(graph, tmp_path / "none")
    assert git(tmp_path / "none", "symbolic-ref", "HEAD") == "refs/heads/other"
    assert git(tmp_path / "none", "for-each-ref", "--format=%(refname)") == "refs/crdtgraph/ledger\nrefs/heads/other"


def test_conflicted_refs_share_folders(tmp_path: Path) -> None:
    assert ref_names(["a", "a/b"]) == {"a": "a", "a/b": "a%2Fb"}
    one, two = open_replica(1), open_replica(2)
    for replica in (one, two):
        for name in ("a", "a/b"):
            replica.commit(message=f"{name} {replica.writer}", ref=name)
    give(two, one)
    export_git(one, tmp_path / "export")
    assert_in_order(tmp_path / "export")
    assert {"refs/conflicts/2/a", "refs/conflicts/2/a%2Fb"} < set(
        git(tmp_path / "export", "for-each-ref", "--format=%(refname)").splitlines()
    )
    assert_comes_back(one, tmp_path / "export")


# Again


def test_a_second_run_writes_only_what_is_new(tmp_path: Path) -> None:
    target = tmp_path / "export"
    graph = everything()
    first = export_git(graph, target)
    before, packs = oids(target), {path.name for path in (target / "objects/pack").iterdir()}
    again = export_git(graph, target)
    assert (again.commits_written, again.refs_changed, again.objects_written) == (0, 0, 0)
    assert {path.name for path in (target / "objects/pack").iterdir()} == packs
    state = {"a/b": b"new", "z": b"z"}
    graph.commit(parents=graph.refs["main"].targets[:1], changes=state, message="later", ref="later")
    third = export_git(graph, target)
    assert (third.commits_written, third.commits_known) == (1, len(graph) - 1)
    assert third.objects_written < first.objects_written / 2
    assert_in_order(target, exports=2)
    assert_same_shape(graph, target)
    assert_comes_back(graph, target)
    after = oids(target)
    assert {commit: after[commit] for commit in before} == before


def test_two_replicas_export_the_same_objects_at_once_or_bit_by_bit(tmp_path: Path) -> None:
    graph, other = everything(), open_replica(8)
    for number in range(4):
        export_git(graph, tmp_path / "bit-by-bit")
        parent = graph.heads()[number % 2]
        graph.commit(parents=[parent], changes={"a": b"%d" % number, "a/c": None, f"d/{number}": b"x"}, message="m")
    export_git(graph, tmp_path / "bit-by-bit")
    give(graph, other)
    export_git(other, tmp_path / "at-once")
    assert oids(tmp_path / "at-once") == oids(tmp_path / "bit-by-bit")
    for each in ("at-once", "bit-by-bit"):
        assert_in_order(tmp_path / each, exports=5)


def test_an_export_that_was_stopped_leaves_what_was_there_and_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done:
            raise Stopped

    monkeypatch.setattr("crdtgraph.gitbridge.exporter.CHUNK_COMMITS", 2)
    monkeypatch.setattr("crdtgraph.gitbridge.packs.PACK_OBJECTS_MAX", 2)
    graph, target = open_replica(1), tmp_path / "export"
    grow(graph, 5)
    with pytest.raises(Stopped):
        export_git(graph, target, progress=stop)
    assert list((target / "objects/pack").iterdir())
    assert git(target, "for-each-ref") == ""
    export_git(graph, target)
    assert git(target, "for-each-ref") != ""
    grow(graph, 5)
    refs = git(target, "for-each-ref")
    with pytest.raises(Stopped):
        export_git(graph, target, progress=stop)
    assert git(target, "for-each-ref") == refs
    seen: list[tuple[int, int]] = []
    export_git(graph, target, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(0, 5), (2, 5), (4, 5), (5, 5)]
    assert_same_shape(graph, target)
    assert_comes_back(graph, target)


def test_an_export_that_lost_its_ledger_is_given_a_new_one(tmp_path: Path) -> None:
    graph, target = everything(), tmp_path / "export"
    export_git(graph, target)
    git(target, "update-ref", "-d", "refs/crdtgraph/ledger")
    assert export_git(graph, target).commits_written == 0
    assert_comes_back(graph, target)


# What is refused


@pytest.mark.parametrize("kind", ["folder", "file", "git", "working copy", "other cluster", "not empty"])
def test_a_place_where_something_else_is_is_left_alone(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "target"
    match kind:
        case "folder":
            target.mkdir()
            (target / "precious").write_text("x")
        case "file":
            target.write_text("x")
        case "git":
            GitRepository(tmp_path / "source").commit("x")
            git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "source"), str(target))
        case "working copy":
            GitRepository(target)
        case "other cluster":
            export_git(open_replica(2, cluster="lab"), target)
        case "not empty":
            git(tmp_path, "init", "-q", "--bare", str(target))
            git(
                target,
                "update-ref",
                "refs/heads/x",
                git(target, "hash-object", "-w", "--stdin", "-t", "commit", stdin=COMMIT),
            )
    before = listing(target)
    with pytest.raises(GitTargetError, match="target"):
        export_git(everything(), target)
    assert listing(target) == before


COMMIT = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a> 0 +0000\ncommitter A <a> 0 +0000\n\nx\n"


def listing(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def test_a_place_that_cannot_be_written_is_an_error_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(GitTargetError, match="file/export cannot be written"):
        export_git(everything(), tmp_path / "file" / "export")

    def full(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        export_git(everything(), tmp_path / "export")
    assert list((tmp_path / "export" / "objects" / "pack").iterdir()) == []
    monkeypatch.undo()
    export_git(everything(), tmp_path / "export")
    assert_comes_back(everything(), tmp_path / "export")


def test_an_empty_folder_and_an_empty_bare_repository_will_do(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    git(tmp_path, "init", "-q", "--bare", str(tmp_path / "bare"))
    for name in ("empty", "bare"):
        export_git(everything(), tmp_path / name)
        assert_in_order(tmp_path / name)
