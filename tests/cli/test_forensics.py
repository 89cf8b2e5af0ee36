"""`history` and `ops`: what they print, for people and for programs, of a store and of a node, now and as of then."""

from __future__ import annotations

import csv
import io
import json
import shutil
from typing import Any

import pytest

import crdtgraph as library
from cli.commands import history, ops
from crdtgraph import Commit
from sync.methods import methods
from sync.methods.forensics import KINDS
from sync.protocol.limits import CHUNK_ENTRIES
from sync.requests import LocalCaller

from .conftest import CommandLine


def rows(crdtgraph: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    outcome = crdtgraph(*arguments, "-o", "json")
    assert outcome.code == 0, outcome.err
    found: Any = outcome.json
    return found


@pytest.fixture
def parted(crdtgraph: CommandLine, store: str) -> str:
    """The store after a split brain: main was moved by two replicas that did not know of each other."""
    with library.open(store) as ours, library.open("other.db") as theirs:
        for delta in ours.deltas("ledger", {}):
            theirs.receive("ledger", delta.update)
        theirs.commit(message="theirs", ref="main")
        ours.commit(message="ours", ref="main")
        for delta in theirs.deltas("ledger", ours.state_vector("ledger")):
            ours.receive("ledger", delta.update)
    return store


def test_history_for_people(crdtgraph: CommandLine, parted: str) -> None:
    lines = crdtgraph("history", "main").out.splitlines()
    entries = [line for line in lines if not line.startswith("    ")]
    assert [line.split("  ")[-1] for line in entries] == ["ours", "theirs", "onward", "start"]
    assert ["conflict" in line for line in entries] == [True, True, False, False]
    assert ["live" in line for line in entries] == [True, True, False, False]
    assert sum(line.startswith("    superseding ") for line in lines) == 3
    assert sum(line.startswith("    not knowing of ") for line in lines) == 1
    assert len({line.split()[-1] for line in lines if " by replica " in line}) == 2


def test_history_for_programs_has_these_keys_and_kinds(crdtgraph: CommandLine, parted: str) -> None:
    found = rows(crdtgraph, "history", "main")
    assert [set(row) for row in found] == [set(history.COLUMNS)] * 4
    newest, other, onward, start = found
    assert (newest["action"], newest["subject"], newest["state"], newest["value"]) == ("set", "ours", "live", None)
    assert newest["target"] == rows(crdtgraph, "log", "-n", "1", "message(ours)")[0]["id"]
    assert isinstance(newest["stamp_us"], int)
    assert newest["concurrent_with"] == [other["dot"]]
    assert (newest["concurrent"], newest["conflict"], other["conflict"], onward["conflict"]) == (1, True, True, False)
    assert newest["supersedes"] == other["supersedes"] == [onward["dot"]]
    assert sorted(onward["superseded_by"]) == sorted([newest["dot"], other["dot"]])
    assert (start["state"], start["supersedes"], start["superseded_by"]) == ("superseded", [], [onward["dot"]])
    assert newest["replica"] != other["replica"]
    assert newest["segment"].startswith(newest["writer"] + "-")
    lines = crdtgraph("history", "main", "-o", "jsonl").out.splitlines()
    assert [json.loads(line) for line in lines] == found
    table = list(csv.reader(io.StringIO(crdtgraph("history", "main", "-o", "csv").out)))
    assert table[0] == list(history.COLUMNS)
    assert len(table) == 5
    assert rows(crdtgraph, "history", "main", "-n", "2") == found[:2]
    assert rows(crdtgraph, "history", "main", "-n", "0") == []


def test_history_of_a_removed_ref_and_of_metadata(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        graph.delete_ref("side")
        graph.set_meta("owner", "ann\nä".encode())
        graph.set_meta("owner", b"\xff\x00")
        graph.set_meta("owner", None)
        graph.set_meta("note", b"fine", commit=graph.refs["main"].targets[0])
    assert [row["action"] for row in rows(crdtgraph, "history", "side")] == ["removed", "set"]
    assert "removed" in crdtgraph("history", "side").out.splitlines()[0]
    found = rows(crdtgraph, "history", "--meta", "owner")
    assert [(row["action"], row["value"], row["target"], row["subject"]) for row in found] == [
        ("removed", None, None, None),
        ("set", {"size": 2, "base64": "/wA="}, None, None),
        ("set", {"size": 6, "text": "ann\nä"}, None, None),
    ]
    text = crdtgraph("history", "--meta", "owner").out
    assert "ann\\nä" in text
    assert "2 bytes" in text
    [note] = rows(crdtgraph, "history", "--commit", "main", "note")
    assert note["value"]["text"] == "fine"


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["history", "mian"], 3, "did you mean 'main'?"),
        (["history", "--meta", "main"], 3, "'main' was never set"),
        (["history", "--commit", "nowhere", "x"], 3, "names no commit"),
        (["history", "main", "--at", "2001-01-01"], 3, "the first record is of"),
        (["ops", "--writer", "xy"], 2, "'xy' is no writer"),
        (["ops", "--writer", "0000000000"], 3, "replicas that wrote"),
        (["ops", "--kind", "other"], 2, "other"),
    ],
)
@pytest.mark.usefixtures("store")
def test_what_is_wrong_is_said(crdtgraph: CommandLine, arguments: list[str], code: int, said: str) -> None:
    outcome = crdtgraph(*arguments)
    assert (outcome.code, outcome.out) == (code, "")
    assert said in outcome.err


