"""One commit through `Graph.commit` against the floor: what any such graph has to do.

The floor encodes the same commit canonically, hashes it, and adds one edge to a plain networkx graph of integers, in a
process of its own. Both sides are timed call by call, in alternating blocks so that a slow moment of the machine hits
both.
"""

from __future__ import annotations

import hashlib
import tempfile
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from time import perf_counter_ns

import networkx

import crdtgraph
from benchmarks.report import Report, quantiles
from crdtgraph.ids import CommitId
from crdtgraph.records import commit_bytes

COMMITS = 200_000
BLOCK = 10_000


def run(*, quick: bool) -> Report:
    """Measure and report."""
    commits = 20_000 if quick else COMMITS
    report = Report("commit", {"commits": commits, "parents": 1, "changes": 1, "block": BLOCK, "store": "rocksdb"})
    with tempfile.TemporaryDirectory() as folder, crdtgraph.open(str(Path(folder) / "store")) as graph:
        ours, floor, resident = _measure(graph, commits)
        reached = len(graph)
    assert reached == commits + 1, "every commit is in the graph"
    report.results["Graph.commit"] = {**quantiles(ours), "resident_bytes_a_commit": round(resident / commits)}
    report.results["floor"] = {**quantiles(floor)}
    mine, floor_p50 = quantiles(ours), quantiles(floor)["p50_us"]
    report.hold("P50 over the floor's P50", mine["p50_us"] / floor_p50, "x", "<=", 3)
    report.hold("P99 over the floor's P50", mine["p99_us"] / floor_p50, "x", "<=", 10)
    report.hold("P99.9", mine["p99.9_us"] / 1_000, "ms", "<=", 1)
    report.hold("largest pause", mine["max_us"] / 1_000, "ms", "<=", 20)
    report.hold("resident memory", resident / commits, "bytes a commit", "<=", 1_200)
    return report


def _measure(graph: crdtgraph.Graph, commits: int) -> tuple[list[int], list[int], int]:
    context = get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=_floor, args=(there, graph.author), daemon=True)
    other.start()
    here.recv()
    parent = graph.commit(message="root")
    ours: list[int] = []
    floor: list[int] = []
    grown = 0
    for start in range(0, commits, BLOCK):
        count = min(BLOCK, commits - start)
        before = resident_bytes()
        for number in range(start, start + count):
            changes = {"move": b"%d" % number}
            begin = perf_counter_ns()
            parent = graph.commit(parents=(parent,), message="step", changes=changes)
            ours.append(perf_counter_ns() - begin)
        grown += resident_bytes() - before
        here.send((start, count))
        floor += here.recv()
    here.send((0, 0))
    other.join()
    return ours, floor, grown


def _floor(pipe: Connection, author: str) -> None:
    # In a process of its own, so that neither side's garbage collector has to look through the other's objects.
    plain = networkx.DiGraph()
    parent, node = CommitId(bytes(32)), 0
    pipe.send(None)
    while True:
        start, count = pipe.recv()
        if not count:
            return
        times = []
        for number in range(start, start + count):
            value = b"%d" % number
            begin = perf_counter_ns()
            data = commit_bytes((parent,), author, 1_700_000_000_000_000 + number, "step", (("move", value),), "")
            parent = CommitId(hashlib.sha256(data).digest())
            plain.add_edge(node, node + 1)
            times.append(perf_counter_ns() - begin)
            node += 1
        pipe.send(times)


def resident_bytes() -> int:
    """Resident memory of this process now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096
