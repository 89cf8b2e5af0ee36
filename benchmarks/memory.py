"""Resident memory of commits, 100,000 at a time: in the ledger, in a search, and after the search is over.

Each case runs in a process of its own, which reports how much it has grown beyond an open, empty graph. A commit has
one parent, one change of some 10 bytes and a counter, as a search makes them.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from random import Random

import crdtgraph
from benchmarks.commit import resident_bytes
from benchmarks.report import Report
from crdtgraph import CommitId

COMMITS = 100_000


def run(*, quick: bool) -> Report:
    """Measure and report."""
    commits = 10_000 if quick else COMMITS
    report = Report("memory", {"commits": commits, "parents": 1, "changes": 1, "counters": 2})
    cases: dict[str, Callable[[str, int], dict[str, int]]] = {"ledger": _ledger, "search": _search}
    context = get_context("spawn")
    for name, case in cases.items():
        with tempfile.TemporaryDirectory() as folder, context.Pool(1) as pool:
            grown = pool.apply(case, (str(Path(folder) / "store"), commits))
        report.results[name] = {
            **{each: round(size / 1e6, 1) for each, size in grown.items()},
            "live_bytes_a_commit": round(grown["live_mb"] / commits),
        }
    scale = COMMITS / commits
    for name, row in report.results.items():
        report.hold(f"{name}, 100,000 live", float(row["live_mb"] or 0) * scale, "MB", "<=", 100)
    return report


def _ledger(store: str, commits: int) -> dict[str, int]:
    with crdtgraph.open(store) as graph:
        root, before = _start(graph)
        _grow(graph.commit, graph.count, root, commits)
        graph.flush()
        return {"live_mb": resident_bytes() - before}


def _search(store: str, commits: int) -> dict[str, int]:
    with crdtgraph.open(store) as graph:
        root, before = _start(graph)
        search = graph.search("one")
        _grow(search.commit, search.count, root, commits)
        live = resident_bytes() - before
        search.close()
        gc.collect()
        return {"live_mb": live, "dropped_mb": resident_bytes() - before}


def _start(graph: crdtgraph.Graph) -> tuple[CommitId, int]:
    root = graph.commit(message="root", ref="main")
    # What is imported and set up at the first use is not the commits'.
    with graph.search("warm up") as search:
        _grow(search.commit, search.count, root, 1_000)
    graph.flush()
    gc.collect()
    return root, resident_bytes()


def _grow(
    commit: Callable[..., CommitId], count: Callable[[CommitId, tuple[int, ...]], None], root: CommitId, commits: int
) -> None:
    rng = Random(1)
    recent = [root]
    for number in range(commits):
        parent = recent[rng.randrange(len(recent))]
        child = commit(parents=(parent,), message="tried", changes={"move": b"%d" % number})
        count(child, (1, number))
        recent.append(child)
        if len(recent) > 300:
            del recent[0]