def test_ops_for_people(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        root = graph.roots()[0]
        graph.set_meta("owner", b"ann")
        graph.set_meta("note", b"x", commit=root)
        graph.count(root, [3, -1])
        graph.discard(graph.refs["side"].targets[0])
        graph.delete_ref("side")
    lines = crdtgraph("ops").out.splitlines()
    assert [" ".join(line.split()[3:]) for line in lines[:6]] == [
        "assign ref side removed superseding 1",
        f"discard {lines[1].split()[4]} and what follows from it",
        f"count {root.hex()[:12]} +3 -1",
        f"assign metadata note of {root.hex()[:12]} = 1 bytes",
        "assign metadata owner = 3 bytes",
        f"assign ref main = {lines[5].split()[-3]} superseding 1",
    ]
    assert lines[-1].endswith("start")
    assert [line.split()[0] for line in lines] == sorted((line.split()[0] for line in lines), reverse=True)


def test_ops_for_programs_has_these_keys_and_kinds(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        root = graph.roots()[0]
        graph.set_meta("owner", b"ann")
        graph.count(root, [3])
        graph.discard(root)
    found = rows(crdtgraph, "ops")
    assert [set(row) for row in found] == [set(ops.COLUMNS)] * len(found)
    discard, count, meta, ref, commit = found[:5]
    assert [row["kind"] for row in found[:5]] == ["discard", "count", "assign", "assign", "commit"]
    assert (discard["commit"], discard["vector"], discard["dot"]) == (root.hex(), None, None)
    assert (count["commit"], count["vector"]) == (root.hex(), [3])
    assert (meta["namespace"], meta["key"], meta["target"]) == ("meta/graph", "owner", None)
    assert meta["value"] == {"size": 3, "text": "ann"}
    assert (ref["namespace"], ref["key"], ref["value"], ref["target"]) == ("ref", "main", None, commit["commit"])
    assert (commit["subject"], commit["changes"], commit["key"]) == ("onward", 1, None)
    assert ref["segment"] == commit["segment"]
    assert [json.loads(line) for line in crdtgraph("ops", "-o", "jsonl").out.splitlines()] == found
    assert crdtgraph("ops", "-o", "csv").out.splitlines()[0] == ",".join(ops.COLUMNS)
    assert set(ops.KINDS) == set(KINDS)
    for kind in ops.KINDS:
        assert rows(crdtgraph, "ops", "--kind", kind) == [row for row in found if row["kind"] == kind]
    for writer in {row["writer"] for row in found}:
        assert rows(crdtgraph, "ops", "--writer", writer) == [row for row in found if row["writer"] == writer]
    assert rows(crdtgraph, "ops", "--writer", found[0]["replica"][:6]) == found
    assert rows(crdtgraph, "ops", "-n", "3") == found[:3]
    assert rows(crdtgraph, "ops", "-n", "0") == []


def test_both_as_of_a_digest(crdtgraph: CommandLine, store: str) -> None:
    digest = crdtgraph("digest").out.strip()
    moves, said = rows(crdtgraph, "history", "main"), rows(crdtgraph, "ops")
    assert crdtgraph("commit", "-m", "later", "--ref", "main").code == 0
    assert len(rows(crdtgraph, "history", "main")) == len(moves) + 1
    assert rows(crdtgraph, "history", "main", "--at", digest) == moves
    assert rows(crdtgraph, "ops", "--at", digest) == said


def test_a_node_answers_as_its_store_does(crdtgraph: CommandLine, parted: str, start: Any) -> None:
    shutil.copytree(parted, "copy.db")
    start("serve", "--store", parted, "--listen", "127.0.0.1:0").wait_for("ready")
    for arguments in (["history", "main"], ["ops"], ["ops", "--kind", "assign"], ["ops", "-n", "2"]):
        assert rows(crdtgraph, *arguments) == rows(crdtgraph, *arguments, "--store", "copy.db")


def test_texts_of_others_do_not_reach_the_terminal_as_they_are(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store) as graph:
        graph.commit(message="\x1b[31mred\nsecond line", ref="main")
        graph.set_meta("owner", b"\x1b[32m\r")
    for arguments in (["history", "main"], ["history", "--meta", "owner"], ["ops"]):
        assert "\x1b" not in crdtgraph(*arguments).out


def test_parts_are_bounded_and_others_are_served_in_between() -> None:
    assert {"history", "ops"} <= set(methods())
    with library.open("memory:") as graph:
        graph.commit_many(Commit((), "a", number, "") for number in range(2_500))
        for _ in range(3):
            graph.commit(ref="main")
        caller = LocalCaller(graph)
        parts: list[Any] = list(caller.stream("ops"))
        assert sum(map(len, parts)) == 2_506
        assert max(map(len, parts)) == CHUNK_ENTRIES
        assert [len(part) for part in caller.stream("ops", limit=2) if part] == [2]  # type: ignore[arg-type]
        assert len(list(caller.stream("ops", kind="discard"))) >= 3
        parts = list(caller.stream("history", name="main"))
        assert parts.count([]) >= graph.status().segments
        assert len(parts[-1]) == 3
        graph.set_meta("large", bytes(60_000))
        for number in range(40):
            graph.set_meta("large", bytes([number]) * 60_000)
        assert max(len(part) for part in caller.stream("history", name="large", meta=True)) < 25  # type: ignore[arg-type]
        assert max(len(part) for part in caller.stream("ops", limit=41)) < 25  # type: ignore[arg-type]
