"""Open a store whose process was killed: recover the write-ahead log, read every segment, fold it again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import crdtgraph
from benchmarks import history
from benchmarks.report import Report, rounded

ROUNDS = 5

_WRITER = """
import sys
import crdtgraph
from benchmarks import history
graph = crdtgraph.open(sys.argv[1])
graph.commit_many(history.load(quick=sys.argv[2] == "quick").commits())
graph.flush()
print(graph.digest().hex(), len(graph), flush=True)
sys.stdin.read()
"""


def run(*, quick: bool) -> Report:
    """Measure and report."""
    report = Report("reopen", {"rounds": ROUNDS, "history": history.load(quick=True).source, "store": "rocksdb"})
    times = []
    with tempfile.TemporaryDirectory() as folder:
        killed = Path(folder) / "killed"
        digest, commits = _write_and_kill(killed, quick=quick)
        for number in range(ROUNDS):
            copy = shutil.copytree(killed, Path(folder) / f"copy-{number}")
            begin = perf_counter()
            with crdtgraph.open(str(copy), create=False) as graph:
                times.append(perf_counter() - begin)
                assert graph.digest().hex() == digest, "the reopened store has the digest that was flushed"
                assert len(graph) == commits
    report.parameters["commits"] = commits
    report.results["open"] = rounded(
        {"median_s": median(times), "largest_s": max(times), "us_a_commit": median(times) / commits * 1e6}
    )
    report.hold("open after SIGKILL", median(times) / commits * 1e6, "us a commit", "<=", 25)
    return report


def _write_and_kill(store: Path, *, quick: bool) -> tuple[str, int]:
    command = [sys.executable, "-c", _WRITER, str(store), "quick" if quick else "full"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        digest, commits = writer.stdout.readline().split()
        writer.send_signal(signal.SIGKILL)
    return digest, int(commits)
