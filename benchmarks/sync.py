"""A fresh node fetches a whole history from another process over TCP, against `git clone` of the same history.

Ours: from opening the node until its digest is the other's, with every signature verified, every commit hashed, indexed
and written to RocksDB. Git: `git clone --bare --filter=tree:0` through its file transport, which is a pipe to another
process. Interpreter start is in neither side of ours, as git's (2 ms) is in its own.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median

import trio

import crdtgraph
import sync
from benchmarks import history
from benchmarks.cluster import Remote, agree, fill, serving
from benchmarks.report import Report, rounded

ROUNDS = 7


def run(*, quick: bool) -> Report:
    """Measure and report."""
    rows = history.load(quick=quick)
    rounds = 2 if quick else ROUNDS
    report = Report("sync", {"rounds": rounds, "commits": len(rows.rows), "history": rows.source, "store": "rocksdb"})
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        history.build_git(rows, root / "full.git")
        fill(root / "full", root / "full.git")
        with serving(root / "full") as remote:
            for _ in range(rounds):
                seconds, moved = trio.run(_fetch, root / "fresh", remote)
                ours.append(seconds)
                theirs.append(_clone(root / "full.git", root / "fresh.git"))
        pack = _pack_bytes(root / "full.git")
    report.results["crdtgraph"] = rounded({"median_s": median(ours), "least_s": min(ours), "bytes": moved})
    report.results["git clone"] = rounded({"median_s": median(theirs), "least_s": min(theirs), "bytes": pack})
    report.hold("time over git's", median(ours) / median(theirs), "x", "<=", 0.8)
    report.hold("bytes on the wire over git's pack", moved / pack, "x", "<=", 0.6)
    return report


async def _fetch(store: Path, remote: Remote) -> tuple[float, int]:
    with crdtgraph.open(str(store)) as graph:
        begin = time.monotonic()
        async with sync.Node(graph, peers=[remote.address]) as node:
            seconds = await agree(node, remote.digest) - begin
            moved = sum(peer.bytes_in + peer.bytes_out for peer in node.status().peers)
    shutil.rmtree(store)
    return seconds, moved


def _clone(source: Path, target: Path) -> float:
    command = ["git", "clone", "--quiet", "--bare", "--filter=tree:0", source.as_uri(), str(target)]
    begin = time.monotonic()
    subprocess.run(command, check=True)
    seconds = time.monotonic() - begin
    shutil.rmtree(target)
    return seconds


def _pack_bytes(repository: Path) -> int:
    """What a clone of it receives."""
    command = ["git", "-C", str(repository), "pack-objects", "--revs", "--stdout", "--quiet", "--filter=tree:0"]
    refs = ["git", "-C", str(repository), "for-each-ref", "--format=%(objectname)"]
    heads = subprocess.run(refs, check=True, capture_output=True).stdout
    return len(subprocess.run(command, input=heads, check=True, capture_output=True).stdout)
