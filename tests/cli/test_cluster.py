"""The cluster at the terminal: three real processes in a line, asked at one end."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import CommandLine, Outcome, Process, Starter

PATIENCE_S = 20


class Line:
    """Nodes a - b - c, each connected to the one before; `run` is a command line in this process."""

    run: CommandLine

    def __init__(self, folder: Path, names: str = "abc") -> None:
        self.folder = folder
        self.processes: dict[str, Process] = {}
        peers: list[str] = []
        for name in names:
            arguments = ["--store", f"{name}.db", "--listen", "127.0.0.1:0", "--name", name, "--log", "json", *peers]
            process = self.processes[name] = Process(folder, "serve", *arguments)
            process.wait_for('"ready"')
            [ready] = [line for line in process.err.splitlines() if '"ready"' in line]
            peers = ["--peer", json.loads(ready)["addresses"][0]]

    def place(self, name: str) -> str:
        return str(self.folder / f"{name}.db")

    def ask(self, *arguments: str, at: str = "a") -> Outcome:
        return self.run(*arguments, "--node", self.place(at))

    def ask_all(self, names: str, *arguments: str) -> Outcome:
        return self.run(*arguments, *map(self.place, names))

    def members(self, at: str = "a") -> dict[str, dict[str, object]]:
        rows = self.ask("status", "--cluster", "-o", "json", at=at).json
        assert isinstance(rows, list)
        return {row["name"]: row for row in rows}

    def states(self, at: str = "a") -> dict[str, object]:
        return {name: row["state"] for name, row in self.members(at).items()}

    def commits(self) -> set[object]:
        return {row["commits"] for row in self.members().values()}

    def until(self, condition: Callable[[], bool]) -> None:
        """Ask again until it holds: nodes have their own pace, and each question takes a while."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.ask("status", "--cluster").out

    def id_of(self, name: str) -> str:
        return str(self.members(at=name)[name]["replica"])

    def end(self) -> None:
        for process in self.processes.values():
            if process.popen.poll() is None:
                process.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    line = Line(tmp_path_factory.mktemp("standing"))
    yield line
    line.end()


@pytest.fixture
def whole(standing: Line, crdtgraph: CommandLine) -> Line:
    """Three nodes with one commit and nothing wrong; not to be changed."""
    standing.run = crdtgraph
    if standing.commits() != {1}:
        standing.until(lambda: standing.states() == {"a": "up", "b": "up", "c": "up"})
        assert standing.ask("commit", "-m", "x", "--ref", "main", at="c").code == 0
        standing.until(lambda: standing.commits() == {1})
    return standing


@pytest.fixture
def split(tmp_path: Path, crdtgraph: CommandLine) -> Iterator[Line]:
    """Three nodes of which b and c hear nothing of a any more, and a has a commit that they lack."""
    line = Line(tmp_path)
    line.run = crdtgraph
    line.until(lambda: line.states() == {"a": "up", "b": "up", "c": "up"})
    assert line.ask("block", line.id_of("a")[:8], at="b").code == 0
    assert line.ask("commit", "-m", "x", "--ref", "main").code == 0
    yield line
    line.end()


def test_any_node_shows_all_members_and_whether_they_agree(whole: Line) -> None:
    shown = whole.ask("status", "--cluster")
    assert shown.code == 0
    header, *rows = shown.out.splitlines()
    assert header.split()[:4] == ["NODE", "NAME", "STATE", "VERSION"]
    assert [row.split()[1:3] for row in rows[:3]] == [["a", "up"], ["b", "up"], ["c", "up"]]
    assert len({row.split()[-1] for row in rows[:3]}) == 1
    assert rows[-1] == "3 of 3 members are up and agree"
    of_c = whole.members()["c"]
    assert of_c["replica"] == whole.id_of("c")
    assert of_c["lag_segments"] == of_c["pending"] == of_c["queued_messages"] == 0
    assert isinstance(of_c["store_bytes"], int)
    assert of_c["store_bytes"] > 0
    assert [link["state"] for link in of_c["links"]] == ["open"]  # type: ignore[attr-defined]
    csv = whole.ask("status", "--cluster", "-o", "csv").out.splitlines()
    assert csv[0].startswith("replica,name,state,")
    assert len(csv) == 4


def test_digests_of_all_members_stand_side_by_side(whole: Line) -> None:
    digest = whole.ask("digest").out.strip()
    shown = whole.ask("digest", "--cluster", at="b")
    assert shown.code == 0
    assert re.findall(r" (A [0-9a-f]{16})$", shown.out, re.MULTILINE) == [f"A {digest[:16]}"] * 3


def test_links_are_shown_as_both_ends_see_them(whole: Line) -> None:
    shown = whole.ask("topology")
    assert shown.code == 0
    assert shown.out.splitlines()[-1] == "whole: links lead from each of the 3 members that are up to each"
    assert len(re.findall(r"[├└]─ [abc]  open", shown.out)) == 4
    document = whole.ask("topology", "-o", "json").json
    assert isinstance(document, dict)
    assert [(link["one_name"], link["other_name"], link["state"]) for link in document["links"]] == [
        ("a", "b", "open"),
        ("b", "c", "open"),
    ]


