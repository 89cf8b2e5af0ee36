"""Looking into a history of 37,924 commits: two replicas that went apart, compared.

Both hold the whole history. Then each makes half of the commits that they differ by, on one branch, with changes to
paths that the other changes too. Measured is what comes after opening: the comparison, the estimate of a heal, and the
text that is printed; each time in a process of its own, as a command is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import crdtgraph
from benchmarks import history
from benchmarks.report import Report, rounded
from crdtgraph.union import unite

APART = 1_000
"""Commits that the replicas differ by, half of them on each side."""
PATHS = 50
ROUNDS = 5

MEASURE = """
import json, sys
from time import perf_counter

import crdtgraph
from cli.diverging.report import examine
from cli.diverging.text import lines
from cli.diverging.picture import picture_lines
from cli.places import Place
from sync.requests import LocalCaller

opening = perf_counter()
graphs = [crdtgraph.open(path, create=False, read_only=True) for path in sys.argv[1:]]
opened = perf_counter()
places = [
    Place(path, path, LocalCaller(graph), graph.replica_id.hex(), graph.cluster, len(graph), "")
    for path, graph in zip(sys.argv[1:], graphs)
]
report = examine(places, graphs)
compared = perf_counter()
text = list(lines(report, 20))
printed = perf_counter()
drawing = list(picture_lines(report, 1_000))
drawn = perf_counter()
print(json.dumps({
    "open_ms": 1e3 * (opened - opening),
    "compare_ms": 1e3 * (compared - opened),
    "text_ms": 1e3 * (printed - compared),
    "drawing_ms": 1e3 * (drawn - printed),
    "commits": len(report.found.scattered.holders),
}))
"""


def run(*, quick: bool) -> Report:
    """Measure and report."""
    rows = history.load(quick=quick)
    report = Report("inspect", {"commits": len(rows.rows), "history": rows.source, "rounds": ROUNDS, "apart": APART})
    with tempfile.TemporaryDirectory() as folder:
        stores = [str(Path(folder) / name) for name in ("a", "b")]
        part(rows.commits(), stores)
        measure_divergence(report, stores)
    return report


def part(commits: Sequence[crdtgraph.Commit], stores: Sequence[str]) -> None:
    """Make two replicas that went apart after these commits."""
    first, second = stores
    with crdtgraph.open(first) as a, crdtgraph.open(second) as b:
        tip = a.commit_many(commits)[-1]
        a.set_ref("main", tip)
        unite(a, b)
        for graph, name in ((a, "a"), (b, "b")):
            at = tip
            for number in range(APART // 2):
                path = f"shared/{number % PATHS}" if number % 2 else f"{name}/{number}"
                at = graph.commit(
                    parents=[at], author=name, message=f"{name} {number}", changes={path: f"{name}{number}".encode()}
                )
            graph.set_ref("main", at)


def measure_divergence(report: Report, stores: Sequence[str]) -> None:
    """`diverge` of two stores, after opening."""
    command = [sys.executable, "-c", MEASURE, *stores]
    found = []
    for _ in range(ROUNDS):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    row = {figure: median(each[figure] for each in found) for figure in found[0]}
    report.results["diverge"] = rounded(row, 1)
    report.hold("diverge after opening", row["compare_ms"] + row["text_ms"], "ms", "<=", 300)


if __name__ == "__main__":
    print(run(quick=False).to_json())
