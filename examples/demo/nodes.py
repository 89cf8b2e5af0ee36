"""Node processes and the command line, run as a user would run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crdtgraph import UnreachableError
from examples.demo.claims import ClaimError
from sync.client.blocking import BlockingControlClient

START_TIMEOUT_S = 20.0
AGREE_TIMEOUT_S = 30.0
POLL_S = 0.02


class NodeProcess:
    """One `crdtgraph serve` with its store, control socket and log in a folder of its own."""

    def __init__(self, folder: Path, name: str, peers: list[NodeProcess]) -> None:
        self.name = name
        self.store = folder / f"{name}.db"
        self.control = folder / f"{name}.sock"
        self.log = folder / f"{name}.log"
        self.peers = peers
        self.address = "127.0.0.1:0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, alone: bool = False) -> None:
        """Start it and wait until it answers; `alone` gives it no peers and another port, so that nobody reaches it."""
        command = [*CRDTGRAPH, "--store", str(self.store), "serve", "--name", self.name, "--control", str(self.control)]
        command += ["--listen", "127.0.0.1:0" if alone else self.address]
        for peer in [] if alone else self.peers:
            command += ["--peer", peer.address]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_until(f"{self.name} answers", self._answers, START_TIMEOUT_S)
        if not alone:
            self.address = self.status()["node"]["addresses"][0]

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise ClaimError(f"node {self.name} ended with exit code {self.process.returncode}")
        try:
            self.call("digest")
        except UnreachableError:
            return False
        return True

    def call(self, method: str, **params: Any) -> Any:
        """Ask it something through its control socket."""
        with BlockingControlClient(self.control) as client:
            return client.call(method, **params)

    def status(self) -> Any:
        """Its status."""
        return self.call("status")

    def replica(self) -> str:
        """Its replica id in hex."""
        return str(self.status()["graph"]["replica"])

    def digest(self) -> bytes:
        """The digest of its projection."""
        digest: bytes = self.call("digest")["digest"]
        return digest

    def commits(self) -> int:
        """How many commits it has."""
        return int(self.status()["graph"]["commits"])

    def kill(self) -> None:
        """End it with SIGKILL, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """End it with SIGTERM; its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None


class Cluster:
    """Three nodes, each dialling those before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[NodeProcess] = []
        for name in ("a", "b", "c"):
            self.nodes.append(NodeProcess(folder, name, list(self.nodes)))

    def wait_until_equal(self, what: str) -> bytes:
        """Wait until all nodes have one digest; returns it."""
        wait_until(what, lambda: len({node.digest() for node in self.nodes}) == 1, AGREE_TIMEOUT_S)
        return self.nodes[0].digest()

    def running(self) -> list[int]:
        """Process ids of nodes that still run."""
        return [node.process.pid for node in self.nodes if node.process is not None]

    def stop_all(self) -> None:
        """Stop what runs."""
        for node in self.nodes:
            if node.process is not None:
                node.stop()

    def log_tails(self) -> str:
        """The last lines of every node's log."""
        tails = []
        for node in self.nodes:
            lines = node.log.read_text(errors="replace").splitlines()[-8:] if node.log.exists() else []
            tails.append("\n".join([f"--- log of {node.name}", *lines]))
        return "\n".join(tails)


CRDTGRAPH = (sys.executable, "-m", "cli")


def run_cli(*arguments: str | os.PathLike[str], expect: int = 0, folder: Path | None = None) -> str:
    """Run a crdtgraph command in a folder; its standard output. ClaimError when the exit code is another one."""
    command = [*CRDTGRAPH, *(os.fspath(argument) for argument in arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=folder)
    if done.returncode != expect:
        raise ClaimError(f"{' '.join(command[1:])} ended with {done.returncode}, not {expect}: {done.stderr.strip()}")
    return done.stdout


def run_cli_json(*arguments: str | os.PathLike[str], expect: int = 0) -> Any:
    """Run a crdtgraph command with `-o json`; what it printed."""
    return json.loads(run_cli("-o", "json", *arguments, expect=expect))


def wait_until(what: str, true: Callable[[], bool], timeout_s: float) -> None:
    """Poll until it is so; ClaimError after the timeout."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise ClaimError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(POLL_S)
