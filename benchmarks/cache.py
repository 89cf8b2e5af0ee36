"""Recorded searches played to the caches, against LRU and against one who knows the future.

A hit rate is hits over reads. Each state's first read is a miss for everybody, Belady's included. The bars hold hit
rates without any prefetch against Belady's, which makes no prefetch either: a prefetch moves a load from the read to
some time before, and counted as a hit it would make any rate one likes, if enough were loaded. What prefetch does is
reported beside, with all loads per read. `optimum` says what stands for Belady's where states differ in size.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.report import Report, rounded
from benchmarks.traces.optimum import belady_hits, bound_of_hits
from benchmarks.traces.record import ENDING, FOLDER
from benchmarks.traces.replay import replay
from benchmarks.traces.trace import Trace, load
from crdtgraph.cache import Hints, LearnedPolicy, LfuPolicy, LruPolicy, Policy

SHARES = (0.01, 0.05, 0.1, 0.25)
"""Of the bytes of all states of a trace."""
QUICK_SHARES = (0.05, 0.25)
QUICK_EVENTS = 6_000

POLICIES: dict[str, Callable[[Hints[int]], Policy[int]]] = {
    "lru": lambda _: LruPolicy(),
    "lfu": lambda _: LfuPolicy(),
    "unhinted": lambda _: LearnedPolicy(),
    "learned": lambda hints: LearnedPolicy(hints),
}


def run(*, quick: bool, folder: Path = FOLDER) -> Report:
    """Measure and report."""
    traces = [load(path) for path in sorted(folder.glob(f"*{ENDING}"))]
    shares = QUICK_SHARES if quick else SHARES
    if quick:
        traces = [beginning(trace, QUICK_EVENTS) for trace in traces]
    report = Report("cache", {"traces": len(traces), "events": sum(len(trace.events) for trace in traces)})
    for trace in traces:
        for share in shares:
            report.results[f"{trace.name} {share:.0%}"] = rounded(measure(trace, share))
    for share in shares:
        rows = [row for name, row in report.results.items() if name.endswith(f" {share:.0%}")]
        of_belady = [float(row["learned"] or 0) / float(row["belady"] or 1) for row in rows]
        of_lru = [float(row["learned"] or 0) / float(row["lru"] or 1) for row in rows]
        report.hold(f"of Belady's, the least, at {share:.0%}", min(of_belady), "x", ">=", 0.9)
        report.hold(f"of LRU's, the least, at {share:.0%}", min(of_lru), "x", ">=", 1)
    return report


def measure(trace: Trace, share: float) -> dict[str, float]:
    """The hit rates for a cache of a share of all bytes, and what prefetch does to the last of them."""
    bytes_max = int(trace.distinct_bytes * share)
    reads = trace.reads()
    row = {name: replay(trace, bytes_max, policy).hit_rate for name, policy in POLICIES.items()}
    row["belady"] = belady_hits(reads, trace.sizes, bytes_max) / len(reads)
    row["bound"] = bound_of_hits(reads, trace.sizes, bytes_max) / len(reads)
    row["of_belady"] = row["learned"] / row["belady"]
    row["of_lru"] = row["learned"] / row["lru"]
    fetched = replay(trace, bytes_max, POLICIES["learned"], prefetch=True)
    row["prefetching"] = fetched.hit_rate
    row["loads_a_read"] = (fetched.misses + fetched.prefetches) / len(reads)
    return row


def beginning(trace: Trace, events: int) -> Trace:
    """The first events of a trace and the nodes in them."""
    kept = trace.events[:events]
    nodes = max(kept) + 1
    return replace(trace, parents=trace.parents[:nodes], sizes=array("i", trace.sizes[:nodes]), events=kept)
