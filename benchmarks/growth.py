"""How the cost of a heal grows: with the size of the cluster, and with what the two sides did while they were split.

Simulated time over a network of 5 ms and 100 Mbit/s, so the times are those of the protocol and the wires; what a
machine computes takes none. A cluster is split into halves for a minute, each side makes commits on one machine, and
from the heal on it is measured until everyone has everything (`Heal` in simulations/observer.py), and how many bytes
all machines together send for it.
"""

from __future__ import annotations

from math import log
from statistics import linear_regression, median

from benchmarks.report import Figure, Report, rounded
from simulations.runner import run as run_world
from simulations.scenario import Scenario, Topology, Workload
from simulations.timeline import Do, Partition
from simulations.wire import WireProperties

SIZES = (3, 5, 10, 20, 50, 100)
COMMITS = 100
"""A side, where the size of the cluster varies."""
DIVERGENCES = (10, 100, 1_000, 10_000, 100_000)
NODES = 4
"""Where the divergence varies."""
SEEDS = 3
BATCH_COMMITS = 1_000
SPLIT_S = 60.0
WIRE = WireProperties(latency_s=0.005, bytes_per_s=12.5e6, fragmentation=0.0)


def run(*, quick: bool) -> Report:
    """Measure and report."""
    sizes, divergences, seeds = (SIZES[:3], DIVERGENCES[:3], 1) if quick else (SIZES, DIVERGENCES, SEEDS)
    report = Report(
        "growth",
        {
            "latency_ms": WIRE.latency_s * 1e3,
            "mbit_per_s": WIRE.bytes_per_s * 8 / 1e6,
            "split_s": SPLIT_S,
            "worlds_per_row": seeds,
            "topology": Topology.CHORDS.value,
        },
    )
    for nodes in sizes:
        _measure(report, "nodes", nodes, COMMITS, seeds)
    for commits in divergences:
        _measure(report, "commits_a_side", NODES, commits, seeds)
    for varied in ("nodes", "commits_a_side"):
        rows = [row for row in report.results.values() if row.get("varied") == varied]
        fits = {figure: _exponent(rows, varied, figure) for figure in ("agreed_after_s", "bytes_per_node")}
        report.results[f"growth with {varied}"] = rounded(fits, 2)
        # Twice the divergence may cost twice the bytes; and what one machine sends may not follow the cluster's size.
        report.hold(f"bytes a node, power of {varied}", fits["bytes_per_node"], "", "<=", 1.0)
    return report


def _measure(report: Report, varied: str, nodes: int, commits: int, seeds: int) -> None:
    scenario = split_in_two(nodes, commits)
    seconds, sent = [], []
    for seed in range(seeds):
        outcome = run_world(seed, scenario, lines_kept=0, observe=True)
        assert not outcome.failure, outcome.failure
        assert outcome.seen is not None
        heal = outcome.seen.heals[0]
        assert heal.agreed_after_s is not None
        assert heal.bytes is not None
        seconds.append(heal.agreed_after_s)
        sent.append(heal.bytes / nodes)
    report.results[f"{nodes} machines, {commits} commits a side"] = {
        "varied": varied,
        "nodes": nodes,
        "commits_a_side": commits,
        "hops": scenario.diameter,
        "agreed_after_s": round(median(seconds), 3),
        "bytes_per_node": round(median(sent)),
        "bytes_per_node_and_commit": round(median(sent) / (2 * commits), 1),
    }


def split_in_two(nodes: int, commits: int) -> Scenario:
    """A cluster whose halves each make so many commits while they are split."""
    names = [f"n{number}" for number in range(nodes)]
    left, right = tuple(names[: nodes // 2]), tuple(names[nodes // 2 :])
    batch = min(commits, BATCH_COMMITS)
    return Scenario(
        name="split in two",
        nodes=nodes,
        topology=Topology.CHORDS,
        duration_s=2 * SPLIT_S,
        wire=WIRE,
        workload=Workload(operations_per_s=0),
        timeline=(
            Partition(at_s=5, for_s=SPLIT_S, groups=(left, right)),
            Do(
                at_s=6,
                for_s=SPLIT_S - 10,
                nodes=(left[0], right[-1]),
                operation="commit_many",
                count=commits // batch,
                commits=batch,
            ),
        ),
    )


def _exponent(rows: list[dict[str, Figure]], varied: str, figure: str) -> float:
    """The k of the power law y = c * x^k that fits best, by least squares of the logarithms."""
    points = [(log(float(row[varied] or 0)), log(float(row[figure] or 0))) for row in rows]
    return linear_regression(*zip(*points, strict=True)).slope
