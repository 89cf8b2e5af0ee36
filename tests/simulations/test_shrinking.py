"""A failing world becomes a small one that fails in the same way."""

from __future__ import annotations

import re
import signal
from itertools import islice
from multiprocessing import active_children
from pathlib import Path

import pytest
from msgspec.structs import replace

from crdtgraph.registers import Registers
from simulations import shrinking, timeline
from simulations.files import parse, write
from simulations.fuzzing import fuzz
from simulations.runner import Outcome, run
from simulations.scenario import Clock, Link, Scenario, check
from simulations.shrinking import Attempt, shrink
from simulations.swarm import draw


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """A large world with refs that are not superseded."""
    apply = Registers.apply
    monkeypatch.setattr(Registers, "apply", lambda self, assign: apply(self, assign._replace(supersedes=())))
    seed = next(seed for seed in range(100) if draw(seed).nodes > 3 and len(draw(seed).timeline) > 4)
    scenario = replace(draw(seed), workload=replace(draw(seed).workload, operations_per_s=2.0))
    outcome = run(seed, scenario)
    assert outcome.failure
    return outcome


@pytest.mark.slow
def test_what_is_left_is_small_and_breaks_the_same_rule(failed: Outcome) -> None:
    attempts: list[Attempt] = []
    shrunk = shrink(failed, attempts_max=120, progress=attempts.append)
    assert shrunk.scenario.nodes <= 2
    assert len(shrunk.scenario.timeline) <= 1
    assert shrunk.scenario.duration_s < failed.scenario.duration_s
    assert len(shrunk.scenario.workload.mix) <= 3
    assert shrunk.outcome.rule == failed.rule
    assert [each.number for each in attempts] == [*range(1, shrunk.attempts + 1)]
    assert any(each.is_kept for each in attempts)
    again = parse(write(shrunk.scenario), "shrunk.toml")
    assert run(again.seed, again).trace_hash == shrunk.outcome.trace_hash


@pytest.mark.slow
def test_no_more_is_tried_than_allowed(failed: Outcome) -> None:
    assert shrink(failed, attempts_max=3).attempts == 3


@pytest.mark.parametrize("seed", range(0, 60, 3))
def test_every_candidate_is_a_scenario_that_can_be_written(seed: int) -> None:
    scenario = draw(seed)
    for make in shrinking._PASSES:
        for change, candidate in islice(make(scenario), 50):
            assert candidate != scenario, change
            check(candidate)
            assert parse(write(candidate), change) == candidate


def test_a_machine_that_is_left_out_takes_what_is_about_it_along() -> None:
    scenario = Scenario(
        nodes=3,
        clocks=(Clock(node="n1", offset_s=1.0), Clock(node="n2", offset_s=2.0)),
        links=(Link(between=("n0", "n1")), Link(between=("n2", "n0"))),
        timeline=(
            timeline.Partition(at_s=1, for_s=1, groups=(("n0", "n1"), ("n2",))),
            timeline.OneWayCut(at_s=2, for_s=1, source="n1", target="n2"),
            timeline.Flapping(at_s=3, for_s=1, between=("n0", "n2")),
            timeline.Kill(at_s=4, for_s=1, node="n1"),
            timeline.Do(at_s=5, nodes=("n1", "n2"), operation="commit"),
        ),
    )
    without = dict(shrinking._without_nodes(scenario))["machine n1"]
    assert without == Scenario(
        nodes=2,
        clocks=(Clock(node="n1", offset_s=2.0),),
        links=(Link(between=("n1", "n0")),),
        timeline=(
            timeline.Partition(at_s=1, for_s=1, groups=(("n0",), ("n1",))),
            timeline.Flapping(at_s=3, for_s=1, between=("n0", "n1")),
            timeline.Do(at_s=5, nodes=("n1",), operation="commit"),
        ),
    )


@pytest.mark.slow
def test_worker_processes_run_the_same_worlds() -> None:
    alone = {outcome.seed: outcome.trace_hash for outcome in fuzz(range(4))}
    shared = {outcome.seed: outcome.trace_hash for outcome in fuzz(range(4), jobs=2)}
    assert alone == shared


@pytest.mark.slow
def test_a_hunt_that_is_stopped_ends_its_workers() -> None:
    outcomes = fuzz(iter(range(10**9)), jobs=2)
    assert next(outcomes).trace_hash
    outcomes.close()


@pytest.mark.slow
def test_ctrl_c_reaches_no_worker() -> None:
    outcomes = fuzz(iter(range(10**9)), jobs=2)
    next(outcomes)
    for worker in active_children():
        blocked = re.search(r"SigBlk:\s*(\w+)", Path(f"/proc/{worker.pid}/status").read_text())
        assert blocked is not None
        assert int(blocked[1], 16) & 1 << signal.SIGINT - 1
    outcomes.close()
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