def test_peers_in_detail(whole: Line) -> None:
    shown = whole.ask("peers", "--detailed", at="b").out.splitlines()
    assert shown[0].split()[:5] == ["PEER", "NAME", "ADDRESS", "DIRECTION", "STATE"]
    assert sorted(row.split()[1:5:2] for row in shown[1:]) == [["a", "dialled"], ["c", "accepted"]]
    assert all(re.search(r" (\d+us|[\d.]+ms) +[\d.]+k?B +[\d.]+k?B +0 0B +0 ", row) for row in shown[1:]), shown
    csv = whole.ask("peers", "-o", "csv", at="b").out.splitlines()
    assert csv[0].startswith("replica,name,address,direction,state,agrees,bytes_in")
    assert len(csv) == 3
    assert "DIRECTION" not in whole.ask("peers", at="b").out


def test_of_a_node_status_has_version_uptime_store_and_planes(whole: Line) -> None:
    shown = whole.ask("status").out
    for pattern in (
        r"^version +\S+$",
        r"^uptime +\d",
        r"^store +[\d.]+kB$",
        r"^plane ledger  commits 1,",
        r"^members +3$",
    ):
        assert re.search(pattern, shown, re.MULTILINE), pattern


def test_members_that_differ_are_a_mismatch(split: Line) -> None:
    alone = split.ask("status", "--cluster")
    assert alone.code == 0
    assert alone.out.splitlines()[-1] == "1 of 3 members is up"
    assert split.states() == {"a": "up", "b": "unreachable", "c": "unreachable"}
    assert split.members()["c"]["lag_commits"] == 1
    both = split.ask_all("ab", "status", "--cluster")
    assert both.code == 1
    assert "MISMATCH: 3 of 3 members are up, and they differ" in both.out
    assert re.search(r"ledger: A [0-9a-f]{8} b, c; B [0-9a-f]{8} a$", both.out, re.MULTILINE)
    assert "b blocks a" in both.out

    digests = split.ask_all("ac", "digest", "--cluster")
    assert digests.code == 1
    assert "MISMATCH" in digests.out
    rows = split.ask_all("ac", "digest", "--cluster", "-o", "json").json
    assert isinstance(rows, list)
    assert {row["name"]: (row["plane"], row["group"], row["agrees"]) for row in rows} == {
        "a": ("ledger", "B", False),
        "b": ("ledger", "A", True),
        "c": ("ledger", "A", True),
    }

    assert "unreachable" in split.ask("topology").out
    topology = split.ask_all("ac", "topology")
    assert topology.code == 1
    assert "part 1 of 2: 2 of 3 members that are up" in topology.out
    assert "└─ b  blocked  by b" in topology.out
    assert topology.out.splitlines()[-1] == "SPLIT: no links lead from one of the 2 parts to another"
    dot = split.ask_all("ac", "topology", "--dot").out
    assert re.search(r'"[0-9a-f]{32}" -- "[0-9a-f]{32}" \[color="#dc2626", style=dotted, label="blocked"\];', dot)

    split.processes["b"].end(signal.SIGTERM)
    split.until(lambda: split.states(at="c") == {"a": "unreachable", "b": "left", "c": "up"})
    split.processes["c"].end(signal.SIGKILL)
    assert re.search(r"c +unreachable \d", split.ask("status", "--cluster").out)
    assert split.ask("status", "--cluster", at="c").code == 4


def test_a_killed_node_stays_listed_where_it_was_known(tmp_path: Path, crdtgraph: CommandLine) -> None:
    line = Line(tmp_path)
    line.run = crdtgraph
    try:
        line.until(lambda: line.states() == {"a": "up", "b": "up", "c": "up"})
        line.processes["c"].end(signal.SIGKILL)
        line.until(lambda: line.states() == {"a": "up", "b": "up", "c": "unreachable"})
        assert line.ask("status", "--cluster").code == 0
        assert line.ask("topology").code == 0
    finally:
        line.end()


def test_an_address_where_nobody_ever_answered_and_a_place_that_does_not(
    start: Starter, crdtgraph: CommandLine
) -> None:
    process = start("serve", "--store", "a.db", "--listen", "127.0.0.1:0", "--peer", "127.0.0.1:1")
    process.wait_for("ready")
    shown = crdtgraph("status", "--cluster", "a.db/control", "gone/control")
    assert shown.code == 0
    assert "127.0.0.1:1  never heard of: " in shown.out
    assert "gone/control  never heard of: no node answers" in shown.out
    assert shown.out.splitlines()[-1] == "1 of 3 members is up"
    assert crdtgraph("status", "--cluster", "gone/control").code == 4


def test_what_is_asked_in_vain(crdtgraph: CommandLine, store: str) -> None:
    assert crdtgraph("status", "--cluster").code == 4
    assert "no node is running" in crdtgraph("status", "--cluster").err
    outcome = crdtgraph("status", "other.db")
    assert outcome.code == 2
    assert "give --cluster as well" in outcome.err
    assert crdtgraph("status", "--cluster", "--at", "@1").code == 2
    assert crdtgraph("status", "--cluster", "--timeout", "-1").code == 2
    assert "needs a running node" in crdtgraph("status", "--cluster", store).err
