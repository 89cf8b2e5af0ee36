"""A search as it writes: 99 % speculative commits, 1 % critical ones, while a peer process replicates the ledger.

Searches of 10,000 commits follow one another. Each commit hangs below a recent one with a visit counted; a critical
commit moves `main` in the ledger, with an fsync, and next to each of them a bare RocksDB store in the same folder takes
one synced write of as many bytes: what the disk alone takes. Only the calls are timed. Between them the node talks to
the peer, which has to hold the same ledger at the end. What the process has loaded is put out of the garbage
collector's sight first, as a node's does and any program should that counts milliseconds.

The jitter is the standard deviation of the mean latencies of 100 ms windows over their mean.
"""

from __future__ import annotations

import gc
import tempfile
from array import array
from pathlib import Path
from random import Random
from statistics import fmean, pstdev
from time import perf_counter_ns

import trio

import crdtgraph
import sync
from benchmarks.cluster import Remote, agree, serving
from benchmarks.report import Report, quantiles
from crdtgraph import CommitId
from crdtgraph.store import Batch, Keyspace, Store, open_store

COMMITS = 200_000
SEARCH = 10_000
CRITICAL_EVERY = 100
RECENT = 300
"""A new commit hangs below one of so many before it."""
PAUSE_EVERY = 16
"""So often the worker lets the node's tasks run."""
WINDOW_NS = 100_000_000
FLOOR_BYTES = 320
"""What a segment with one commit and one assignment takes."""


class Latencies:
    """The durations of one class of calls, and their means over windows of time."""

    def __init__(self) -> None:
        self.all = array("Q")
        self._windows: dict[int, list[int]] = {}

    def add(self, began: int, took: int) -> None:
        """Note one call, in nanoseconds."""
        self.all.append(took)
        window = self._windows.setdefault(began // WINDOW_NS, [0, 0])
        window[0] += took
        window[1] += 1

    def jitter(self) -> float:
        """Standard deviation over mean of the windows' means; the first and the last, which are cut off, left out."""
        means = [total / count for total, count in self._windows.values()][1:-1]
        return pstdev(means) / fmean(means) if len(means) > 1 else 0.0

    def raw_jitter(self) -> float:
        """Standard deviation over mean of the durations."""
        return pstdev(self.all) / fmean(self.all)


def run(*, quick: bool) -> Report:
    """Measure and report."""
    commits = 20_000 if quick else COMMITS
    report = Report("mixed", {"commits": commits, "critical_every": CRITICAL_EVERY, "search": SEARCH})
    timed = {"speculative": Latencies(), "critical": Latencies(), "bare synced write": Latencies()}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        with serving(root / "peer") as remote:
            took = trio.run(_work, root, remote, commits, timed)
    for name, latencies in timed.items():
        report.results[name] = {
            "calls": len(latencies.all),
            **quantiles(latencies.all),
            "jitter": round(latencies.raw_jitter(), 3),
            "windowed_jitter": round(latencies.jitter(), 3),
        }
    report.results["whole run"] = {"calls": commits, "commits_per_s": round(commits / took)}
    fast, safe, floor = (quantiles(latencies.all) for latencies in timed.values())
    report.hold("speculative P50", fast["p50_us"], "us", "<=", 25)
    report.hold("speculative P99", fast["p99_us"], "us", "<=", 150)
    report.hold("speculative P99.9", fast["p99.9_us"] / 1_000, "ms", "<=", 1)
    report.hold("speculative largest", fast["max_us"] / 1_000, "ms", "<=", 20)
    report.hold("critical P50 over a bare synced write's", safe["p50_us"] / floor["p50_us"], "x", "<=", 1.5)
    report.hold("critical P99", safe["p99_us"] / 1_000, "ms", "<=", 10)
    report.hold("windowed jitter", timed["speculative"].jitter(), "of the mean", "<", 0.2)
    return report


async def _work(root: Path, remote: Remote, commits: int, timed: dict[str, Latencies]) -> float:
    floor = open_store(str(root / "floor"))
    with crdtgraph.open(str(root / "store")) as graph:
        graph.commit(message="root", ref="main")
        async with sync.Node(graph, peers=[remote.address]) as node:
            await agree(node, graph.digest())
            gc.collect()
            gc.freeze()
            began = trio.current_time()
            for number in range(0, commits, SEARCH):
                await _search(graph, floor, number, min(SEARCH, commits - number), timed)
            took = trio.current_time() - began
            graph.flush()
            remote.extend(0)
            await trio.to_thread.run_sync(remote.extended)
            await _replicated(node, remote, graph.digest())
    gc.unfreeze()
    floor.close()
    return took


async def _replicated(node: sync.Node, remote: Remote, digest: bytes) -> None:
    with trio.fail_after(60):
        while True:
            remote.extend(0)
            if (await trio.to_thread.run_sync(remote.extended))[1] == digest == node.graph.digest(plane="ledger"):
                return
            await trio.sleep(0.05)


async def _search(graph: crdtgraph.Graph, floor: Store, first: int, commits: int, timed: dict[str, Latencies]) -> None:
    speculative, critical, bare = timed.values()
    rng = Random(first)
    main = CommitId(bytes(graph.refs["main"]))
    recent = [main]
    with graph.search(f"search {first}") as search:
        for number in range(first, first + commits):
            changes = {"move": b"%d" % number}
            if number % CRITICAL_EVERY == CRITICAL_EVERY - 1:
                for turn in range(2):
                    if (number // CRITICAL_EVERY) % 2 == turn:
                        begin = perf_counter_ns()
                        main = graph.commit(parents=(main,), message="step", changes=changes, ref="main")
                        critical.add(begin, perf_counter_ns() - begin)
                    else:
                        batch = Batch()
                        batch.put(Keyspace.LOG, b"%08d" % number, rng.randbytes(FLOOR_BYTES))
                        begin = perf_counter_ns()
                        floor.write(batch, sync=True)
                        bare.add(begin, perf_counter_ns() - begin)
            else:
                parent = recent[rng.randrange(len(recent))]
                begin = perf_counter_ns()
                child = search.commit(parents=(parent,), message="step", changes=changes)
                speculative.add(begin, perf_counter_ns() - begin)
                search.count(child, (1, number))
                recent.append(child)
                if len(recent) > RECENT:
                    del recent[0]
            if number % PAUSE_EVERY == 0:
                await trio.lowlevel.checkpoint()
