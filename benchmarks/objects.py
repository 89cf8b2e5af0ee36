"""Large values: putting, reading and fetching one, against hashing the same bytes and writing them to the bare store.

The fetch is from one node to another over TCP on loopback, both in this process: every block is asked for, read from
one store, verified, and written to the other. Meanwhile commits go the same way, and it is measured how long one takes.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import trio

import crdtgraph
import sync
from benchmarks.report import Report, rounded
from crdtgraph import Durability, Graph, Reference
from crdtgraph.objects import CHUNK_BYTES
from crdtgraph.store import Batch, Keyspace, open_store

MIB = 1 << 20


def run(*, quick: bool) -> Report:
    """Measure and report."""
    size = (16 if quick else 256) * MIB
    report = Report("objects", {"bytes": size, "block_bytes": CHUNK_BYTES, "store": "rocksdb"})
    data = os.urandom(size)

    def note(name: str, seconds: float) -> float:
        report.results[name] = rounded({"seconds": seconds, "mib_per_s": size / MIB / seconds})
        return seconds

    with tempfile.TemporaryDirectory() as folder:
        floor = note("floor: hash and write", _timed(lambda: _write_plainly(Path(folder) / "floor", data)))
        with crdtgraph.open(f"{folder}/a") as source, crdtgraph.open(f"{folder}/b") as target:
            put = note("put", _timed(lambda: _put(source, data)))
            reference = source.put_object(data)
            note("put again", _timed(lambda: source.put_object(data)))
            note("read", _timed(lambda: sum(map(len, source.object_chunks(reference)))))
            seconds, waits = trio.run(_fetch, source, target, reference)
            note("fetch", seconds)
    milliseconds = sorted(1e3 * wait for wait in waits)
    report.results["a commit meanwhile"] = rounded({"median_ms": median(milliseconds), "max_ms": milliseconds[-1]})
    report.hold("put over the floor", put / floor, "x", "<=", 3)
    report.hold("a commit meanwhile, median", median(milliseconds), "ms", "<=", 20)
    return report


def _timed(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def _put(graph: Graph, data: bytes) -> None:
    graph.put_object(data)
    graph.store.sync()


def _write_plainly(path: Path, data: bytes) -> None:
    store = open_store(path)
    for at in range(0, len(data), MIB):
        batch = Batch()
        for start in range(at, min(at + MIB, len(data)), CHUNK_BYTES):
            block = data[start : start + CHUNK_BYTES]
            batch.put(Keyspace.OBJECTS, hashlib.sha256(block).digest(), block)
        store.write(batch, sync=False)
    store.sync()
    store.close()


async def _fetch(source: Graph, target: Graph, reference: Reference) -> tuple[float, list[float]]:
    source.commit(changes={"large": reference}, ref="main")
    waits = []
    async with sync.Node(source, listen=["127.0.0.1:0"]) as holder:
        begin = time.monotonic()
        async with sync.Node(target, peers=holder.addresses) as node:
            while not target.has_object(reference):
                commit = source.commit(message="news", durability=Durability.CRITICAL)
                said = time.monotonic()
                while commit not in target:
                    await node.wait_changed()
                waits.append(time.monotonic() - said)
                await trio.sleep(0.02)
            return time.monotonic() - begin, waits[1:] or waits
