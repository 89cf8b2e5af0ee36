"""Whole worlds: many pass, the same seed is the same run, and broken code is found out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crdtgraph.registers import Registers
from simulations.disk import Disk
from simulations.options import FaultKind, Options, Topology, draw
from simulations.runner import Outcome, run
from simulations.seeds import child
from sync.gossip import Gossip

ROOT = Path(__file__).resolve().parents[2]
SHORT_S = 15.0
REGRESSIONS = {
    "a large commit stayed when the ref could not be moved to it": (
        2,
        Options(nodes=2, duration_s=20.0, operations_per_s=4.0, faults=(FaultKind.DISK_ERRORS,), fault_every_s=1.0),
    ),
}
"""What was once wrong, and a world that shows it."""

SMALL = Options(nodes=3, duration_s=30.0, operations_per_s=1.0, fault_every_s=3.0, fault_length_s=4.0)


def short(seed: int) -> Options:
    return replace(draw(child(seed, "options")), duration_s=SHORT_S, operations_per_s=1.0, nodes=3)


@pytest.mark.parametrize("seed", range(20))
def test_worlds_pass(seed: int) -> None:
    outcome = run(seed, short(seed))
    assert not outcome.failure, "\n".join((*outcome.lines[-50:], outcome.failure, outcome.command))
    assert outcome.commits > 5


@pytest.mark.parametrize("seed, options", REGRESSIONS.values(), ids=REGRESSIONS.keys())
def test_what_once_failed_passes(seed: int, options: Options) -> None:
    outcome = run(seed, options)
    assert not outcome.failure, outcome.failure


SCRIPT = """
import sys
from tests.simulations.test_runner import short
from simulations.runner import run
print(*(run(seed, short(seed)).trace_hash for seed in map(int, sys.argv[1:])))
"""


def test_the_same_seed_is_the_same_run_in_every_process() -> None:
    seeds = [str(seed) for seed in range(4)]
    hashes = []
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *seeds],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        hashes.append(done.stdout.split())
    assert hashes[0] == hashes[1]
    assert len(set(hashes[0])) == len(seeds)


def test_another_seed_is_another_run() -> None:
    assert run(1, SMALL).trace_hash != run(2, SMALL).trace_hash


@pytest.mark.parametrize("topology", Topology)
def test_every_fault_happens_and_every_topology_heals(topology: Topology) -> None:
    outcome = run(3, replace(SMALL, topology=topology, nodes=4, fault_every_s=0.5), lines_kept=None)
    assert not outcome.failure, outcome.failure
    happened = "\n".join(outcome.lines)
    for what in (
        "splits",
        "cuts",
        "is killed",
        "loses power",
        "is restored",
        "pauses",
        "sets the clock",
        "harms the disk",
    ):
        assert what in happened, what


def test_a_world_of_one_kind_of_fault_has_no_other() -> None:
    outcome = run(4, replace(SMALL, faults=(FaultKind.PARTITION,)), lines_kept=None)
    assert not outcome.failure, outcome.failure
    assert "splits" in "\n".join(outcome.lines)
    assert "is killed" not in "\n".join(outcome.lines)


# --- broken code is found out, by the rule that it breaks


def first_failure(options: Options, seeds: int = 30) -> Outcome:
    for seed in range(seeds):
        outcome = run(seed, options)
        if outcome.failure:
            return outcome
    raise AssertionError(f"{seeds} worlds passed")


def test_a_disk_that_lies_about_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "sync", lambda self: None)
    monkeypatch.setattr(Disk, "_sync", lambda self: None)
    assert first_failure(replace(SMALL, faults=(FaultKind.POWER_LOSS,))).rule == "nothing durable is lost"


def test_refs_that_are_not_superseded(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Registers.apply
    monkeypatch.setattr(Registers, "apply", lambda self, assign: apply(self, assign._replace(supersedes=())))
    assert first_failure(SMALL).rule == "the projection is the model's"


def test_news_that_nobody_is_told_and_no_anti_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    ignore: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    monkeypatch.setattr(Gossip, "push", ignore)
    monkeypatch.setattr(Gossip, "tick", lambda self, now: self._schedule_announcement(now))
    assert first_failure(replace(SMALL, faults=())).rule == "all agree once everything is mended"


def test_an_exception_from_within_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gossip, "tick", lambda self, now: 1 // 0)
    outcome = run(0, SMALL)
    assert outcome.rule == "no exception but the library's own"
    assert "ZeroDivisionError" in outcome.failure
