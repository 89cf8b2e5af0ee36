"""`serve` as a real process: it starts, is asked, is told to stop, is killed, and starts again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import crdtgraph
from sync.client.blocking import BlockingControlClient

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, trio
from sync.daemon import LogFormat, process_log, serve
store, control, *peers = sys.argv[1:]
log = process_log(LogFormat.JSON)
trio.run(lambda: serve(store, listen=["127.0.0.1:0"], peers=peers, control=control, cluster="test", log=log))
"""
WAIT_S = 30


class Daemon:
    """One process that runs `serve`, and what it has logged."""

    def __init__(self, folder: Path, *peers: str, kind: str = "rocksdb") -> None:
        folder.mkdir(exist_ok=True)
        self.store, self.control = f"{kind}:{folder / 'store'}", folder / "control"
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, self.store, str(self.control), *peers],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.ready: dict[str, Any] = {}
        lines = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            lines.append(line)
            if line.startswith("{") and json.loads(line)["event"] == "ready":
                self.ready = json.loads(line)
                break
        else:
            raise AssertionError("".join(lines))

    @property
    def address(self) -> str:
        address: str = self.ready["addresses"][0]
        return address

    def call(self, method: str, **params: Any) -> Any:
        with BlockingControlClient(self.control) as client:
            return client.call(method, **params)

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal and wait; the exit code and what was logged since it was ready."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, log = self.process.communicate(timeout=WAIT_S)
        return self.process.returncode, log


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    started: list[Daemon] = []

    def run(name: str, *peers: str, kind: str = "rocksdb") -> Daemon:
        started.append(Daemon(tmp_path / name, *peers, kind=kind))
        return started[-1]

    yield run
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
        daemon.process.communicate(timeout=WAIT_S)


Start = Callable[..., Daemon]


def wait_equal(*daemons: Daemon) -> bytes:
    deadline = time.monotonic() + WAIT_S
    while len(digests := {daemon.call("digest")["digest"] for daemon in daemons}) > 1:
        assert time.monotonic() < deadline
        daemons[0].call("wait_for_digest", digest=daemons[1].call("digest")["digest"], timeout_s=0.05)
    (digest,) = digests
    assert isinstance(digest, bytes)
    return digest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(start: Start, number: signal.Signals) -> None:
    daemon = start("a")
    assert daemon.ready["replica"] == daemon.call("status")["node"]["replica"]
    commit = daemon.call("commit", message="kept", durability="normal")
    code, log = daemon.end(number)
    assert code == 0, log
    assert [json.loads(line)["event"] for line in log.splitlines()][-1] == "stopped"
    assert not daemon.control.exists()
    with crdtgraph.open(daemon.store, create=False) as graph:
        assert commit in graph


def test_the_method_stop_stops_it_cleanly(start: Start) -> None:
    daemon = start("a")
    daemon.call("stop")
    daemon.process.wait(timeout=WAIT_S)
    assert daemon.end(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize("kind", ["rocksdb", "sqlite"])
def test_after_sigkill_it_has_what_it_promised_and_its_socket_is_replaced(start: Start, kind: str) -> None:
    daemon = start("a", kind=kind)
    critical = daemon.call("commit", message="promised", ref="main")
    daemon.end(signal.SIGKILL)
    assert daemon.control.exists()
    again = start("a", kind=kind)
    assert again.call("resolve", revs=["main"]) == [critical]
    assert again.call("status")["graph"]["writer"] != ""
    assert again.end(signal.SIGTERM)[0] == 0


def test_three_processes_split_go_on_and_heal(start: Start) -> None:
    a = start("a")
    b = start("b", a.address)
    c = start("c", a.address, b.address, kind="sqlite")
    a.call("commit", message="root", ref="main")
    wait_equal(a, b, c)
    for one, other in ((a, c), (b, c)):
        one.call("block", peer=other.ready["replica"])
        other.call("block", peer=one.ready["replica"])
    a.call("commit", message="left", ref="main", changes={"p": b"1"})
    c.call("commit", message="right", ref="main", changes={"p": b"2"})
    wait_equal(a, b)
    assert a.call("digest") != c.call("digest")
    for one, other in ((a, c), (b, c)):
        one.call("unblock", peer=other.ready["replica"])
        other.call("unblock", peer=one.ready["replica"])
    wait_equal(a, b, c)
    (ref,) = b.call("refs")
    assert ref["conflicted"]
    b.call("merge", ref="main")
    wait_equal(a, b, c)
    c.end(signal.SIGKILL)
    a.call("commit", message="while c is away", ref="main")
    c = start("c", a.address, b.address, kind="sqlite")
    wait_equal(a, b, c)
    assert all(daemon.call("status")["node"]["alarms_total"] == 0 for daemon in (a, b, c))


def test_sigterm_in_the_middle_of_many_commits(start: Start) -> None:
    daemon = start("a")
    made = []
    with BlockingControlClient(daemon.control) as client:
        for batch in range(200):
            commits = [crdtgraph.Commit((), "a", batch * 100 + n, "x") for n in range(100)]
            if batch == 20:
                client.call("flush")
                durable = len(made)
                daemon.process.send_signal(signal.SIGTERM)
            try:
                made += client.call("commit_many", commits=[commit.canonical() for commit in commits])  # type: ignore[operator,arg-type]
            except crdtgraph.UnreachableError:
                break
        else:
            raise AssertionError("it did not stop")
    # Another signal would kill it after it has stopped listening to signals and before it is gone.
    _, log = daemon.process.communicate(timeout=WAIT_S)
    assert daemon.process.returncode == 0, log
    with crdtgraph.open(daemon.store, create=False) as graph:
        assert len(graph) >= durable
        assert all(commit in graph for commit in made)


def test_errors_at_the_start_are_one_line_and_no_group(tmp_path: Path) -> None:
    for arguments, text in (
        (["/dev/null/x", str(tmp_path / "c")], "Error"),
        ([str(tmp_path / "s"), str(tmp_path / ("c" * 120))], "LocalError"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S
        )
        assert done.returncode == 1
        assert text in done.stderr.strip().splitlines()[-1]


def test_a_second_node_on_the_same_store_is_refused(start: Start) -> None:
    daemon = start("a")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, daemon.store, str(daemon.control) + "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert "StoreLockedError" in done.stderr
    assert daemon.call("heads") == []
