"""An exported repository after somebody worked on it, or tampered with it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from crdtgraph import RemoteError
from crdtgraph.gitbridge import (
    GitTargetError,
    GraphTarget,
    RefAction,
    export_git,
    import_git,
)
from tests import recorded

from ..interchange.replicas import PLANE, everything, grow, open_replica
from .exports import (
    assert_comes_back,
    assert_in_order,
    cloned,
    git,
    tree_of,
)


def test_commits_made_in_git_are_not_lost_and_come_back_by_an_import(tmp_path: Path) -> None:
    target = tmp_path / "export"
    graph = open_replica(1)
    graph.commit(message="ours", changes={"a": b"1"}, ref="main")
    export_git(graph, target)
    clone = cloned(target, tmp_path / "clone")
    oid = clone.commit("in git", {"b": b"2"})
    clone.git("push", "--quiet", "origin", "HEAD:main")
    graph.commit(message="aside", parents=[], ref="aside")
    with pytest.raises(GitTargetError, match=f"{oid} at refs/heads/main") as caught:
        export_git(graph, target)
    assert "import git" in caught.value.hint
    report = import_git(target, GraphTarget(graph), trees=True)
    assert (report.commits_added, report.altered) == (1, ())
    assert [(each.name, each.action) for each in report.refs] == [("main", RefAction.FORWARDED)]
    assert graph.state(graph.refs["main"]) == {"a": b"1", "b": b"2"}
    assert graph.get(graph.refs["main"]).origin == f"git:{oid}"
    graph.commit(message="onward", changes={"c": b"3"}, ref="main")
    assert export_git(graph, target).commits_written == 2
    assert git(target, "rev-parse", "main~1") == oid
    assert tree_of(target, "main") == {name: ("100644", number) for name, number in zip("abc", "123", strict=True)}
    assert_in_order(target, exports=2)
    assert_comes_back(graph, target)


def test_a_tree_that_git_has_otherwise_is_written_whole(tmp_path: Path) -> None:
    target = tmp_path / "export"
    graph = open_replica(1)
    graph.commit(message="ours", changes={"a": b"1"}, ref="main")
    export_git(graph, target)
    clone = cloned(target, tmp_path / "clone")
    clone.commit("large", {"dir/large": b"x" * 100_000})
    clone.git("push", "--quiet", "origin", "HEAD:main")
    import_git(target, GraphTarget(graph), trees=True)
    graph.commit(message="onward", changes={"c": b"3"}, ref="main")
    export_git(graph, target)
    assert_in_order(target, exports=2)
    assert tree_of(target, "main")["dir/large"][1].startswith("crdtgraph reference")


def test_a_commit_that_was_amended_in_git_is_a_commit_of_git(tmp_path: Path) -> None:
    target = tmp_path / "export"
    graph = open_replica(1)
    for number in range(3):
        graph.commit(message=str(number), changes={"a": b"%d" % number}, ref="main")
    export_git(graph, target)
    clone = cloned(target, tmp_path / "clone")
    (clone.path / "a").write_bytes(b"amended")
    clone.git("commit", "--quiet", "--all", "--amend", "--no-edit")
    assert "crdtgraph " in clone.git("cat-file", "-p", "HEAD")
    clone.git("push", "--quiet", "--force", "origin", "HEAD:main")
    report = import_git(target, GraphTarget(graph), trees=True)
    assert [oid.hex() for oid in report.altered] == [clone.head()]
    assert report.commits_added == 1
    assert [each.action for each in report.refs] == [RefAction.CONFLICTED]
    assert len(graph.refs["main"].targets) == 2
    assert {graph.state(each)["a"] for each in graph.refs["main"].targets} == {b"2", b"amended"}


def test_a_clone_has_no_ledger_and_gives_the_same_commits(tmp_path: Path) -> None:
    target = tmp_path / "export"
    graph = open_replica(1)
    grow(graph, 3)
    graph.commit(message="tip", parents=graph.heads(), changes={"a": b"x" * 100, "b": None}, ref="my branch")
    export_git(graph, target)
    clone = cloned(target, tmp_path / "clone")
    with open_replica(2) as fresh:
        report = import_git(clone.path, GraphTarget(fresh))
        assert report.ledger is None
        assert report.commits_added == 4
        assert fresh.topological() == graph.topological()
        assert dict.fromkeys(fresh.refs) == {"my branch": None}
        assert import_git(clone.path, GraphTarget(fresh)).commits_added == 0


def test_a_ref_that_was_deleted_here_since_is_not_brought_back_by_an_import(tmp_path: Path) -> None:
    graph = everything()
    graph.set_ref("gone", graph.refs["main"])
    export_git(graph, tmp_path / "export")
    graph.delete_ref("gone")
    assert import_git(tmp_path / "export", GraphTarget(graph)).refs == ()
    assert "gone" not in graph.refs


def test_the_export_of_another_cluster_is_imported_as_history_alone(tmp_path: Path) -> None:
    lab = open_replica(1, cluster="lab")
    grow(lab, 2)
    lab.set_ref("main", lab.heads()[0])
    export_git(lab, tmp_path / "export")
    with open_replica(2) as graph:
        report = import_git(tmp_path / "export", GraphTarget(graph))
        assert report.ledger is not None
        assert (report.ledger.cluster, report.ledger.is_ours, report.ledger.segments_received) == ("lab", False, 0)
        assert graph.topological() == lab.topological()
        assert graph.counters(graph.heads()[0]) == ()
        assert graph.refs["main"] == lab.refs["main"]


@pytest.mark.parametrize("damage", ["segment", "missing", "digest", "kind"])
def test_a_ledger_that_was_tampered_with_is_refused_and_nothing_imported(tmp_path: Path, damage: str) -> None:
    target = tmp_path / "export"
    export_git(everything(), target)
    files = {
        path: git(target, "cat-file", "blob", oid)
        for path, oid in (
            (line.split("\t")[1], line.split()[2])
            for line in git(target, "ls-tree", "-r", "refs/crdtgraph/ledger").splitlines()
        )
    }
    place = next(path for path in files if json.loads(files[path])["type"] == "segment")
    match damage:
        case "segment":
            row = json.loads(files[place])
            row["bytes"] = row["bytes"][:-8] + "AAAAAAA="
            files[place] = json.dumps(row)
        case "missing":
            del files[place]
        case "digest":
            for name in ("1-header", "4-footer"):
                files[name] = re.sub(r'"digest": "\w{8}', '"digest": "00000000', files[name])
        case "kind":
            files[place] = "{}"
    entries = [
        f"100644 {git(target, 'hash-object', '-w', '--stdin', stdin=text.encode() + os.linesep.encode())}\t{path}"
        for path, text in files.items()
    ]
    environment = {**recorded.environment(tmp_path), "GIT_INDEX_FILE": str(tmp_path / "index")}
    subprocess.run(
        ["git", "-C", str(target), "update-index", "--add", "--index-info"],
        input="\n".join(entries).encode(),
        env=environment,
        check=True,
    )
    tree = (
        subprocess.run(["git", "-C", str(target), "write-tree"], env=environment, check=True, capture_output=True)
        .stdout.decode()
        .strip()
    )
    git(target, "update-ref", "refs/crdtgraph/ledger", tree)
    with open_replica(2) as graph:
        with pytest.raises(RemoteError, match=r"refs/crdtgraph/ledger of .* is damaged: line "):
            import_git(target, GraphTarget(graph))
        assert len(graph) == 0
        assert not graph.segment_keys(PLANE)
