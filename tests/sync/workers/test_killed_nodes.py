"""Workers of a node in a process of its own: where they connect, and what remains when one of both is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import crdtgraph
from crdtgraph import Durability, UnreachableError
from sync.client.blocking import BlockingControlClient
from sync.client.remote import remote_ledger, remote_search
from sync.workers.desks import Desks
from sync.workers.pool import Workers
from sync.workers.worker import Worker
from tests.sync.problems import Nim
from tests.sync.workers.hosting import WAIT_S

ROOT = Path(__file__).parents[3]


class Daemon:
    """One process that serves a store, and Nim."""

    def __init__(self, folder: Path) -> None:
        self.store, self.control = f"rocksdb:{folder / 'store'}", str(folder / "control")
        options = ("--control-listen", "127.0.0.1:0", "--problem", "tests.sync.problems:Nim", "--log", "json")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", "--store", self.store, "--control", self.control, *options],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if '"ready"' in line:
                self.workers: str = json.loads(line)["workers"]
                break

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=WAIT_S)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(tmp_path)
    try:
        yield started
    finally:
        started.end()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "10.0.0.1:7500", "nonsense"])
def test_a_port_that_others_could_reach_is_refused_before_there_is_a_store(tmp_path: Path, address: str) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-m", "cli", "serve", "--store", str(store), "--control-listen", address]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ("outside loopback" in ended.stderr) or ("is not an address" in ended.stderr)
    assert "Traceback" not in ended.stderr
    assert not store.exists()


def test_a_node_says_where_workers_can_connect(daemon: Daemon) -> None:
    assert daemon.workers.startswith("tcp:127.0.0.1:")
    with BlockingControlClient(daemon.workers) as client:
        made = remote_ledger(client).commit(parents=[], message="over tcp", durability=Durability.CRITICAL)
        assert client.call("resolve", revs=[made.hex()]) == [made]


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, errors


def test_a_node_that_is_killed_ends_its_workers_and_leaves_the_ledger_good(daemon: Daemon) -> None:
    with BlockingControlClient(daemon.control) as client:
        ledger = remote_ledger(client)
        kept = ledger.commit(parents=[], message="kept", durability=Durability.CRITICAL)
        search = remote_search(client, "own")
        (spoken,) = search.commit_many([crdtgraph.Draft([kept], "speculative")])
        fingerprint = Desks([Nim()])
        client.call(
            "mcts_open", search="s", fingerprint=next(iter(fingerprint._problems)), iterations=1_000_000, seed=3
        )
        pool = Workers(Nim(), 1, daemon.control, search="s")
        try:
            thread, errors = in_background(Worker(Nim(), daemon.control, search="s", name="here").run)
            deadline = time.monotonic() + WAIT_S
            status: Any = {"workers": []}
            while len([each for each in status["workers"] if each["told"]]) < 2 and time.monotonic() < deadline:
                status = client.call("mcts_status", search="s")
            assert status["iterations"] > 0
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.end()
            thread.join(WAIT_S)
            pool.close(patience_s=WAIT_S)
            assert [type(error) for error in errors] == [UnreachableError]
            assert "went away" in str(errors[0])
            assert "went away" in pool.ends()["worker 0"]
        finally:
            pool.close(patience_s=0)
        with pytest.raises(UnreachableError, match="went away"):
            search.commit_many([crdtgraph.Draft([kept], "too late")])
    with crdtgraph.open(daemon.store) as graph:
        assert kept in graph
        assert spoken not in graph
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []


def test_a_worker_that_is_killed_while_a_node_serves_it(daemon: Daemon) -> None:
    with BlockingControlClient(daemon.control) as client:
        remote_ledger(client)
        fingerprint = next(iter(Desks([Nim()])._problems))
        client.call("mcts_open", search="s", fingerprint=fingerprint, iterations=1_000_000)
        pool = Workers(Nim(), 2, daemon.control, search="s")
        try:
            status: Any = {"workers": []}
            deadline = time.monotonic() + WAIT_S
            while len([each for each in status["workers"] if each["told"]]) < 2 and time.monotonic() < deadline:
                status = client.call("mcts_status", search="s")
            os.kill(pool.processes[0].pid or 0, signal.SIGKILL)
            pool.processes[0].join(WAIT_S)
            at_death: Any = client.call("mcts_status", search="s")
            while (len(status["workers"]) > 1 or status["iterations"] <= at_death["iterations"]) and (
                time.monotonic() < deadline
            ):
                status = client.call("mcts_status", search="s")
            assert [each["name"] for each in status["workers"]] == ["worker 1"]
            assert status["iterations"] > at_death["iterations"], "the search goes on"
            assert pool.ends() == {"worker 0": "it was ended by SIGKILL"}
            stopped: Any = client.call("mcts_stop", search="s")
            assert (stopped["in_flight"], stopped["error"]) == (0, None)
            pool.close(patience_s=WAIT_S)
            assert pool.processes[1].exitcode == 0
        finally:
            pool.close(patience_s=0)
