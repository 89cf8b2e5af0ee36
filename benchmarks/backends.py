"""The same workload on each backend, in a process of its own: what a commit costs, and what the disk gets to do for it.

Four phases: critical commits that move a ref, each fsynced, and beside each a bare write of 400 bytes with fdatasync;
normal ones, written behind and flushed together, of which the mean (flushes included) and the longest are given; ones
with 60 kB of noise; and an import of a history at once. Then compaction, a close, and the time to open again. Time and
randomness of the graph come from a counter and a seed, so all backends have to end with the same digest.

Write amplification is bytes written for each byte of records that a store was given, counted twice: by the store (what
its engine wrote to its files), and by the system for the whole process (`write_bytes` in /proc/self/io: pages that went
to storage, where a page that is written twice before it goes counts once; 0 where the file system does not account).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from time import perf_counter, perf_counter_ns

import crdtgraph
from benchmarks import history
from benchmarks.report import Figure, Report, quantiles
from crdtgraph import Durability, Host
from crdtgraph.store import disk_bytes
from crdtgraph.store.base import Measured

BACKENDS = ("memory", "rocksdb", "sqlite")
NOISE_BYTES = 60_000
FLUSH_EVERY = 1_000
BEGAN_US = 1_700_000_000_000_000


def run(*, quick: bool) -> Report:
    """Measure and report."""
    sizes = (50, 2_000, 20) if quick else (500, 50_000, 300)
    critical, normal, large = sizes
    report = Report("backends", {"critical": critical, "normal": normal, "large": large, "noise_bytes": NOISE_BYTES})
    digests = set()
    for backend in BACKENDS:
        with tempfile.TemporaryDirectory() as folder:
            url = f"{backend}:{Path(folder) / 'store'}" if backend != "memory" else "memory:benchmark"
            code = "import sys; from benchmarks.backends import work; work(sys.argv[1], *map(int, sys.argv[2:]))"
            command = [sys.executable, "-c", code, url, *map(str, sizes), str(int(quick))]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        row: dict[str, Figure] = json.loads(done.stdout)
        digests.add(row.pop("digest"))
        report.results[backend] = row
    report.hold("different digests", len(digests), "", "==", 1)
    return report


def work(url: str, critical: int, normal: int, large: int, quick: int) -> None:
    """The workload on one store; prints its row as JSON."""
    clock, rng = count(BEGAN_US), random.Random(7)
    host = Host(lambda: next(clock), rng.randbytes)
    row: dict[str, Figure] = {}
    before = _written_to_storage()
    graph = crdtgraph.open(url, host=host)
    tip = graph.commit(message="start", ref="main")
    times, bare = [], []
    with tempfile.TemporaryFile() as file:
        for n in range(critical):
            begin = perf_counter_ns()
            file.write(bytes(400))
            file.flush()
            os.fdatasync(file.fileno())
            between = perf_counter_ns()
            tip = graph.commit(message="move", parents=[tip], changes={"move": b"%d" % n}, ref="main")
            times.append(perf_counter_ns() - between)
            bare.append(between - begin)
    figures = quantiles(times)
    row["bare_sync_p50_us"] = quantiles(bare)["p50_us"]
    row["critical_p50_us"], row["critical_p99_us"] = figures["p50_us"], figures["p99_us"]
    row["critical_amplification"] = _amplification(graph)
    begin, times = perf_counter_ns(), []
    for n in range(normal):
        before_ns = perf_counter_ns()
        tip = graph.commit(message="step", parents=[tip], changes={"step": b"%d" % n}, durability=Durability.NORMAL)
        times.append(perf_counter_ns() - before_ns)
        if n % FLUSH_EVERY == FLUSH_EVERY - 1:
            graph.flush()
    row["normal_us"] = round((perf_counter_ns() - begin) / normal / 1_000, 1)
    row["longest_ms"] = round(max(times) / 1e6, 1)
    begin = perf_counter_ns()
    for _ in range(large):
        noise = rng.randbytes(NOISE_BYTES)
        tip = graph.commit(message="noise", parents=[tip], changes={"noise": noise}, durability=Durability.NORMAL)
    graph.flush()
    row["large_ms"] = round((perf_counter_ns() - begin) / large / 1e6, 2)
    begin = perf_counter_ns()
    graph.commit_many(history.load(quick=bool(quick)).commits())
    graph.flush()
    row["import_s"] = round((perf_counter_ns() - begin) / 1e9, 2)
    graph.compact()
    digest = graph.digest()
    graph.close()
    begin_s = perf_counter()
    with crdtgraph.open(url, create=False, host=host) as graph:
        row["open_ms"] = round((perf_counter() - begin_s) * 1_000, 1)
        assert graph.digest() == digest, "the reopened store has the digest that was closed"
        row["disk_mb"] = _megabytes(disk_bytes(graph.url))
        traffic = graph.store.traffic() if isinstance(graph.store, Measured) else None
    if traffic is not None:
        after = _written_to_storage()
        row["records_mb"], row["written_mb"] = _megabytes(traffic.records), _megabytes(traffic.disk)
        row["write_amplification"] = _ratio(traffic.disk, traffic.records)
        row["by_the_system"] = _ratio(
            after - before if after is not None and before is not None else None, traffic.records
        )
    print(json.dumps({**row, "digest": digest.hex()}))


def _amplification(graph: crdtgraph.Graph) -> float | None:
    """Of all that was written so far; of RocksDB that is the log alone, as long as no table is full."""
    amplification = graph.store.traffic().amplification if isinstance(graph.store, Measured) else None
    return None if amplification is None else round(amplification, 2)


def _ratio(written: int | None, records: int) -> float | None:
    return None if written is None else round(written / records, 2)


def _megabytes(size: int | None) -> float | None:
    return None if size is None else round(size / 1e6, 2)


def _written_to_storage() -> int | None:
    """Bytes that this process has sent to storage so far; None where the system does not tell."""
    try:
        fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
        return int(fields["write_bytes"])
    except (OSError, KeyError, ValueError):
        return None
