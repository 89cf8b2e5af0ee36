"""`crdtgraph log`: lists, drawings, pagers."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import crdtgraph as library

from .conftest import ROOT, CommandLine, Process
from .drawing.reading import LINES, SYMBOLS, Drawing

DRAWN = f"{SYMBOLS}{LINES}─├┤┼╭╮┬╰╯┴~ "


@pytest.fixture
def history(crdtgraph: CommandLine) -> str:
    """A merge of two lines, a conflicted ref, a discarded commit, and one that was visited."""
    with library.open("h.db") as graph, library.open("other.db") as other:
        root = graph.commit(message="start", ref="main", author="ann <a@b>")
        for delta in graph.deltas("ledger", {}):
            other.receive("ledger", delta.update)
        left = graph.commit(parents=[root], message="left\n\nwith more")
        right = graph.commit(parents=[root], message="right")
        graph.commit(parents=[left, right], message="both", ref="main")
        graph.count(left, [4, 3_000_000])
        graph.discard(graph.commit(parents=[root], message="thrown away"))
        other.commit(message="elsewhere", ref="main")
        other.flush()
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
    return "h.db"


def rows(text: str) -> list[str]:
    """The drawing alone, without the text behind it."""
    found = []
    for line in text.splitlines():
        end = next((place for place, character in enumerate(line) if character not in DRAWN), len(line))
        found.append(line[:end].rstrip())
    return found


def test_a_drawing_shows_what_the_graph_is(crdtgraph: CommandLine, history: str) -> None:
    shown = crdtgraph("log", "--graph", "--store", history)
    assert shown.code == 0, shown.err
    listed = crdtgraph("log", "--graph", "--store", history, "-o", "json").json
    read = Drawing(rows(shown.out))
    assert {(listed[a]["id"], listed[b]["id"]) for a, b in read.edges} == {
        (each["id"], parent) for each in listed for parent in each["parents"]
    }
    lines = {line.split("  ")[-1].strip(): line for line in shown.out.splitlines()}
    assert "[visits 4, value 0.75]" in lines["left"]
    assert "[discarded]" in lines["thrown away"]
    assert "⊘" in lines["thrown away"]
    assert "◇" in lines["both"]
    assert "(main??)" in lines["elsewhere"]
    assert "ann " in lines["start"]


def test_ascii_is_the_same_drawing(crdtgraph: CommandLine, history: str) -> None:
    from cli.drawing import ASCII

    table = {**ASCII.table, **str.maketrans("○⊘◇", "*x?")}
    plain = crdtgraph("log", "--graph", "--ascii", "--store", history).out
    assert plain.isascii()
    assert plain == crdtgraph("log", "--graph", "--store", history).out.translate(table)


def test_a_terminal_without_unicode_gets_ascii(crdtgraph: CommandLine, history: str, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "cli", "log", "--graph", "--store", history]
    done = subprocess.run(command, env=environment, capture_output=True, cwd=tmp_path, check=True)
    assert done.stdout.isascii()
    assert done.stdout.startswith(b"*") or b"\n*" in done.stdout


def test_through_a_node_it_is_the_same(crdtgraph: CommandLine, node: Process) -> None:
    through = crdtgraph("log", "--graph", "--node", "search.db/control")
    assert through.code == 0
    assert through.out.count("○") == 3
    listed = crdtgraph("log", "--graph", "--node", "search.db/control", "-o", "jsonl").out.splitlines()
    assert [json.loads(line)["subject"] for line in listed] == ["onward", "aside", "start"]


def test_a_selection_draws_what_it_leaves_out_as_dots(crdtgraph: CommandLine, history: str) -> None:
    shown = crdtgraph("log", "--graph", "--store", history, "heads() & main | roots()")
    assert shown.code == 0, shown.err
    assert "┊" in shown.out
    one = crdtgraph("log", "--graph", "--store", history, "message(left) & ~message(start)")
    assert rows(one.out) == ["○", "~"]


def test_a_limit_cuts_the_drawing_off(crdtgraph: CommandLine, history: str) -> None:
    whole = crdtgraph("log", "--graph", "--store", history).out
    assert whole.startswith(crdtgraph("log", "--graph", "--store", history, "-n", "2").out.rstrip("\n"))
    assert crdtgraph("log", "--graph", "--store", history, "-n", "0").out == ""


@pytest.mark.parametrize("output", ["json", "jsonl", "csv"])
@pytest.mark.parametrize("graph", [["--graph"], []])
def test_every_form_names_the_same_commits(crdtgraph: CommandLine, history: str, output: str, graph: list[str]) -> None:
    shown = crdtgraph("log", *graph, "--store", history, "-o", output)
    assert shown.code == 0
    ids = {each["id"] for each in crdtgraph("log", "--store", history, "-o", "json").json}
    if output == "csv":
        documents = list(csv.DictReader(shown.out.splitlines(keepends=True)))
    else:
        documents = shown.json if output == "json" else [json.loads(line) for line in shown.out.splitlines()]
    assert {each["id"] for each in documents} == ids
    assert len(documents) == len(ids)


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["nowhere"], 3, "names no commit"),
        (["--plane", "none"], 3, "no plane"),
        (["-n", "-1"], 2, "-1"),
        (["main |"], 2, "column"),
    ],
)
@pytest.mark.parametrize("graph", [["--graph"], []])
def test_mistakes(
    crdtgraph: CommandLine, history: str, arguments: list[str], code: int, said: str, graph: list[str]
) -> None:
    outcome = crdtgraph("log", *graph, "--store", history, *arguments)
    assert outcome.code == code
    assert said in outcome.err
    assert outcome.out == ""


# On a terminal


def on_a_terminal(folder: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run a command on a pseudo-terminal; its exit code and all that the terminal got."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "PAGER": "", **variables}
    environment.pop("NO_COLOR", None) if "NO_COLOR" not in variables else None
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments], cwd=folder, env=environment, stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    seen = b""
    while True:
        try:
            data = os.read(main, 65_536)
        except OSError:  # what Linux says when the other side is gone
            break
        if not data:
            break
        seen += data
    os.close(main)
    return process.wait(60), seen.decode()


def test_a_terminal_gets_colours_and_the_unique_digits_stand_out(history: str, tmp_path: Path) -> None:
    code, seen = on_a_terminal(tmp_path, "log", "--graph", "--store", history)
    assert code == 0
    with library.open(str(tmp_path / history), read_only=True) as graph:
        ids = sorted(each.hex() for each in graph.newest_first())
    for place, commit in enumerate(ids):
        neighbours = ids[max(0, place - 1) : place] + ids[place + 1 : place + 2]
        digits = next(n for n in range(4, 65) if not any(other.startswith(commit[:n]) for other in neighbours))
        assert f"\x1b[1;35m{commit[:digits]}\x1b[0m\x1b[2m{commit[digits:12]}\x1b[0m" in seen
    code, plain = on_a_terminal(tmp_path, "log", "--graph", "--store", history, NO_COLOR="1")
    assert code == 0
    assert "\x1b" not in plain


def test_the_pager_gets_it_and_may_quit(history: str, tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\necho "LESS=$LESS"\nhead -n 1\n')
    pager.chmod(0o755)
    code, seen = on_a_terminal(tmp_path, "log", "--graph", "--store", history, PAGER=str(pager))
    assert code == 0
    assert "LESS=FRX" in seen
    assert len(seen.splitlines()) == 2
    code, seen = on_a_terminal(tmp_path, "log", "--graph", "--store", history, "--no-pager", PAGER=str(pager))
    assert "LESS" not in seen
    assert len(seen.splitlines()) > 5


def test_a_pager_that_quits_ends_the_work(tmp_path: Path) -> None:
    with library.open(str(tmp_path / "long.db")) as graph:
        tip = None
        for number in range(5_000):
            tip = graph.commit(parents=[tip] if tip else [], message=f"commit {number} " + "x" * 200)
    code, seen = on_a_terminal(tmp_path, "log", "--store", "long.db", PAGER="head -n 3")
    assert code == 0
    assert len(seen.splitlines()) == 3
    assert "internal error" not in seen


def test_no_pager_where_nobody_sits(crdtgraph: CommandLine, history: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "false")
    assert crdtgraph("log", "--store", history).code == 0
