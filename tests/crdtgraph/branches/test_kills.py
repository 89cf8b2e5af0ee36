"""A process that is killed while it works on branches: merges that were promised are there, and the branch goes on."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import crdtgraph

ROOT = Path(__file__).parents[3]
AGENT = """
import sys
import crdtgraph
with crdtgraph.open(sys.argv[1]) as graph:
    if "main" not in graph.refs:
        graph.commit(message="start", ref="main")
    for number in range(int(sys.argv[2]), 1_000_000):
        with graph.branch(f"agents/w/task-{number}") as branch:
            branch.commit(changes={f"a/{number}": b"1"})
            branch.commit(changes={f"b/{number}": b"1"})
        print(number, flush=True)
"""


@pytest.mark.parametrize("kind", ["rocksdb", "sqlite"])
def test_what_was_merged_survives_a_kill_and_what_was_not_goes_on(tmp_path: Path, kind: str) -> None:
    url, done = f"{kind}:{tmp_path / 'store'}", 0
    for life in range(3):
        command = [sys.executable, "-c", AGENT, url, str(done)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None
                for _ in range(5 + life):
                    done = int(process.stdout.readline()) + 1
            finally:
                process.send_signal(signal.SIGKILL)
            # It may have come further than we read.
            done = max([done, *(int(line) + 1 for line in process.stdout)])
        with crdtgraph.open(url) as graph:
            for info in graph.branches("agents/"):
                with graph.branch(info.name):
                    pass
            (main,) = graph.refs["main"].targets
            state = graph.state(main)
            assert {f"{kind_}/{number}" for number in range(done) for kind_ in "ab"} <= state.keys()
            assert graph.branches("agents/") == []
