"""A node in a process of its own, for benchmarks that talk to one over TCP: `python -m benchmarks.cluster STORE`.

It prints its address and digest, and after each line on its input that asks for COUNT commits adds that many to the
first head and prints when it began (a monotonic clock that processes share) and the digest it has then.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

import crdtgraph
import sync
from crdtgraph import Commit
from crdtgraph.gitbridge import GraphTarget, import_git

AGREE_TIMEOUT_S = 120.0


class Remote:
    """The other process: its node's `address` and the `digest` of its graph at the start."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.address, digest = self._answer()
        self.digest = bytes.fromhex(digest)

    def extend(self, count: int) -> None:
        """Ask for that many commits; see `extended`."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()

    def extended(self) -> tuple[float, bytes]:
        """When it began to write them, in seconds, and its digest afterwards."""
        began, digest = self._answer()
        return float(began), bytes.fromhex(digest)

    def _answer(self) -> list[str]:
        assert self._process.stdout is not None
        return self._process.stdout.readline().split()


@contextmanager
def serving(store: Path) -> Iterator[Remote]:
    """Run a node on a store until the block ends."""
    command = [sys.executable, "-m", "benchmarks.cluster", str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Remote(process)
        finally:
            process.kill()


def fill(store: Path, repository: Path) -> None:
    """Import a git repository into a new store."""
    with crdtgraph.open(str(store)) as graph:
        import_git(repository, GraphTarget(graph))


async def agree(node: sync.Node, digest: bytes) -> float:
    """Wait until a node's graph has that digest; when that was, on the clock of `extended`."""
    if not await node.wait_for_digest(digest, AGREE_TIMEOUT_S):
        raise TimeoutError(f"no digest {digest.hex()} within {AGREE_TIMEOUT_S} s")
    return time.monotonic()


async def _serve(store: str) -> None:
    with crdtgraph.open(store) as graph:
        async with sync.Node(graph, listen=["127.0.0.1:0"]) as node:
            print(node.addresses[0], graph.digest().hex(), flush=True)
            while line := await trio.to_thread.run_sync(sys.stdin.readline):
                began = time.monotonic()
                _extend(graph, int(line))
                print(began, graph.digest().hex(), flush=True)


def _extend(graph: crdtgraph.Graph, count: int) -> None:
    if not count:
        return
    parent = graph.heads()[0]
    commits = []
    for number in range(count):
        commit = Commit((parent,), "a0 <a0@example.invalid>", graph.now_us(), f"commit {number}")
        parent = commit.id
        commits.append(commit)
    graph.commit_many(commits)
    graph.flush()


if __name__ == "__main__":
    trio.run(_serve, sys.argv[1])
