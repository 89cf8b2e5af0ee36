"""`crdtgraph show`: all there is to a commit."""

from __future__ import annotations

import json

import crdtgraph as library

from .conftest import CommandLine, Process


def test_counters_metadata_and_discards_are_shown(crdtgraph: CommandLine) -> None:
    with library.open("s.db") as graph:
        kept = graph.commit(message="kept", changes={"a": b"1\n"}, ref="main")
        graph.count(kept, [4, 3_000_000])
        graph.set_meta("note", b"good", commit=kept)
        graph.set_meta("raw", b"\x1b\xff", commit=kept)
        gone = graph.commit(parents=[kept], message="gone")
        graph.discard(gone)
    shown = crdtgraph("show", "main", "--store", "s.db").out
    assert "Counted: visits 4, value 0.75 (4, 3000000)" in shown
    assert "Meta:    note = good" in shown
    assert "\x1b" not in shown
    assert "Discarded" not in shown
    assert "Discarded" in crdtgraph("show", gone.hex(), "--store", "s.db").out
    [document] = crdtgraph("show", "main", "--store", "s.db", "-o", "json").json
    assert document["counters"] == [4, 3_000_000]
    assert document["live"] is True
    assert document["metadata"]["note"] == {"size": 4, "text": "good"}


def test_a_patch_is_that_against_the_first_parent(crdtgraph: CommandLine, store: str) -> None:
    shown = crdtgraph("show", "main", "-p").out
    assert "-e2 e4" in shown
    assert "+e7 e5" in shown
    [document] = crdtgraph("show", "main", "-p", "-o", "json").json
    assert document["patch"] == crdtgraph("diff", "main-", "main").out


def test_ids_may_be_in_upper_case(crdtgraph: CommandLine, store: str) -> None:
    with library.open(store, read_only=True) as graph:
        ids = [each.hex().upper() for each in graph.refs.values()]
    for each in ids:
        for rev in (each, each[:8], f"{each[:12]}-+ & {each}"):
            assert f"commit {each.lower()}" in crdtgraph("show", rev).out


def test_several_commits_and_a_revset(crdtgraph: CommandLine, store: str) -> None:
    shown = crdtgraph("show", "main", "side")
    assert [line for line in shown.out.splitlines() if line.startswith("    ")] == ["    onward", "    aside"]
    lines = crdtgraph("show", "heads()", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["message"] for line in lines] == ["onward", "aside"]


def test_nothing_selected_is_not_found(crdtgraph: CommandLine, store: str) -> None:
    outcome = crdtgraph("show", "none()")
    assert outcome.code == 3
    assert "selects no commit" in outcome.err


def test_through_a_node(crdtgraph: CommandLine, node: Process) -> None:
    assert "+e7 e5" in crdtgraph("show", "main", "-p", "--node", "search.db/control").out
