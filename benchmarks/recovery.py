"""Kill a process that commits, open its store in a fresh one, read: with the checkpoint it left, and without.

A child process builds a graph as a program would, with `Graph.commit` and nothing said about checkpoints: 10,000
commits that change 100 paths each, or a million of a search. After each flush it notes which commits are acknowledged.
It is killed by SIGKILL while it commits on. A fresh process then opens the store and reads the last commit; the times
are from the start of that process, and of opening alone. Another opens all that was acknowledged and looks for it.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import crdtgraph
from benchmarks.report import Report, rounded
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId
from crdtgraph.store import Batch, Keyspace, open_store

ROUNDS = 5
PATHS = 100
"""Changed by a commit of the first kind."""
FLUSH_COMMITS = 5_000

_WRITER = """
import random, sys
import crdtgraph
store, acknowledged, commits, paths = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
rng = random.Random(1)
graph = crdtgraph.open(store)
ids, noted = [graph.commit(message="root")], 0
with open(acknowledged, "wb") as file:
    while True:
        # Mostly on from the last node, at times from an earlier one, as a search does.
        parent = ids[-1] if rng.random() < 0.6 else ids[max(0, len(ids) - 1 - int(rng.expovariate(1 / 300)))]
        changes = {"move": b"%d" % len(ids)}
        if paths > 1:
            region = rng.randrange(10_000)
            changes = {f"world/{region}/object-{each:03}": b"%d" % rng.randrange(1 << 40) for each in range(paths)}
        elif rng.random() < 0.01:
            graph.count(parent, [1, rng.randrange(1_000_000)])
        ids.append(graph.commit(parents=(parent,), message="step", changes=changes))
        if len(ids) % FLUSH_COMMITS == 0 or len(ids) == commits:
            graph.flush()
            file.write(b"".join(ids[noted:]))
            file.flush()
            noted = len(ids)
        if len(ids) == commits:
            print("ready", flush=True)
""".replace("FLUSH_COMMITS", str(FLUSH_COMMITS))

_READER = """
import sys
from time import perf_counter
begin = perf_counter()
import crdtgraph
graph = crdtgraph.open(sys.argv[1], create=False)
opened = perf_counter()
graph.get(crdtgraph.CommitId(bytes.fromhex(sys.argv[2])))
print(perf_counter() - begin, perf_counter() - opened, graph.recovery.covered, graph.recovery.folded, flush=True)
"""


@dataclass(frozen=True, slots=True)
class Size:
    """One row: a graph of so many commits with so many changes each, and how long it may take."""

    name: str
    commits: int
    paths: int
    limit_s: float


SIZES = (Size("1 M changed paths", 10_000, PATHS, 1), Size("1 M commits", 1_000_000, 1, 5))
QUICK = (Size("100,000 changed paths", 1_000, PATHS, 1), Size("30,000 commits", 30_000, 1, 5))


def run(*, quick: bool) -> Report:
    """Measure and report."""
    report = Report("recovery", {"rounds": ROUNDS, "store": "rocksdb", "flush_every_commits": FLUSH_COMMITS})
    for size in QUICK if quick else SIZES:
        with tempfile.TemporaryDirectory() as folder:
            _measure(report, size, Path(folder))
    return report


def _measure(report: Report, size: Size, folder: Path) -> None:
    store, acknowledged = folder / "store", folder / "acknowledged"
    _write_and_kill(store, acknowledged, size)
    data = acknowledged.read_bytes()
    ids = [CommitId(data[at : at + COMMIT_ID_BYTES]) for at in range(0, len(data), COMMIT_ID_BYTES)]
    assert len(ids) >= size.commits, "all that was asked for is acknowledged"
    without = Path(shutil.copytree(store, folder / "without"))
    _remove_checkpoint(without)
    found = _read(store, ids[-1], folder)
    folded = _read(without, ids[-1], folder)
    with crdtgraph.open(str(store), create=False) as graph:
        lost = sum(commit not in graph for commit in ids)
        digest, stop = graph.digest(), graph.recovery.last_stop.value
    with crdtgraph.open(str(without), create=False) as graph:
        assert graph.digest() == digest, "the checkpoint and a fold of everything agree"
        assert graph.recovery.covered == 0
    report.results[size.name] = {**found, "acknowledged": len(ids), "lost": lost, "last_stop": stop}
    report.results[f"{size.name}, without the checkpoint"] = {**folded}
    begin = found["process_to_first_read_s"]
    assert isinstance(begin, float)
    report.hold(f"{size.name}: process start to the first read", begin, "s", "<=", size.limit_s)
    report.hold(f"{size.name}: acknowledged commits lost", lost, "commits", "==", 0)


def _write_and_kill(store: Path, acknowledged: Path, size: Size) -> None:
    command = [sys.executable, "-c", _WRITER, str(store), str(acknowledged), str(size.commits), str(size.paths)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        try:
            assert writer.stdout.readline() == "ready\n"
        finally:
            writer.send_signal(signal.SIGKILL)


def _remove_checkpoint(path: Path) -> None:
    store = open_store(str(path), create=False)
    batch = Batch()
    for key, _ in store.scan(Keyspace.CHECKPOINTS):
        batch.delete(Keyspace.CHECKPOINTS, key)
    store.write(batch, sync=True)
    store.close()


def _read(store: Path, commit: CommitId, folder: Path) -> dict[str, float | int | str | bool | None]:
    """Median times of fresh processes that open copies of a store and read a commit."""
    process_s, open_s, first_read_s = [], [], []
    covered = commits_folded = "0"
    for number in range(ROUNDS):
        copy = shutil.copytree(store, folder / f"copy-{number}")
        begin = perf_counter()
        command = [sys.executable, "-c", _READER, str(copy), commit.hex()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as reader:
            assert reader.stdout is not None
            inside, read, covered, commits_folded = reader.stdout.readline().split()
            process_s.append(perf_counter() - begin)
        open_s.append(float(inside) - float(read))
        first_read_s.append(float(read))
        shutil.rmtree(copy)
    return {
        **rounded(
            {
                "process_to_first_read_s": median(process_s),
                "largest_s": max(process_s),
                "open_s": median(open_s),
                "first_read_s": median(first_read_s),
            }
        ),
        "covered": int(covered),
        "folded": int(commits_folded),
    }
