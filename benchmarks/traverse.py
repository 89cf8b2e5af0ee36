"""Merge bases and ancestry of pairs of commits, against libgit2 in the same process and against git's answers.

The pairs are the 200 recorded ones with what `git merge-base --all` said of them, or, for a generated history, as many
random ones that git is asked about now. Both sides get ids and give ids, pair by pair in turns, so that a slow moment
of the machine hits both. The first round is told apart: our index and libgit2's object cache both fill while it runs.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter_ns

import pygit2

from benchmarks import history
from benchmarks.history import SHARED, Row
from benchmarks.report import Figure, Report, quantiles
from crdtgraph import ancestry
from crdtgraph.index import Index

PAIRS = 200
ROUNDS = 5

# Two ids, and all best common ancestors of the two.
Pair = tuple[str, str, frozenset[str]]


def run(*, quick: bool) -> Report:
    """Measure and report."""
    rows = history.load(quick=quick)
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "history.git"
        history.build_git(rows, repository)
        recorded = SHARED / "ipython.merge-bases.tsv"
        if recorded.exists() and not quick:
            pairs = [_pair(*line.split("\t")) for line in recorded.read_text().splitlines()]
        else:
            pairs = _ask_git(rows.rows, repository)
        return measure(rows.rows, pairs, repository, source=rows.source)


def measure(rows: Sequence[Row], pairs: Sequence[Pair], repository: Path, *, source: str) -> Report:
    """Time both sides on the same pairs.

    Args:
        rows: the history, parents first.
        pairs: what to ask, with the answers of git.
        repository: the same history as a git repository whose messages are the ids of `rows`.
        source: where the history comes from, for the report.

    Returns:
        Times by question and side, how many answers were git's, and the bars.
    """
    names, nodes, dag = [row.original for row in rows], dict[str, int](), Index()
    for row in rows:
        nodes[row.original] = dag.append([nodes[parent] for parent in row.parents])
    git = pygit2.Repository(str(repository))
    oids = {name: pygit2.Oid(hex=oid) for oid, name in _messages(repository)}

    def our_bases(a: str, b: str) -> list[str]:
        return [names[node] for node in ancestry.merge_bases(dag, (nodes[a],), (nodes[b],))]

    def our_ancestor(a: str, b: str) -> bool:
        return ancestry.is_ancestor(dag, nodes[a], nodes[b])

    def git_base(a: str, b: str) -> pygit2.Oid | None:
        return git.merge_base(oids[a], oids[b])

    def git_ancestor(a: str, b: str) -> bool:
        return git.descendant_of(oids[b], oids[a])

    parameters: dict[str, Figure] = {"commits": len(rows), "history": source, "pairs": len(pairs), "rounds": ROUNDS}
    report = Report("traverse", parameters)
    sides = (("Graph index", our_bases), ("libgit2", git_base))
    first = _times(sides, pairs, rounds=1)
    later = _times(sides, pairs, rounds=ROUNDS - 1)
    for side, _ in sides:
        report.results[f"merge bases, {side}, first round"] = {**quantiles(first[side])}
        report.results[f"merge bases, {side}"] = {**quantiles(later[side])}
    for side, values in _times((("Graph index", our_ancestor), ("libgit2", git_ancestor)), pairs, ROUNDS).items():
        report.results[f"is ancestor, {side}"] = {**quantiles(values)}

    equal = sum(frozenset(our_bases(a, b)) == bases for a, b, bases in pairs)
    report.hold("answers equal to git's", equal, f"of {len(pairs)}", "==", len(pairs))
    for label, times in (("first round", first), ("later rounds", later)):
        ours, theirs = quantiles(times["Graph index"]), quantiles(times["libgit2"])
        for figure in ("p50_us", "p99_us"):
            share = ours[figure] / theirs[figure]
            report.hold(f"{figure.removesuffix('_us').upper()} over libgit2's, {label}", share, "x", "<=", 1)
    return report


def _times(
    sides: Sequence[tuple[str, Callable[[str, str], object]]], pairs: Sequence[Pair], rounds: int
) -> dict[str, list[int]]:
    times: dict[str, list[int]] = {side: [] for side, _ in sides}
    for _ in range(rounds):
        for a, b, _bases in pairs:
            for side, ask in sides:
                begin = perf_counter_ns()
                ask(a, b)
                times[side].append(perf_counter_ns() - begin)
    return times


def _ask_git(rows: Sequence[Row], repository: Path) -> list[Pair]:
    """Draw pairs from a fixed seed and let `git merge-base --all` answer."""
    draw = random.Random(20_240_502)
    names = dict(_messages(repository))
    oids = {name: oid for oid, name in names.items()}
    pairs = []
    for _ in range(PAIRS):
        a, b = draw.choice(rows).original, draw.choice(rows).original
        command = ["git", "-C", str(repository), "merge-base", "--all", oids[a], oids[b]]
        # Exit code 1 says that the two have nothing in common.
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        pairs.append(_pair(a, b, " ".join(names[oid] for oid in answer.stdout.split())))
    return pairs


def _pair(a: str, b: str, bases: str) -> Pair:
    return a, b, frozenset(bases.split())


def _messages(repository: Path) -> Iterator[tuple[str, str]]:
    """All commits of a repository with their messages."""
    command = ["git", "-C", str(repository), "log", "--all", "--format=%H %s"]
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        oid, message = line.split()
        yield oid, message


if __name__ == "__main__":
    print(run(quick=False).to_json())
