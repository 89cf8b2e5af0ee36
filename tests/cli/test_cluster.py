"""The cluster at the terminal: three real processes in a line, asked at one end."""

from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from .conftest import CommandLine, Outcome, Process, Starter

PATIENCE_S = 20


class Line:
    """Nodes a - b - c, each connected to the one before."""

    def __init__(self, start: Starter, crdtgraph: CommandLine, names: str = "abc") -> None:
        self.run = crdtgraph
        self.processes: dict[str, Process] = {}
        self.addresses: dict[str, str] = {}
        peers: list[str] = []
        for name in names:
            arguments = ["--store", f"{name}.db", "--listen", "127.0.0.1:0", "--name", name, "--log", "json", *peers]
            process = self.processes[name] = start("serve", *arguments)
            process.wait_for('"ready"')
            [ready] = [line for line in process.err.splitlines() if '"ready"' in line]
            self.addresses[name] = json.loads(ready)["addresses"][0]
            peers = ["--peer", self.addresses[name]]

    def ask(self, *arguments: str, at: str = "a") -> Outcome:
        return self.run(*arguments, "--node", f"{at}.db")

    def members(self, at: str = "a") -> dict[str, dict[str, object]]:
        rows = self.ask("status", "--cluster", "-o", "json", at=at).json
        assert isinstance(rows, list)
        return {row["name"]: row for row in rows}

    def states(self, at: str = "a") -> dict[str, object]:
        return {name: row["state"] for name, row in self.members(at).items()}

    def until(self, condition: Callable[[], bool]) -> None:
        """Ask again until it holds: nodes have their own pace, and each question takes a while."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.ask("status", "--cluster").out

    def id_of(self, name: str) -> str:
        return str(self.members(at=name)[name]["replica"])


@pytest.fixture
def line(start: Starter, crdtgraph: CommandLine) -> Iterator[Line]:
    line = Line(start, crdtgraph)
    line.until(lambda: line.states() == {"a": "up", "b": "up", "c": "up"})
    yield line
    for process in line.processes.values():
        if process.popen.poll() is None:
            process.end(signal.SIGTERM)


def test_any_node_shows_all_members_and_whether_they_agree(line: Line) -> None:
    assert line.ask("commit", "-m", "x", "--ref", "main", at="c").code == 0
    line.until(lambda: {row["commits"] for row in line.members().values()} == {1})
    shown = line.ask("status", "--cluster")
    assert shown.code == 0
    header, *rows = shown.out.splitlines()
    assert header.split()[:4] == ["NODE", "NAME", "STATE", "VERSION"]
    assert [row.split()[1:3] for row in rows[:3]] == [["a", "up"], ["b", "up"], ["c", "up"]]
    assert len({row.split()[-1] for row in rows[:3]}) == 1
    assert rows[-1] == "3 of 3 members are up and agree"
    of_c = line.members()["c"]
    assert of_c["replica"] == line.id_of("c")
    assert of_c["lag_segments"] == of_c["pending"] == of_c["queued_messages"] == 0
    assert isinstance(of_c["store_bytes"], int)
    assert of_c["store_bytes"] > 0
    assert [link["state"] for link in of_c["links"]] == ["open"]  # type: ignore[attr-defined]
    csv = line.ask("status", "--cluster", "-o", "csv").out.splitlines()
    assert csv[0].startswith("replica,name,state,")
    assert len(csv) == 4


def test_members_that_differ_are_a_mismatch_and_those_that_are_gone_stay_listed(line: Line) -> None:
    # b and c hear nothing of a any more, and a can be asked together with b.
    assert line.ask("block", line.id_of("a")[:8], at="b").code == 0
    assert line.ask("commit", "-m", "x", "--ref", "main").code == 0
    alone = line.ask("status", "--cluster")
    assert alone.code == 0
    assert alone.out.splitlines()[-1] == "1 of 3 members is up"
    assert line.states() == {"a": "up", "b": "unreachable", "c": "unreachable"}
    assert line.members()["c"]["lag_commits"] == 1
    both = line.run("status", "--cluster", "a.db", "b.db")
    assert both.code == 1
    assert "MISMATCH: 3 of 3 members are up, and they differ" in both.out
    assert re.search(r"ledger: A [0-9a-f]{8} b, c; B [0-9a-f]{8} a$", both.out, re.MULTILINE)
    assert "b blocks a" in both.out


def test_a_killed_node_is_unreachable_and_one_that_stopped_has_left(line: Line) -> None:
    line.processes["c"].end(signal.SIGKILL)
    line.until(lambda: line.states() == {"a": "up", "b": "up", "c": "unreachable"})
    shown = line.ask("status", "--cluster")
    assert shown.code == 0
    assert re.search(r"c +unreachable \d", shown.out)
    line.processes["b"].end(signal.SIGTERM)
    assert line.states() == {"a": "up", "b": "left", "c": "unreachable"}


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
