"""Looking into a history of 37,924 commits: drawings beside git's, start-up, and two replicas that went apart.

Whole processes take turns with git on the same history: one line a commit on both sides for the whole drawing, and what
`git log --graph` prints by itself for the first screen. Compiled modules are there, as after a first run.

For the comparison both replicas hold the whole history. Then each makes half of the commits that they differ by, on one
branch, with changes to paths that the other changes too. Measured is what comes after opening: the comparison, the
estimate of a heal, and the text that is printed; each time in a process of its own, as a command is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import crdtgraph
from benchmarks import history
from benchmarks.report import Report, rounded
from crdtgraph.gitbridge import GraphTarget, import_git
from crdtgraph.union import unite

APART = 1_000
"""Commits that the replicas differ by, half of them on each side."""
PATHS = 50
ROUNDS = 5
START_MS_MAX = 150
ROOT = Path(__file__).resolve().parent.parent

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
        rounds = 2 if quick else ROUNDS
        measure_drawings(report, rows, Path(folder), rounds)
        stores = [str(Path(folder) / name) for name in ("a", "b")]
        part(rows.commits(), stores)
        measure_divergence(report, stores, rounds)
    return report


def measure_drawings(report: Report, rows: history.History, folder: Path, rounds: int) -> None:
    """`log --graph` beside git, and starting up beside a bare interpreter; whole processes, in turn."""
    git, store, small = (str(folder / name) for name in ("git", "store", "small"))
    history.build_git(rows, Path(git))
    crdtgraph.open(small).close()
    with crdtgraph.open(store) as graph:
        import_git(git, GraphTarget(graph))
    ours = [sys.executable, "-m", "cli"]
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "--help": [*ours, "--help"],
        "status": [*ours, "status", "--store", small],
        "git log --graph -n 50": ["git", "-C", git, "log", "--graph", "--all", "-n", "50"],
        "log --graph -n 50": [*ours, "log", "--graph", "-n", "50", "--store", store],
        "git log --graph": ["git", "-C", git, "log", "--graph", "--all", "--oneline"],
        "log --graph": [*ours, "log", "--graph", "--store", store],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for round_ in range(rounds + 1):
        for name, command in commands.items():
            took_ms = timed(command)
            if round_:  # The first one compiles modules and fills the disk's cache.
                times[name].append(took_ms)
    wall = {name: median(each) for name, each in times.items()}
    for name in commands:
        report.results[name] = rounded({"wall_ms": wall[name]}, 1)
    for name in ("--help", "status"):
        report.hold(f"start of {name}", wall[name], "ms", "<=", START_MS_MAX)
    report.hold(
        "first screen, beyond git's time", wall["log --graph -n 50"] - wall["git log --graph -n 50"], "ms", "<=", 150
    )
    report.hold("whole drawing / git's time", wall["log --graph"] / wall["git log --graph"], "x", "<=", 2)


def timed(command: Sequence[str]) -> float:
    """Milliseconds that a process takes."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, env=environment, cwd=ROOT, check=True)
    return 1e3 * (time.perf_counter() - began)


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


def measure_divergence(report: Report, stores: Sequence[str], rounds: int) -> None:
    """`diverge` of two stores, after opening."""
    command = [sys.executable, "-c", MEASURE, *stores]
    found = []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout))
    row = {figure: median(each[figure] for each in found) for figure in found[0]}
    report.results["diverge"] = rounded(row, 1)
    report.hold("diverge after opening", row["compare_ms"] + row["text_ms"], "ms", "<=", 300)


if __name__ == "__main__":
    print(run(quick=False).to_json())
