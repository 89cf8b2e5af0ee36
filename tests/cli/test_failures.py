"""Everything that can be wrong with a command line: the exit code, one line of reason, a hint, no traceback."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

import crdtgraph as library
from cli import failures
from cli.failures import ExitCode, StoppedError, report
from crdtgraph.store import FORMAT_KEY, Batch, Keyspace, open_store

from .conftest import CommandLine, Outcome, Process


def assert_fails(outcome: Outcome, code: int, *expected: str) -> None:
    assert outcome.code == code, outcome.err
    assert outcome.stdout == b""
    assert outcome.err.startswith("crdtgraph: ")
    assert "Traceback" not in outcome.err
    for text in expected:
        assert text in outcome.err


# Usage


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["frobnicate"], "no such command"),
        (["log", "--frobnicate"], "no such option"),
        (["log", "-n", "many"], "'many' is not a valid integer"),
        (["log", "-n", "-1"], "-1 is not in the range"),
        (["log", "-o", "xml"], "'xml' is not one of"),
        (["show"], "missing argument 'REV...'"),
        (["state"], "missing argument 'REV'"),
        (["state", "a", "b", "c"], "unexpected extra argument"),
        (["import", "svn"], "no such command"),
        (["commit", "--set", "novalue"], "'novalue' is not PATH=VALUE"),
        (["commit", "--set", "=x"], "'=x' is not PATH=VALUE"),
        (["commit", "--set", "a=1", "--remove", "a"], "path 'a' is given twice"),
        (["merge-base", "main"], "give two REVs, or --stdin"),
        (["merge-base"], "give two REVs, or --stdin"),
        (["merge-base", "--stdin", "main", "side"], "give two REVs, or --stdin"),
        (["log", "--node", "x"], "--store and --node exclude each other"),
        (["serve", "--peer", "nonsense"], "'nonsense' is not an address"),
        (["serve", "--listen", "127.0.0.1:99999"], "is not an address"),
        (["serve", "--listen", "0.0.0.0:0"], "loopback"),
        (["serve", "--control", "/nonexistent/folder/control"], "control"),
    ],
)
def test_wrong_usage_is_exit_code_2(crdtgraph: CommandLine, store: str, arguments: list[str], expected: str) -> None:
    command, *rest = arguments
    outcome = crdtgraph(command, *rest, *(["--store", store] if "--node" in rest else []))
    assert_fails(outcome, 2, expected)


@pytest.mark.parametrize("arguments", [[], ["import"]])
def test_without_a_command_the_help_is_shown(crdtgraph: CommandLine, arguments: list[str]) -> None:
    outcome = crdtgraph(*arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith("Usage: crdtgraph ")


def test_no_graph_named_says_how_to_name_one(crdtgraph: CommandLine) -> None:
    assert_fails(crdtgraph("log"), 2, "--store", "--node", "CRDTGRAPH_STORE")


def test_two_graphs_in_the_environment_are_refused(
    crdtgraph: CommandLine, store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRDTGRAPH_NODE", "elsewhere")
    assert_fails(crdtgraph("log"), 2, "both set")
    assert crdtgraph("log", "--store", store).code == 0, "the command line goes before the environment"


def test_a_malformed_line_of_pairs_is_named(crdtgraph: CommandLine, store: str) -> None:
    outcome = crdtgraph("merge-base", "--stdin", stdin=b"main side\nmain\n")
    assert outcome.code == 2
    assert "line 2 of standard input is not two REVs: 'main'" in outcome.err


def test_a_store_or_node_is_asked_for_where_it_is_needed(crdtgraph: CommandLine, store: str) -> None:
    assert_fails(crdtgraph("peers"), 4, "no node is running on search.db", "hint: start one: crdtgraph serve")
    assert_fails(crdtgraph("-o", "json", "block", "127.0.0.1:1"), 4)


@pytest.mark.parametrize("command", ["init", "serve"])
def test_a_node_cannot_create_or_serve_a_store(
    crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    assert_fails(crdtgraph(command, "--node", "control"), 2, "give --store PATH")


def test_text_that_no_utf8_can_hold_is_refused(crdtgraph: CommandLine, store: str) -> None:
    assert_fails(crdtgraph("commit", "-m", os.fsdecode(b"\xff")), 2)
    assert_fails(crdtgraph("commit", "--set", os.fsdecode(b"\xff=x")), 2)
    assert_fails(crdtgraph("show", os.fsdecode(b"\xff")), 3)
    assert crdtgraph("commit", "--set", os.fsdecode(b"a=\xff"), "--ref", "bytes").code == 0
    assert crdtgraph("state", "bytes", "a").stdout == b"\xff", "contents are bytes"


def test_a_file_that_cannot_be_read_is_named(crdtgraph: CommandLine, store: str) -> None:
    assert_fails(crdtgraph("commit", "--file", "a=missing"), 3, "missing: No such file or directory")


# Not found, ambiguous


def test_an_unknown_ref_is_exit_code_3(crdtgraph: CommandLine, store: str) -> None:
    for command in (
        ["show", "nope"],
        ["log", "nope"],
        ["state", "nope"],
        ["merge", "nope"],
        ["merge-base", "main", "nope"],
    ):
        assert_fails(crdtgraph(*command), 3, "'nope'", "hint: ")
    assert_fails(crdtgraph("state", "main", "nope"), 3, "'nope'")
    assert_fails(crdtgraph("show", "git:0123"), 3, "git:0123")


def test_an_ambiguous_prefix_lists_the_candidates(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        commits = [graph.commit(message=f"candidate {n}", origin=f"git:abc{n:037}") for n in range(3)]
    outcome = crdtgraph("show", "git:abc")
    assert_fails(outcome, 3, "beginning of 3", "candidate 0", *(each.hex()[:12] for each in commits))


def test_a_missing_parent_is_refused(crdtgraph: CommandLine, store: str) -> None:
    assert_fails(crdtgraph("commit", "--parent", "ab" * 32, "-m", "orphan"), 3, "ab" * 32)
    assert len(crdtgraph("log").out.splitlines()) == 3


def test_a_ref_does_not_move_sideways(crdtgraph: CommandLine, store: str) -> None:
    assert_fails(crdtgraph("commit", "--parent", "side", "--ref", "main"), 2, "'main'", "hint: ")


def test_commits_without_a_common_ancestor(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("commit", "-m", "another root", "--ref", "island")
    assert_fails(crdtgraph("merge-base", "main", "island"), 3, "have no common ancestor")


def test_a_path_that_is_no_store(crdtgraph: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "something").write_text("else")
    for place in ("absent", "file", "folder"):
        for command in (["log"], ["commit", "-m", "x"], ["fsck"], ["import", "git", "."]):
            assert_fails(crdtgraph(*command, "--store", place), 3, place)
    assert_fails(crdtgraph("diverge", "absent", "file"), 3)
    assert_fails(crdtgraph("init", "--store", "file"), 3)
    assert_fails(crdtgraph("init", "--store", "folder"), 3)
    assert not (tmp_path / "absent").exists(), "asking creates nothing"
    assert_fails(crdtgraph("log", "--store", "mysql:x"), 2, "unknown kind of store 'mysql'")


def test_a_path_that_is_no_git_repository(crdtgraph: CommandLine, store: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("absent", "empty"):
        assert_fails(crdtgraph("import", "git", place), 3, "is not a git repository", "hint: ")


# Unreachable


def test_a_node_that_is_not_there_is_exit_code_4(crdtgraph: CommandLine, tmp_path: Path) -> None:
    for place in ("absent", "x" * 200):
        assert_fails(crdtgraph("status", "--node", place), 4, "no node answers at")
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind("stale")
    assert_fails(crdtgraph("status", "--node", "stale"), 4)
    assert_fails(crdtgraph("diverge", "stale", "absent"), 4)


@pytest.mark.parametrize("answer", [b"", b"\x00\x00\x00", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_node_that_goes_away_or_is_none(crdtgraph: CommandLine, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("control")
        server.listen()

        def answer_one() -> None:
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.sendall(answer)
            connection.close()

        thread = threading.Thread(target=answer_one)
        thread.start()
        outcome = crdtgraph("digest", "--node", "control")
        thread.join()
    assert_fails(outcome, 5 if answer.startswith(b"HTTP") else 4)


# Corrupt, locked, newer


def test_a_store_in_use_names_the_control_socket(crdtgraph: CommandLine, store: str, node: Process) -> None:
    outcome = crdtgraph("commit", "-m", "x", "--ref", "main")
    assert_fails(outcome, 5, "already open", "search.db/control")
    assert crdtgraph("log").code == 0, "reading asks the node"


def test_a_corrupt_store_is_exit_code_5(crdtgraph: CommandLine, store: str, tmp_path: Path) -> None:
    for file in (tmp_path / store).glob("MANIFEST-*"):
        file.write_bytes(b"\x00" * 100)
    assert_fails(crdtgraph("log"), 5, "hint: ")
    assert_fails(crdtgraph("fsck"), 5)


def test_a_store_of_a_newer_version_is_exit_code_5(crdtgraph: CommandLine, store: str) -> None:
    newer = open_store(store)
    batch = Batch()
    batch.put(Keyspace.META, FORMAT_KEY, b"999")
    newer.write(batch, sync=True)
    newer.close()
    assert_fails(crdtgraph("log"), 5, "999", "hint: ")
    assert_fails(crdtgraph("commit", "-m", "x"), 5, "999")


def test_stores_of_two_clusters_are_not_compared(crdtgraph: CommandLine, store: str) -> None:
    crdtgraph("init", "--store", "other.db", "--cluster", "other")
    assert_fails(crdtgraph("diverge", store, "other.db"), 2, "different clusters")
    assert_fails(crdtgraph("init", "--store", "other.db", "--cluster", "third"), 2, "belongs to cluster")


# The mapping itself


@pytest.mark.parametrize(
    "failure, code",
    [
        (library.NotAStoreError("x"), ExitCode.NOT_FOUND),
        (library.NotFoundError("x"), ExitCode.NOT_FOUND),
        (library.AmbiguousError("x"), ExitCode.NOT_FOUND),
        (library.UnreachableError("x"), ExitCode.UNREACHABLE),
        (library.StoreLockedError("x"), ExitCode.CORRUPT),
        (library.StoreCorruptError("x"), ExitCode.CORRUPT),
        (library.CorruptError("x"), ExitCode.CORRUPT),
        (library.RemoteError("x"), ExitCode.CORRUPT),
        (library.LocalError("x"), ExitCode.USAGE),
        (library.CrdtGraphError("x"), ExitCode.USAGE),
        (PermissionError(13, "Permission denied", "x"), ExitCode.USAGE),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (StoppedError("x", ExitCode.TERMINATED), ExitCode.TERMINATED),
        (ExceptionGroup("x", [ExceptionGroup("y", [library.NotFoundError("x")])]), ExitCode.NOT_FOUND),
        (ZeroDivisionError("x"), ExitCode.BUG),
        (SystemExit(7), 7),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    failure: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(failure) == code
    assert "Traceback" not in capsys.readouterr().err


def test_every_error_of_the_library_has_an_exit_code() -> None:
    exported = [getattr(library, name) for name in library.__all__]
    kinds = [each for each in exported if isinstance(each, type) and issubclass(each, Exception)]
    unmapped = [kind for kind in kinds if not any(issubclass(kind, known) for known, _ in failures.CODES)]
    assert unmapped == [library.CrdtGraphError]


def test_a_bug_is_one_line_and_a_traceback_only_on_demand(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report(ZeroDivisionError("by zero"))
    assert capsys.readouterr().err == (
        "crdtgraph: internal error: ZeroDivisionError: by zero\n"
        "hint: this is a bug; run again with CRDTGRAPH_DEBUG=1 for the details to report\n"
    )
    monkeypatch.setenv("CRDTGRAPH_DEBUG", "1")
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as failure:
        report(failure)
    assert "Traceback" in capsys.readouterr().err


def test_control_characters_of_others_never_reach_the_terminal(crdtgraph: CommandLine, store: str) -> None:
    nasty = "\x1b]0;owned\x07\x1b[2J\x9b31m"
    crdtgraph(
        "commit", "-m", f"title {nasty}\n\nbody {nasty}", "--author", nasty, "--ref", "nasty", "--set", f"{nasty}=x"
    )
    for arguments in (["show", "nasty"], ["log"], ["state", "nasty"], ["show", nasty], ["state", "nasty", "\x1b"]):
        outcome = crdtgraph(*arguments)
        written = outcome.out + outcome.err
        assert written
        assert not {"\x1b", "\x07", "\x9b"} & set(written)
    [shown] = crdtgraph("show", "nasty", "-o", "json").json
    assert isinstance(shown, dict)
    assert shown["author"] == nasty, "programs get it as it is"


def test_a_copy_of_a_store_is_a_store(crdtgraph: CommandLine, store: str, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / store, tmp_path / "copy.db")
    assert crdtgraph("digest", "--store", "copy.db") == crdtgraph("digest", "--store", store)
