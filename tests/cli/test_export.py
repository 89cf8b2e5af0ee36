"""Exporting a replica, importing it elsewhere, and comparing a replica with its export."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

import crdtgraph as library
from crdtgraph.store import Batch, Keyspace, open_store
from crdtgraph.store.base import FORMAT_KEY

from .conftest import CommandLine, Process, Starter
from .test_processes import shell


@pytest.fixture
def exported(crdtgraph: CommandLine, store: str) -> str:
    assert crdtgraph("export", "jsonl", "graph.jsonl").code == 0
    return "graph.jsonl"


def digest_of(crdtgraph: CommandLine, store: str) -> str:
    return crdtgraph("digest", "--store", store).out.strip()


# jsonl


def test_an_export_comes_back_into_an_empty_store_with_the_same_digest(crdtgraph: CommandLine, exported: str) -> None:
    crdtgraph("init", "--store", "copy.db")
    done = crdtgraph("import", "jsonl", exported, "--store", "copy.db")
    assert (done.code, done.err) == (0, "")
    digest = digest_of(crdtgraph, "search.db")
    assert done.out == f"imported 3 commits in 3 segments\ndigest {digest}\nas in the file\n"
    again = crdtgraph("import", "jsonl", exported, "--store", "copy.db", "-o", "json").json
    assert again == {
        "file": exported,
        "commits_in_file": 3,
        "commits_added": 0,
        "segments_added": 0,
        "digest_of_file": digest,
        "digest": digest,
        "equal": True,
    }


def test_through_a_pipe(crdtgraph: CommandLine, store: str) -> None:
    lines = crdtgraph("export", "jsonl").stdout
    crdtgraph("init", "--store", "copy.db")
    done = crdtgraph("import", "jsonl", "-", "--store", "copy.db", stdin=lines)
    assert (done.code, done.err) == (0, "")
    assert digest_of(crdtgraph, "copy.db") == digest_of(crdtgraph, store)


def test_an_import_into_a_store_that_holds_more_is_a_union_and_says_so(crdtgraph: CommandLine, exported: str) -> None:
    crdtgraph("commit", "-m", "more", "--ref", "main")
    done = crdtgraph("import", "jsonl", exported)
    assert done.code == 0
    assert done.out.startswith("imported 0 commits in 0 segments\ndigest ")
    assert "the store holds more than the file" in done.out


@pytest.mark.parametrize(
    "edit, message",
    [
        (
            lambda text: text.replace('"message": "aside"', '"message": "aslant"'),
            "says something else than the segment in line",
        ),
        (lambda text: text[:-40], "not JSON at column"),
        (lambda text: "", "line 1 is missing: the file is empty"),
        (lambda text: "\n" + text, "line 1 is not JSON at column 1"),
        (lambda text: text.replace('"version": 1', '"version": 9'), "line 1 says version 9"),
    ],
)
def test_malformed_lines_are_named_and_nothing_is_imported(
    crdtgraph: CommandLine, exported: str, edit: object, message: str
) -> None:
    assert callable(edit)
    Path(exported).write_text(edit(Path(exported).read_text()))
    crdtgraph("init", "--store", "copy.db")
    before = digest_of(crdtgraph, "copy.db")
    done = crdtgraph("import", "jsonl", exported, "--store", "copy.db")
    assert done.code == 5
    assert message in done.err
    assert digest_of(crdtgraph, "copy.db") == before


def test_the_export_of_another_cluster_is_refused_with_a_remedy(crdtgraph: CommandLine, exported: str) -> None:
    crdtgraph("init", "--store", "copy.db", "--cluster", "lab")
    done = crdtgraph("import", "jsonl", exported, "--store", "copy.db")
    assert done.code == 2
    assert "cluster 'default'" in done.err
    assert "hint: " in done.err


def test_a_store_of_a_newer_version_is_refused(crdtgraph: CommandLine, exported: str) -> None:
    opened = open_store("search.db", create=False)
    batch = Batch()
    batch.put(Keyspace.META, FORMAT_KEY, b"99")
    opened.write(batch, sync=True)
    opened.close()
    for arguments in (["import", "jsonl", exported], ["export", "jsonl", "other"], ["verify", "--compare", exported]):
        done = crdtgraph(*arguments)
        assert done.code == 5
        assert "newer" in done.err
    assert not Path("other").exists()


def test_a_file_that_is_there_is_replaced_only_by_force(crdtgraph: CommandLine, exported: str) -> None:
    Path(exported).write_text("precious")
    done = crdtgraph("export", "jsonl", exported)
    assert done.code == 2
    assert "is there already" in done.err
    assert Path(exported).read_text() == "precious"
    assert crdtgraph("export", "jsonl", exported, "--force").code == 0
    assert crdtgraph("verify", "--compare", exported).code == 0
    assert crdtgraph("export", "jsonl", ".").code == 2


def test_an_export_that_fails_leaves_no_file(
    crdtgraph: CommandLine, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = sorted(os.listdir())
    assert crdtgraph("export", "jsonl", "graph.jsonl").code == 2
    assert sorted(os.listdir()) == before


def test_no_summary_for_programs_in_the_middle_of_the_export(crdtgraph: CommandLine, store: str) -> None:
    done = crdtgraph("export", "jsonl", "-o", "json")
    assert (done.code, done.stdout) == (2, b"")
    summary = crdtgraph("export", "jsonl", "graph.jsonl", "-o", "json").json
    assert isinstance(summary, dict)
    assert sorted(summary) == ["commits", "digest", "file", "format", "set_digest"]
    assert summary["commits"] == 3


def test_a_reader_that_goes_away_is_no_error_message(store: str, tmp_path: Path, crdtgraph: CommandLine) -> None:
    for number in range(3):
        crdtgraph("commit", "-m", "x" * 100_000 + str(number), "--ref", "main")
    done = shell("crdtgraph export jsonl --store search.db | head -n 1", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["type"] == "header"


def test_the_export_of_a_node_is_that_of_its_store(crdtgraph: CommandLine, node: Process, store: str) -> None:
    crdtgraph("commit", "-m", "through the node", "--ref", "main", "--node", "search.db/control")
    done = crdtgraph("export", "jsonl", "graph.jsonl", "-o", "json")
    assert done.code == 0
    assert crdtgraph("verify", "--compare", "graph.jsonl").code == 0
    assert crdtgraph("verify", "--compare", "graph.jsonl", "--node", "search.db/control").code == 0
    assert done.json["digest"] == digest_of(crdtgraph, store)  # type: ignore[index]


def test_an_import_into_a_store_that_a_node_has_open_is_refused(
    crdtgraph: CommandLine, exported: str, node: Process
) -> None:
    done = crdtgraph("import", "jsonl", exported)
    assert done.code == 5
    assert "hint: " in done.err


def test_an_import_through_a_node(crdtgraph: CommandLine, exported: str, start: Starter) -> None:
    crdtgraph("init", "--store", "other.db")
    start("serve", "--store", "other.db", "--listen", "127.0.0.1:0").wait_for("ready")
    done = crdtgraph("import", "jsonl", exported, "--node", "other.db")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("imported 3 commits in 3 segments\n")
    assert done.out.endswith("as in the file\n")
    assert crdtgraph("verify", "--compare", exported, "--node", "other.db").code == 0


# git


def test_an_export_to_git_comes_back_with_the_same_digest_and_git_finds_it_in_order(
    crdtgraph: CommandLine, store: str
) -> None:
    done = crdtgraph("export", "git", "graph.git")
    digest = digest_of(crdtgraph, store)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"exported 3 commits to graph.git, which has 3; 2 refs changed\ndigest {digest}\n"
    checked = shell("git -C graph.git fsck --strict && git -C graph.git log --graph --all --format=%s", Path.cwd())
    assert checked.returncode == 0
    assert sorted(re.findall(r"\w+", checked.stdout)) == ["aside", "onward", "start"]
    crdtgraph("init", "--store", "copy.db")
    back = crdtgraph("import", "git", "graph.git", "--store", "copy.db")
    assert back.out == f"received 3 segments of the export, which has digest {digest}\nimported 0 commits\n"
    assert digest_of(crdtgraph, "copy.db") == digest
    crdtgraph("commit", "-m", "more", "--ref", "main")
    again = crdtgraph("export", "git", "graph.git", "-o", "json").json
    assert isinstance(again, dict)
    facts = {name: again[name] for name in ("commits", "commits_written", "commits_known", "refs_changed")}
    assert facts == {"commits": 4, "commits_written": 1, "commits_known": 3, "refs_changed": 1}
    assert again["digest"] == digest_of(crdtgraph, store)


def test_an_export_to_a_place_that_is_not_empty_is_refused(crdtgraph: CommandLine, store: str) -> None:
    Path("full").mkdir()
    Path("full/precious").write_text("x")
    done = crdtgraph("export", "git", "full")
    assert done.code == 2
    assert "full holds something else" in done.err
    assert "hint: " in done.err
    assert os.listdir("full") == ["precious"]


def test_an_export_to_git_of_and_to_a_node(crdtgraph: CommandLine, store: str, start: Starter) -> None:
    start("serve", "--store", store, "--listen", "127.0.0.1:0").wait_for("ready")
    crdtgraph("commit", "-m", "through the node", "--ref", "main", "--node", store)
    assert crdtgraph("export", "git", "graph.git", "--node", store).code == 0
    crdtgraph("init", "--store", "other.db")
    start("serve", "--store", "other.db", "--listen", "127.0.0.1:0").wait_for("ready")
    back = crdtgraph("import", "git", "graph.git", "--node", "other.db", "-o", "json").json
    assert isinstance(back, dict)
    assert back["ledger"]["received"] == 4
    assert digest_of(crdtgraph, "other.db") == digest_of(crdtgraph, store) == back["ledger"]["digest"]


def test_an_export_as_of_an_earlier_time_has_what_was_there(crdtgraph: CommandLine, store: str) -> None:
    digest = digest_of(crdtgraph, store)
    crdtgraph("commit", "-m", "later", "--ref", "main")
    assert crdtgraph("export", "git", "past.git", "--at", digest).code == 0
    shown = shell("git -C past.git log --all --format=%s", Path.cwd()).stdout
    assert sorted(shown.split()) == ["aside", "onward", "start"]
    assert "refs/crdtgraph/ledger" not in shell("git -C past.git for-each-ref", Path.cwd()).stdout
    for kind in ("dot", "graphml"):
        assert "later" in crdtgraph("export", kind).out
        assert "later" not in crdtgraph("export", kind, "--at", digest).out


# dot and graphml


@pytest.mark.parametrize("kind", ["dot", "graphml"])
def test_a_drawing_has_every_commit(crdtgraph: CommandLine, store: str, kind: str) -> None:
    with library.open(store, read_only=True) as graph:
        ids = [commit.hex() for commit in graph.topological()]
    shown = crdtgraph("export", kind)
    assert shown.code == 0
    done = crdtgraph("export", kind, "graph", "-o", "json")
    assert done.json == {"file": "graph", "format": kind, "commits": 3, "digest": digest_of(crdtgraph, store)}
    assert Path("graph").read_bytes() == shown.stdout
    assert all(name in shown.out for name in ids)
    assert crdtgraph("export", kind, "graph").code == 2
    assert crdtgraph("export", kind, "-o", "json").code == 2


# verify


def test_verify_names_what_differs(crdtgraph: CommandLine, exported: str) -> None:
    same = crdtgraph("verify", "--compare", exported)
    assert (same.code, same.out.splitlines()[0]) == (0, "search.db equals graph.jsonl")
    shutil.copytree("search.db", "other.db")
    crdtgraph("commit", "-m", "only here", "--ref", "main")
    crdtgraph("commit", "-m", "only there", "--ref", "fresh", "--parent", "main", "--store", "other.db")
    crdtgraph("export", "jsonl", "other.jsonl", "--store", "other.db")
    done = crdtgraph("verify", "--compare", "other.jsonl")
    assert done.code == 1
    assert "commits only here: 1" in done.out
    assert "commits only in other.jsonl: 1" in done.out
    assert "fresh" in done.out
    found = crdtgraph("verify", "--compare", "other.jsonl", "-o", "json")
    assert found.code == 1
    assert isinstance(found.json, dict)
    assert [len(found.json[side]) for side in ("only_here", "only_in_file")] == [1, 1]
    assert sorted(each["name"] for each in found.json["refs"]) == ["fresh", "main"]
    assert found.json["equal"] is False


def test_verify_says_when_the_file_itself_is_bad(crdtgraph: CommandLine, exported: str) -> None:
    Path(exported).write_text(Path(exported).read_text()[:-10])
    done = crdtgraph("verify", "--compare", exported)
    assert done.code == 5
    assert "line " in done.err


def test_verify_without_a_file_points_at_fsck(crdtgraph: CommandLine, store: str) -> None:
    done = crdtgraph("verify")
    assert done.code == 2
    assert "fsck" in done.err


def test_a_file_that_is_not_there(crdtgraph: CommandLine, store: str) -> None:
    for arguments in (["import", "jsonl", "nowhere"], ["verify", "--compare", "nowhere"]):
        done = crdtgraph(*arguments)
        assert done.code != 0
        assert "nowhere" in done.err
