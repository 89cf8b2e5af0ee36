"""The benchmark of the simulator: its scenarios are sound, and it sees where time goes."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType

import pytest

from benchmarks.simulate import BARS, CLUSTERS, DURATION_S, PARTS, at_work, part_of, sampled
from crdtgraph.canonical import encode
from simulations.runner import run
from simulations.scenario import Scenario, Topology, check


@pytest.mark.parametrize("nodes, topology", CLUSTERS.items())
def test_the_clusters_are_sound_and_meet_a_fault_every_ten_seconds(nodes: int, topology: Topology) -> None:
    scenario = at_work(nodes, topology, DURATION_S[nodes])
    check(scenario)
    assert len(scenario.timeline) >= scenario.duration_s / 10 - 4
    assert max(event.until_s for event in scenario.timeline) < scenario.duration_s
    assert set(BARS) <= set(CLUSTERS)


def frame_in(filename: str, then: Callable[[Callable[[], FrameType]], FrameType]) -> FrameType:
    """A frame of a function that claims to be in a file and calls `then` with what gives a frame of this test."""
    space: dict[str, Callable[..., FrameType]] = {}
    exec(compile("import sys\ndef call(then): return then(lambda: sys._getframe(1))", filename, "exec"), space)
    return space["call"](then)


@pytest.mark.parametrize(
    "filename, part",
    [
        ("/checkout/sync/node.py", "sync"),
        ("/checkout/crdtgraph/segment/reading.py", "crdtgraph"),
        ("/lib/site-packages/trio/_core/_run.py", "trio"),
        ("/lib/site-packages/pycrdt/_map.py", "pycrdt"),
        ("/sync/lib/site-packages/trio/_sync.py", "trio"),
        ("/lib/python3.11/random.py", ""),
        ("sync.py", ""),
    ],
)
def test_time_counts_for_the_innermost_part(filename: str, part: str) -> None:
    assert part_of(frame_in(filename, lambda here: here())) == part


def test_the_standard_library_counts_for_whoever_calls_it() -> None:
    inner = frame_in("/checkout/sync/gossip.py", lambda _: frame_in("/lib/python3.11/heapq.py", lambda here: here()))
    assert part_of(inner) == "sync"
    assert part_of(None) == ""


def test_it_sees_where_time_goes() -> None:
    with sampled() as samples:
        run(0, Scenario(duration_s=20))
        encode([bytes(100)] * 100_000)
    assert samples.total() > 10
    assert set(samples) <= {*PARTS, ""}
    assert samples["crdtgraph"] > 0
