"""300 new commits on top of a whole history reach a peer that is connected, against `git fetch` of the same.

Ours: from the moment the writer's process begins to make the commits until the other process has the same digest:
making, signing and fsyncing them is part of it. Git: `git fetch` into a clone, after the commits are there.
"""

from __future__ import annotations

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

ROUNDS = 9
NEW = 300


def run(*, quick: bool) -> Report:
    """Measure and report."""
    rows = history.load(quick=quick)
    rounds = 3 if quick else ROUNDS
    report = Report("catchup", {"rounds": rounds, "commits": len(rows.rows), "new": NEW, "history": rows.source})
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        history.build_git(rows, root / "full.git")
        fill(root / "full", root / "full.git")
        clone = ["git", "clone", "--quiet", "--bare", "--filter=tree:0", (root / "full.git").as_uri()]
        subprocess.run([*clone, str(root / "copy.git")], check=True)
        with serving(root / "full") as remote:
            ours = trio.run(_follow, root / "copy", remote, root, rounds, theirs)
    report.results["crdtgraph"] = rounded({"median_s": median(ours), "largest_s": max(ours)})
    report.results["git fetch"] = rounded({"median_s": median(theirs), "largest_s": max(theirs)})
    report.hold("time over git's", median(ours) / median(theirs), "x", "<=", 0.5)
    return report


async def _follow(store: Path, remote: Remote, root: Path, rounds: int, theirs: list[float]) -> list[float]:
    ours = []
    with crdtgraph.open(str(store)) as graph:
        async with sync.Node(graph, peers=[remote.address]) as node:
            await agree(node, remote.digest)
            for _ in range(rounds):
                remote.extend(NEW)
                began, digest = await trio.to_thread.run_sync(remote.extended)
                ours.append(await agree(node, digest) - began)
                theirs.append(await trio.to_thread.run_sync(_fetch, root))
    return ours


def _fetch(root: Path) -> float:
    source, copy = root / "full.git", root / "copy.git"
    heads = ["git", "-C", str(source), "for-each-ref", "--count=1", "--format=%(refname)", "refs/heads"]
    head = subprocess.run(heads, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["git", "-C", str(source), "fast-import", "--quiet"], input=_commits(head), check=True)
    command = ["git", "-C", str(copy), "fetch", "--quiet", source.as_uri(), "+refs/heads/*:refs/heads/*"]
    begin = time.monotonic()
    subprocess.run(command, check=True)
    return time.monotonic() - begin


def _commits(head: str) -> bytes:
    stamp = f"a0 <a0@example.invalid> {int(time.time())} +0000"
    lines = []
    for number in range(NEW):
        message = f"commit {number} {time.monotonic_ns()}"
        lines.append(f"commit {head}\nauthor {stamp}\ncommitter {stamp}\ndata {len(message)}\n{message}\n")
        lines.append(f"from {head}^0\n\n" if number == 0 else "\n")
    return "".join(lines).encode()
