"""The state at a random commit: 10,000 commits that change 100 paths each, 1 million paths in all.

Two shapes: a *chain*, in which every commit follows from the last one and the last state has all the paths, and a
*tree* as a search grows it, in which a commit follows from one of the 300 before. A read is `graph.state(commit)` and
the value of one path that is in it. *Cold*: everything that was read before is forgotten, by us (the file cache of the
system is not ours). *Warm*: the same read once more. *Naive*: the first parents replayed from the root, which is also
what every answer is compared with. Rows are stored as a node does it in the background, before the clock runs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter_ns

import crdtgraph
from benchmarks.report import Report, quantiles
from crdtgraph import LEDGER, CommitId
from crdtgraph.state import replay
from crdtgraph.store import disk_bytes

COMMITS = 10_000
PATHS = 100
READS = 2_000
NAIVE = 25
RECENT = 300


def run(*, quick: bool) -> Report:
    """Measure and report."""
    commits, reads = (600, 100) if quick else (COMMITS, READS)
    parameters = {"commits": commits, "paths_a_commit": PATHS, "reads": reads, "naive_reads": NAIVE}
    report = Report("random-state", dict(parameters.items()))
    for shape, parent in (("chain", _last), ("tree", _recent)):
        cold, warm = _measure(report, shape, parent, commits, reads)
        report.hold(f"{shape}: cold P50", cold["p50_us"] / 1_000, "ms", "<=", 0.5)
        report.hold(f"{shape}: cold P99", cold["p99_us"] / 1_000, "ms", "<=", 3)
        report.hold(f"{shape}: warm P50", warm["p50_us"], "us", "<=", 5)
    return report


def _last(_rng: Random, made: list[CommitId]) -> CommitId:
    return made[-1]


def _recent(rng: Random, made: list[CommitId]) -> CommitId:
    return made[-1 - rng.randrange(min(RECENT, len(made)))]


def _measure(
    report: Report, shape: str, parent: Callable[[Random, list[CommitId]], CommitId], commits: int, reads: int
) -> tuple[dict[str, float], dict[str, float]]:
    rng = Random(shape)
    with tempfile.TemporaryDirectory() as folder:
        store = str(Path(folder) / "store")
        with crdtgraph.open(store) as graph:
            made: list[CommitId] = []
            for number in range(commits):
                changes = {f"shard/{number % 97:02}/{number}/{each}": b"value %d" % each for each in range(PATHS)}
                made.append(graph.commit(parents=[parent(rng, made)] if made else [], changes=changes))
            graph.flush()
            without = disk_bytes(graph.url) or 0
            began = perf_counter_ns()
            graph.checkpoint_states()
            took = perf_counter_ns() - began
        with crdtgraph.open(store) as graph:
            plane = graph._plane(LEDGER)
            cold: list[int] = []
            warm: list[int] = []
            whole: list[float] = []
            naive: list[int] = []
            graph.state(made[0])  # Imports are not what is measured.
            for read in range(reads):
                commit = rng.choice(made)
                number = graph.node(commit)
                path = f"shard/{number % 97:02}/{number}/{rng.randrange(PATHS)}"
                if rng.random() < 0.5:  # Else a path of the commit itself: the nearest there is.
                    path = f"shard/00/0/{rng.randrange(PATHS)}"
                graph._states().clear_cache()
                for times in (cold, warm):
                    begin = perf_counter_ns()
                    graph.state(commit)[path]
                    times.append(perf_counter_ns() - begin)
                if read < NAIVE:
                    begin = perf_counter_ns()
                    expected = replay(plane.projection, plane.contents, plane.projection.nodes[commit])
                    naive.append(perf_counter_ns() - begin)
                    begin = perf_counter_ns()
                    found = dict(graph.state(commit))
                    whole.append((perf_counter_ns() - begin) / len(found))
                    assert found == expected
            report.results[f"{shape}: cold"] = dict(quantiles(cold))
            report.results[f"{shape}: warm"] = dict(quantiles(warm))
            report.results[f"{shape}: naive replay"] = dict(quantiles(naive))
            report.results[f"{shape}: whole state"] = {"us_a_path": round(median(whole) / 1_000, 2)}
            report.results[f"{shape}: storing"] = {
                "us_a_commit": round(took / commits / 1_000, 1),
                "disk_mb_without": round(without / 1e6, 1),
                "disk_mb": round((disk_bytes(graph.url) or 0) / 1e6, 1),
            }
    return quantiles(cold), quantiles(warm)
