"""How fast the simulator is: simulated seconds per second on the wall, and where the time goes.

Clusters of 5, 15 and 50 nodes work, at one operation a second in the whole cluster, while halves are split, processes
killed, machines lose power and connections break, all the time and with every checker on. Beside them one that does
nothing at all, since slow worlds wait for most of their lives, and the mean world of a fuzz run.

Where the time goes is found by looking, every millisecond of processor time, what the simulation is at: in trio, in
pycrdt, or in which of our packages. What a C function takes (a signature, a hash, a decompression) and what the
standard library does counts for whoever called it. The run that is watched is not one of those that are timed.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from statistics import mean
from time import process_time
from types import FrameType

from benchmarks.report import Report
from simulations.runner import Outcome
from simulations.runner import run as run_world
from simulations.scenario import Scenario, Topology, Workload
from simulations.timeline import AnyEvent, Kill, Partition, PowerLoss, Reset

OPERATIONS_PER_S = 1.0
"""Of all nodes together; the mix is the default one, in which one operation makes two commits on average."""
CLUSTERS = {5: Topology.MESH, 15: Topology.CHORDS, 50: Topology.CHORDS}
DURATION_S = {5: 300.0, 15: 200.0, 50: 100.0}
BARS = {5: 200.0, 50: 20.0}
WORLDS = 100
WORLD_BAR_S = 0.3
ROUNDS = 3
"""The best of so many counts, since whatever else runs on the machine only takes time; `processor_s` is their mean."""
PARTS = ("trio", "pycrdt", "crdtgraph", "sync", "simulations")
SAMPLE_EVERY_S = 0.001


def run(*, quick: bool) -> Report:
    """Measure and report."""
    rounds, worlds, scale = (1, 5, 0.2) if quick else (ROUNDS, WORLDS, 1.0)
    report = Report("simulate", {"operations_per_s": OPERATIONS_PER_S, "rounds": rounds, "worlds": worlds})
    for nodes, topology in CLUSTERS.items():
        speed = _measure(report, at_work(nodes, topology, scale * DURATION_S[nodes]), rounds)
        if nodes in BARS:
            report.hold(f"simulated time, {nodes} nodes", speed, "s per s", ">=", BARS[nodes])
    _measure(
        report, Scenario(name="5 nodes, idle", nodes=5, duration_s=3_600.0, workload=Workload(operations_per_s=0)), 1
    )
    began_s = process_time()
    took = [_passed(run_world(seed, lines_kept=0)) for seed in range(worlds)]
    wall_s, simulated_s = (
        mean(times) for times in zip(*((each.wall_s, each.simulated_s) for each in took), strict=True)
    )
    report.results["worlds of a fuzz run, mean"] = {
        "nodes": round(mean(each.scenario.nodes for each in took), 1),
        "simulated_s": round(simulated_s, 1),
        "wall_s": round(wall_s, 3),
        "processor_s": round((process_time() - began_s) / worlds, 3),
        "simulated_per_wall": round(simulated_s / wall_s, 1),
        "commits": round(mean(each.commits for each in took)),
        "events": round(mean(each.events for each in took)),
    }
    report.hold("one world of a fuzz run", wall_s, "s", "<=", WORLD_BAR_S)
    return report


def at_work(nodes: int, topology: Topology, duration_s: float) -> Scenario:
    """A cluster that works, and meets a fault every ten seconds."""
    names = [f"n{number}" for number in range(nodes)]
    halves = tuple(names[: nodes // 2]), tuple(names[nodes // 2 :])
    timeline: list[AnyEvent] = []
    for turn, at_s in enumerate(range(10, int(duration_s) - 30, 40)):
        first, second, third = (names[(7 * turn + place) % nodes] for place in range(3))
        timeline += [
            Partition(at_s=at_s, for_s=15, groups=halves),
            Kill(at_s=at_s + 10, for_s=5, node=first),
            PowerLoss(at_s=at_s + 20, for_s=5, node=second),
            Reset(at_s=at_s + 30, node=third),
        ]
    return Scenario(
        name=f"{nodes} nodes, {topology.value}",
        nodes=nodes,
        topology=topology,
        duration_s=duration_s,
        workload=Workload(operations_per_s=OPERATIONS_PER_S / nodes, bursts=0.0),
        timeline=tuple(timeline),
    )


def _measure(report: Report, scenario: Scenario, rounds: int) -> float:
    began_s = process_time()
    runs = [_passed(run_world(1, scenario, lines_kept=0)) for _ in range(rounds)]
    processor_s = (process_time() - began_s) / rounds
    best = min(runs, key=lambda each: each.wall_s)
    with sampled() as samples:
        _passed(run_world(1, scenario, lines_kept=0))
    speed = best.simulated_s / best.wall_s
    total = max(1, sum(samples[part] for part in PARTS))
    report.results[scenario.name] = {
        "nodes": scenario.nodes,
        "simulated_s": round(best.simulated_s, 1),
        "wall_s": round(best.wall_s, 3),
        "processor_s": round(processor_s, 3),
        "simulated_per_wall": round(speed, 1),
        "commits": best.commits,
        "events": best.events,
        **{f"{part}_%": round(100 * samples[part] / total, 1) for part in PARTS},
    }
    return speed


def _passed(outcome: Outcome) -> Outcome:
    assert not outcome.failure, outcome.failure
    return outcome


@contextmanager
def sampled() -> Iterator[Counter[str]]:
    """Count, while the block runs, in which of PARTS it is. Each look wakes trio, which costs it some microseconds."""
    samples: Counter[str] = Counter()

    def look(_number: int, frame: FrameType | None) -> None:
        samples[part_of(frame)] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, SAMPLE_EVERY_S, SAMPLE_EVERY_S)
    try:
        yield samples
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def part_of(frame: FrameType | None) -> str:
    """The innermost of PARTS on a stack, or "" where there is none."""
    while frame is not None:
        for name in reversed(PurePath(frame.f_code.co_filename).parts[:-1]):
            if name in PARTS:
                return name
        frame = frame.f_back
    return ""
