"""What each command prints, as text and as JSON."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import crdtgraph as library
from crdtgraph import Reference

from .conftest import CommandLine, Process, Starter


def test_init_creates_a_store_and_leaves_one_that_is_there(crdtgraph: CommandLine) -> None:
    first = crdtgraph("init", "--store", "a.db", "--cluster", "lab", "-o", "json").json
    again = crdtgraph("init", "--store", "a.db", "-o", "json").json
    assert isinstance(first, dict)
    assert first["cluster"] == "lab"
    assert first["created"] is True
    assert again == {**first, "created": False}
    assert "there is one already" in crdtgraph("init", "--store", "a.db").out


def test_a_commit_prints_its_id_and_moves_the_ref(crdtgraph: CommandLine, store: str) -> None:
    made = crdtgraph("commit", "-m", "next", "--set", "board=x=y", "--remove", "gone", "--ref", "main")
    [shown] = crdtgraph("show", "main", "-o", "json").json
    assert isinstance(shown, dict)
    assert shown["id"] == made.out.strip()
    assert shown["changes"] == [
        {"path": "board", "size": 3, "text": "x=y"},
        {"path": "gone", "removed": True},
    ]
    assert shown["refs"] == ["main"]
    assert len(shown["parents"]) == 1


def test_a_commit_takes_contents_from_files_and_standard_input(crdtgraph: CommandLine, store: str) -> None:
    Path("file").write_bytes(b"\x00\xff")
    crdtgraph("commit", "--file", "a=file", "--file", "b=-", "--ref", "main", stdin=b"piped\n")
    assert crdtgraph("state", "main", "a").stdout == b"\x00\xff"
    assert crdtgraph("state", "main", "b").stdout == b"piped\n"
    assert crdtgraph("state", "main", "a", "-o", "json").json == {"path": "a", "size": 2, "base64": "AP8="}


def test_a_commit_with_several_parents_keeps_their_order(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("commit", "--parent", "side", "--parent", "main", "--author", "me", "--ref", "both")
    [shown] = crdtgraph("show", "both", "-o", "json").json
    tips = {ref["name"]: ref["target"] for ref in crdtgraph("refs", "-o", "json").json}  # type: ignore[attr-defined]
    assert isinstance(shown, dict)
    assert shown["parents"] == [tips["side"], tips["main"]]
    assert shown["author"] == "me"


def test_show_prints_all_there_is(crdtgraph: CommandLine, store: str) -> None:
    page = crdtgraph("show", "main").out
    assert page.startswith("commit ")
    for expected in ("Refs:    main\n", "Parents: ", "Author:  ", "Date:    20", "\n    onward\n", "board  5 bytes"):
        assert expected in page


def test_log_lists_newest_first_and_stops_at_the_limit(crdtgraph: CommandLine, store: str) -> None:
    lines = crdtgraph("log").out.splitlines()
    assert [line.split()[-1] for line in lines][-1] == "start"
    assert len(lines) == 3
    assert "(main)" in crdtgraph("log", "main").out
    assert "aside" not in crdtgraph("log", "main").out
    assert len(crdtgraph("log", "-n", "1").out.splitlines()) == 1
    assert crdtgraph("log", "-n", "0").out == ""


def test_log_as_json_is_one_array(crdtgraph: CommandLine, store: str) -> None:
    entries = crdtgraph("log", "-o", "json").json
    assert isinstance(entries, list)
    assert {entry["message"] for entry in entries} == {"start", "aside", "onward"}
    assert entries[-1]["parents"] == []
    assert crdtgraph("log", "-n", "0", "-o", "json").json == []


def test_refs_show_conflicts_and_merge_ends_them(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        graph.set_ref("main", graph.resolve("side"), keep_others=True)
    assert "conflict, also at" in crdtgraph("refs").out
    assert "main??" in crdtgraph("log").out
    preview = crdtgraph("merge", "main", "--dry-run").out
    assert preview.startswith("would merge ")
    assert "conflict, also at" in crdtgraph("refs").out
    merged = crdtgraph("merge", "main", "-o", "json").json
    assert isinstance(merged, dict)
    assert (merged["merged"], merged["conflicts"]) == (True, [])
    assert merged["commit"] in preview
    assert len(merged["parents"]) == 2
    assert "conflict" not in crdtgraph("refs").out
    assert "is not in conflict" in crdtgraph("merge", "main").out


def test_merge_lists_paths_that_both_sides_changed(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        ours = graph.refs["side"]
        theirs = graph.commit(parents=[graph.resolve("main")], changes={"board": Reference("blob", b"\1", 7)})
        ours = graph.commit(parents=[ours], changes={"board": b"mine"}, ref="side")
        graph.set_ref("side", theirs, keep_others=True)
    text = crdtgraph("merge", "side", "--dry-run").out
    assert "1 paths in conflict" in text
    assert "board: " in text
    assert "blob:01 (7 bytes)" in text
    [conflict] = crdtgraph("merge", "side", "-o", "json").json["conflicts"]  # type: ignore[index]
    assert conflict["path"] == "board"
    assert conflict["base"] == {"size": 5, "text": "e2 e4"}


def test_state_lists_paths_with_sizes(crdtgraph: CommandLine, store: str) -> None:
    assert crdtgraph("state", "main").out.split() == ["5", "bytes", "board"]
    assert crdtgraph("state", "side", "-o", "json").json == [
        {"path": "board", "size": 5, "text": "e2 e4"},
        {"path": "notes", "size": 1, "text": "x"},
    ]


def test_contents_that_are_kept_elsewhere_are_described(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        graph.commit(changes={"large": Reference("git-blob", b"\xab" * 20, 70_000)}, ref="big")
    assert f"git-blob:{'ab' * 20} (70000 bytes)" in crdtgraph("state", "big").out
    failed = crdtgraph("state", "big", "large")
    assert (failed.code, failed.stdout) == (3, b"")
    assert "not kept here" in failed.err
    document = crdtgraph("state", "big", "large", "-o", "json").json
    assert isinstance(document, dict)
    assert document["reference"] == {"scheme": "git-blob", "digest": "ab" * 20}


def criss_cross(store: str) -> list[str]:
    """Two commits with two merge bases; returns the four ids, bases first."""
    with library.open(store) as graph:
        root = graph.resolve("main")
        a, b = (graph.commit(parents=[root], message=name, origin=f"git:{name * 40}") for name in "ab")
        left, right = graph.commit(parents=[a, b], ref="left"), graph.commit(parents=[b, a], ref="right")
        return [each.hex() for each in (*sorted((a, b)), left, right)]


def test_merge_base_prints_one_or_all(crdtgraph: CommandLine, store: str) -> None:
    [first, second, *_] = criss_cross(store)
    assert crdtgraph("merge-base", "left", "right").out == f"{first}\n"
    assert crdtgraph("merge-base", "--all", "left", "right").out == f"{first}\n{second}\n"
    assert set(crdtgraph("merge-base", "--all", "--origin", "left", "right").out.split()) == {
        "git:" + "a" * 40,
        "git:" + "b" * 40,
    }
    assert crdtgraph("merge-base", "--all", "left", "right", "-o", "json").json == [first, second]


def test_merge_base_answers_many_pairs_from_standard_input(crdtgraph: CommandLine, store: str) -> None:
    [first, second, left, _] = criss_cross(store)
    crdtgraph("commit", "-m", "another root", "--ref", "island")
    pairs = f"left right\n{left} left\nisland main\n  main   side \n".encode()
    lines = crdtgraph("merge-base", "--stdin", stdin=pairs).out.split("\n")
    assert lines[:3] == [f"{first} {second}", left, ""]
    assert len(lines) == 5
    assert crdtgraph("merge-base", "--stdin", "-o", "json", stdin=pairs).json == [line.split() for line in lines[:-1]]
    origins = crdtgraph("merge-base", "--stdin", "--origin", stdin=b"left right\nmain side\n").out.split("\n")
    assert len(origins[0].split()) == 2
    assert origins[1] == "-", "a commit that was not imported has no origin"


def test_merge_base_answers_more_pairs_than_fit_one_request(crdtgraph: CommandLine, store: str) -> None:
    answer = crdtgraph("merge-base", "--stdin", stdin=b"main side\n" * 2_500)
    assert len(answer.out.splitlines()) == 2_500


def test_status_and_digest_agree(crdtgraph: CommandLine, store: str) -> None:
    status = crdtgraph("status", "-o", "json").json
    digest = crdtgraph("digest")
    assert isinstance(status, dict)
    assert status["graph"]["digest"] == digest.out.strip()
    assert len(digest.out.strip()) == 64
    assert (status["graph"]["commits"], status["node"], status["pending"]) == (3, None, [])
    assert crdtgraph("digest", "-o", "json").json["digest"] == digest.out.strip()  # type: ignore[index]
    assert "conflicted refs  0" in crdtgraph("status").out


def test_fsck_counts_what_it_checked(crdtgraph: CommandLine, store: str) -> None:
    done = crdtgraph("fsck", "-o", "json")
    assert done.code == 0
    document = done.json
    assert isinstance(document, dict)
    assert document["commits"] == 3
    assert document["problems"] == []
    assert crdtgraph("fsck").out.startswith("checked ")


def test_fsck_of_a_forged_segment_lists_the_problem(
    crdtgraph: CommandLine, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crdtgraph import planes

    def refuse(self: object, key: library.ids.SegmentKey) -> None:
        raise library.CorruptError(f"the signature of {key.text} is wrong")

    monkeypatch.setattr(planes.Plane, "verify", refuse)
    checked = crdtgraph("fsck")
    assert checked.code == 5
    assert "the signature of " in checked.out
    assert "problems found" in checked.err
    document = crdtgraph("fsck", "-o", "json").json
    assert isinstance(document, dict)
    assert len(document["problems"]) >= 1


# Import of git


@pytest.fixture
def git_repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    script = """
    git init -q -b main . && git config user.name Ann && git config user.email ann@example.invalid
    echo 1 > file && git add file && git commit -q -m one && git tag v1 && git tag odd HEAD:file
    echo 2 > file && git commit -q -a -m two
    """
    subprocess.run(["sh", "-ec", script], cwd=folder, check=True, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)})
    return folder


def test_import_git_makes_commits_and_refs_once(crdtgraph: CommandLine, store: str, git_repository: Path) -> None:
    first = crdtgraph("import", "git", git_repository, "--trees")
    assert first.code == 0
    # Here `main` has commits of its own: git's is put beside them, for somebody to merge.
    assert first.out.splitlines() == [
        "imported 2 commits",
        "refs: 1 created, 1 conflicted",
        "main moved here and in git; see both: crdtgraph refs, join them: crdtgraph merge main",
        "skipped, as they lead to no commit: refs/tags/odd",
    ]
    again = crdtgraph("import", "git", git_repository, "--trees", "-o", "json").json
    assert isinstance(again, dict)
    assert again["commits"] == 0
    assert {name: each["action"] for name, each in again["refs"].items()} == {
        "main": "unchanged",
        "tags/v1": "unchanged",
    }
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=git_repository, text=True).strip()
    [shown] = crdtgraph("show", f"git:{head[:7]}", "-o", "json").json
    assert isinstance(shown, dict)
    assert (shown["message"], shown["origin"]) == ("two\n", f"git:{head}")
    assert crdtgraph("state", f"git:{head}", "file").stdout == b"2\n"


# Through a running node


def test_every_command_answers_through_a_node_as_it_does_from_the_store(
    crdtgraph: CommandLine, store: str, node: Process, git_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRDTGRAPH_STORE")
    socket = f"{store}/control"
    made = crdtgraph("commit", "-m", "through the node", "--set", "a=b", "--ref", "main", "--node", socket)
    assert made.code == 0
    assert crdtgraph("import", "git", git_repository, "--node", store).out.startswith("imported 2 commits")
    reading = (
        ["show", "main"],
        ["log"],
        ["refs"],
        ["state", "main"],
        ["state", "main", "a"],
        ["merge-base", "main", "side"],
        ["digest"],
        ["merge", "main", "--dry-run"],
    )
    answers = [crdtgraph(*arguments, "--node", socket) for arguments in reading]
    # A reading command that is given the store finds the node by itself.
    assert [crdtgraph(*arguments, "--store", store) for arguments in reading] == answers
    status = crdtgraph("status", "--node", socket, "-o", "json").json
    assert isinstance(status, dict)
    assert status["node"]["peers"] == []
    assert "peers  0" in crdtgraph("status", "--node", socket).out
    assert crdtgraph("fsck", "--node", socket).code == 0
    stopped = node.end(15)
    assert stopped.code == 0
    assert [crdtgraph(*arguments, "--store", store) for arguments in reading] == answers


def test_peers_can_be_blocked_and_unblocked(crdtgraph: CommandLine, store: str, node: Process) -> None:
    assert crdtgraph("block", "127.0.0.1:9").code == 0
    assert "blocked: 127.0.0.1:9" in crdtgraph("peers").out
    assert crdtgraph("peers", "-o", "json").json == {"peers": [], "blocked": ["127.0.0.1:9"]}
    assert crdtgraph("unblock", "127.0.0.1:9", "-o", "json").json == {"unblocked": "127.0.0.1:9"}
    assert "blocked" not in crdtgraph("peers").out
    again = crdtgraph("unblock", "127.0.0.1:9")
    assert again.code == 3
    assert "is not blocked" in again.err
    assert crdtgraph("block", "nobody").code == 2


def test_two_nodes_see_each_other(crdtgraph: CommandLine, store: str, node: Process, start: Starter) -> None:
    status = crdtgraph("status", "-o", "json").json
    assert isinstance(status, dict)
    [address] = status["node"]["addresses"]
    other = start("serve", "--store", "other.db", "--peer", address, "--name", "other")
    other.wait_for("peer connected")
    node.wait_for("peer connected")
    peers = crdtgraph("peers", "-o", "json").json
    assert isinstance(peers, dict)
    assert [(peer["name"], peer["state"]) for peer in peers["peers"]] == [("other", "open")]
    assert "open" in crdtgraph("peers").out
