"""A link of 500 bytes a second is slow, and no fault: nobody is dropped for it, and all agree in the end."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from simulations import timeline
from simulations.runner import Outcome, run
from simulations.scenario import Link, Scenario, Topology, Workload
from simulations.wire import WireProperties

RATE = 500.0
SLOW = WireProperties(bytes_per_s=RATE, latency_s=0.2)
WORK = Workload(
    operations_per_s=1.0,
    operations_max=20,
    bursts=0.0,
    large_bytes=150_000,
    mix={"commit_large": 1.0, "commit": 8.0, "compact": 1.0, "flush": 2.0},
)
"""A few commits of 150 kB each: five minutes for one hop."""

WORLDS = {
    "window of 4 KiB": Scenario(nodes=2, wire=WireProperties(bytes_per_s=RATE, latency_s=0.2, window_bytes=4 << 10)),
    "window of 64 KiB": Scenario(nodes=2, wire=WireProperties(bytes_per_s=RATE, latency_s=0.2, window_bytes=64 << 10)),
    "window of 256 KiB": Scenario(nodes=2, wire=SLOW),
    "nothing to say but signs of life": Scenario(
        nodes=2, wire=WireProperties(bytes_per_s=4 * RATE), settings={"anti_entropy_s": 300.0}
    ),
    "one way": Scenario(nodes=2, links=(Link(between=("n0", "n1"), one_way=True, bytes_per_s=RATE),)),
    "line": Scenario(nodes=3, topology=Topology.LINE, wire=SLOW),
    "mesh": Scenario(nodes=4, wire=SLOW),
    "one slow path in a mesh": Scenario(nodes=3, links=(Link(between=("n0", "n1"), bytes_per_s=RATE),)),
}


def lived(scenario: Scenario, seed: int) -> Outcome:
    outcome = run(seed, scenario, lines_kept=None)
    assert not outcome.failure, "\n".join((*outcome.lines[-50:], outcome.failure))
    return outcome


@pytest.mark.slow
@pytest.mark.parametrize("scenario", WORLDS.values(), ids=WORLDS.keys())
def test_nobody_is_dropped_for_being_slow(scenario: Scenario) -> None:
    large = 0
    for seed in range(3):
        outcome = lived(replace(scenario, workload=WORK), seed)
        large += sum(" commit_large " in line for line in outcome.lines)
        ends = [line for line in outcome.lines if "connection closed" in line and "duplicate" not in line]
        assert not ends
    assert large > 2


@pytest.mark.parametrize("window_bytes", [4 << 10, 64 << 10, 256 << 10])
def test_what_there_is_is_carried_once(window_bytes: int) -> None:
    """The hazard of timers: an answer that takes longer than any of them is begun again by each."""
    late = timeline.Join(at_s=30, node="n1")
    wire = WireProperties(bytes_per_s=RATE, window_bytes=window_bytes)
    outcome = lived(Scenario(nodes=2, wire=wire, workload=WORK, timeline=(late,), duration_s=40.0), 3)
    large = sum(" commit_large " in line for line in outcome.lines)
    assert large == 3
    assert outcome.converged_after_s < 1.05 * large * WORK.large_bytes / RATE + 20
