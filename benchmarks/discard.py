"""Throwing away what a search tried: 987 of 1,000 speculative commits, and then the whole search.

Marking is timed per search, for a tree in which all but 13 commits follow from the root's children that lost: so many
calls of `discard`, summed, and for comparison one call for a subtree of 987. What comes back is resident memory and the
size of the store's folder after the search is closed, over the same before it was opened. A search a hundred times as
large is shown beside it: it leaves some megabytes to the allocators of the process, once, which the next ones use
again.
"""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter_ns

import crdtgraph
from benchmarks.commit import resident_bytes
from benchmarks.report import Report
from crdtgraph import CommitId, Search
from crdtgraph.store import disk_bytes

ROUNDS = 51
SIZE = 1_000
KEPT = 13
LARGE = 100_000


def run(*, quick: bool) -> Report:
    """Measure and report."""
    rounds, large = (5, 5_000) if quick else (ROUNDS, LARGE)
    report = Report("discard", {"rounds": rounds, "commits": SIZE, "kept": KEPT, "large": large, "store": "rocksdb"})
    with tempfile.TemporaryDirectory() as folder, crdtgraph.open(str(Path(folder) / "store")) as graph:
        root = graph.commit(message="root", ref="main")
        graph.flush()
        many, one, calls = [], [], []
        for number in range(rounds):
            with graph.search(f"many {number}") as search:
                losers = _grow(search, root, number, SIZE, KEPT)
                many.append(_time(search, losers))
                calls.append(len(losers))
                assert search.live_count() == KEPT
            with graph.search(f"one {number}") as search:
                losers = _grow(search, root, number, SIZE, KEPT, fan_out=1)
                one.append(_time(search, losers))
                assert search.live_count() == KEPT
        for size in (SIZE, large):
            gc.collect()
            memory, disk = resident_bytes(), disk_bytes(graph.url) or 0
            with graph.search(f"size {size}") as search:
                _grow(search, root, 0, size, KEPT)
                grown = resident_bytes()
            graph.flush()
            after, disk_after = resident_bytes(), disk_bytes(graph.url) or 0
            report.results[f"search of {size}"] = {
                "before_mb": round(memory / 1e6, 1),
                "largest_mb": round(grown / 1e6, 1),
                "dropped_mb": round(after / 1e6, 1),
                "disk_before_mb": round(disk / 1e6, 3),
                "disk_dropped_mb": round(disk_after / 1e6, 3),
            }
            if size == SIZE:
                report.hold("memory once it is dropped", after / memory, "of before", "<=", 1.05)
                report.hold("disk once it is dropped", disk_after / max(disk, 1), "of before", "<=", 1.05)
    report.results["marked by several calls"] = {"calls": median(calls), "median_us": median(many) / 1_000}
    report.results["marked by one call"] = {"calls": 1, "median_us": median(one) / 1_000}
    report.hold("987 of 1,000 marked, several calls", median(many) / 1e6, "ms", "<=", 0.2)
    report.hold("987 of 1,000 marked, one call", median(one) / 1e6, "ms", "<=", 0.2)
    return report


def _grow(search: Search, root: CommitId, seed: int, size: int, kept: int, fan_out: int = 12) -> list[CommitId]:
    """A tree below `root` of which `kept` commits are a line that won; the roots of all that lost."""
    rng = Random(seed)
    line = [root]
    for number in range(kept):
        line.append(search.commit(parents=(line[-1],), message=f"won {number}"))
    losers = [search.commit(parents=(root,), message=f"lost {number}") for number in range(fan_out)]
    rest = list(losers)
    for number in range(size - kept - fan_out):
        parent = rest[rng.randrange(max(0, len(rest) - 200), len(rest))]
        rest.append(search.commit(parents=(parent,), message="tried", changes={"move": b"%d" % number}))
        search.count(rest[-1], (1, number))
    return losers


def _time(search: Search, losers: list[CommitId]) -> int:
    began = perf_counter_ns()
    for loser in losers:
        search.discard(loser)
    return perf_counter_ns() - began
