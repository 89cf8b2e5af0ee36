"""A node in a process of its own, for benchmarks that talk to one over TCP."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import crdtgraph
from benchmarks.history import History


@dataclass(frozen=True, slots=True)
class Remote:
    """A running node: where it listens and where its control socket is."""

    address: str
    control: Path


def fill(store: Path, history: History) -> bytes:
    """Write a history into a new store; its digest."""
    with crdtgraph.open(str(store)) as graph:
        graph.commit_many(history.commits())
        graph.flush()
        return graph.digest()


@contextmanager
def serving(store: Path, *, peers: tuple[str, ...] = ()) -> Iterator[Remote]:
    """Run `crdtgraph serve` on a store until the block ends."""
    control = store.with_suffix(".sock")
    command = [sys.executable, "-m", "cli", "--store", str(store), "serve", "--listen", "127.0.0.1:0"]
    command += ["--control", str(control), *(word for peer in peers for word in ("--peer", peer))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if "ready" in line:
                break
        else:
            raise RuntimeError(f"the node did not start: {' '.join(command)}")
        yield Remote(_address(control), control)
    finally:
        process.terminate()
        process.communicate()


def _address(control: Path) -> str:
    command = [sys.executable, "-m", "cli", "--node", str(control), "-o", "json", "status"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return str(found["listen"][0])
