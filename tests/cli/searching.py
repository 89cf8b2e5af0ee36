"""A process of its own that searches: a node, its control socket, and searches with something in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .conftest import ROOT

PROGRAM = """
import sys, trio, crdtgraph, sync
from sync.control import open_control
from sync.methods import Target

async def main(store, *names):
    with crdtgraph.open(store) as graph:
        root = graph.commit(message="root", ref="main")
        for name in names:
            search = graph.search(name)
            child = search.commit(parents=[root], message="child")
            search.discard(search.commit(parents=[child], message="loser"))
            search.count(child, [1, 2])
        async with sync.Node(graph, name="searcher") as node, open_control(store + "/control", Target(graph, node)):
            graph.flush()
            print("ready", flush=True)
            await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        print(*graph.searches(), flush=True)

trio.run(main, *sys.argv[1:])
"""


@contextmanager
def searching(store: Path, *names: str) -> Iterator[str]:
    """The control socket of a node whose program has these searches open."""
    command = [sys.executable, "-c", PROGRAM, str(store), *names]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield f"{store}/control"
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(30)
