"""Whole worlds: many pass, the same seed is the same run, watched or not, and broken code is found out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from msgspec.structs import replace

from crdtgraph.registers import Registers
from simulations import timeline
from simulations.disk import Disk
from simulations.files import read
from simulations.runner import Outcome, run
from simulations.scenario import Clock, Expectation, Scenario, Topology, Workload
from simulations.timeline import AnyEvent
from simulations.wire import WireProperties
from sync.protocol.gossip import Gossip
from sync.protocol.messages import Summary
from sync.protocol.outbox import Due
from sync.protocol.peerstate import Peer

ROOT = Path(__file__).resolve().parents[2]
REGRESSIONS = sorted((Path(__file__).parent / "regressions").glob("*.toml"))
"""What was once wrong: each file is a world that showed it, and says in a comment what it was."""

SMALL = Scenario(nodes=3, duration_s=20.0, workload=Workload(operations_per_s=1.0))


def passes(scenario: Scenario, seed: int = 1) -> Outcome:
    outcome = run(seed, scenario, lines_kept=None, observe=True)
    assert not outcome.failure, "\n".join((*outcome.lines[-50:], outcome.failure))
    return outcome


def happened(outcome: Outcome, *what: str) -> bool:
    """Whether one line of the trace has all these words."""
    return any(all(each in line for each in what) for line in outcome.lines)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_worlds_pass(seed: int) -> None:
    outcome = run(seed)
    assert not outcome.failure, "\n".join((*outcome.lines[-50:], outcome.failure))


@pytest.mark.parametrize("path", REGRESSIONS, ids=lambda path: path.stem)
def test_what_once_failed_passes(path: Path) -> None:
    scenario = read(path)
    outcome = run(scenario.seed, scenario)
    assert not outcome.failure, outcome.failure


SCRIPT = """
import sys
from simulations.runner import run
print(*(run(seed).trace_hash for seed in map(int, sys.argv[1:])))
"""


@pytest.mark.slow
def test_the_same_seed_is_the_same_run_in_every_process() -> None:
    seeds = [str(seed) for seed in range(20)]
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


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_is_watched_is_the_run_that_was_not(seed: int) -> None:
    assert run(seed, observe=True).trace_hash == run(seed).trace_hash


@pytest.mark.parametrize("topology", Topology)
def test_every_topology_connects_all_and_heals(topology: Topology) -> None:
    split = timeline.Partition(at_s=5, for_s=8, groups=(("n0", "n1"), ("n2", "n3", "n4")))
    outcome = passes(replace(SMALL, topology=topology, nodes=5, timeline=(split,)))
    assert outcome.commits > 20


EVENTS: dict[str, tuple[AnyEvent, tuple[str, ...]]] = {
    "partition": (timeline.Partition(at_s=5, for_s=5, groups=(("n0",), ("n1", "n2"))), ("nemesis", "partition")),
    "one-way cut": (timeline.OneWayCut(at_s=5, for_s=5, source="n0", target="n1"), ("nemesis", "one-way cut")),
    "flapping": (timeline.Flapping(at_s=5, for_s=8, between=("n0", "n1")), ("nemesis", "flapping")),
    "reset": (timeline.Reset(at_s=5, node="n0"), ("hears", "reset")),
    "stall": (timeline.Stall(at_s=5, for_s=8, node="n0"), ("nemesis", "stall is over")),
    "kill": (timeline.Kill(at_s=5, for_s=3, node="n0"), ("n0", "is killed")),
    "power loss": (timeline.PowerLoss(at_s=5, for_s=3, node="n0"), ("n0", "loses power")),
    "crash in a write": (timeline.CrashInWrite(at_s=2, for_s=15, node="n0"), ("n0", "is killed")),
    "restart": (timeline.Restart(at_s=5, for_s=3, node="n0"), ("n0", "stops")),
    "pause": (timeline.Pause(at_s=5, for_s=8, node="n0"), ("nemesis", "pause is over")),
    "starvation": (timeline.Starvation(at_s=5, for_s=8, node="n0", slice_s=2), ("nemesis", "starvation is over")),
    "clock jump": (timeline.ClockJump(at_s=5, node="n0", by_s=-3600), ("nemesis", "clock jump")),
    "disk errors": (timeline.DiskErrors(at_s=2, for_s=10, node="n0"), ("n0", "failed to")),
    "disk full": (timeline.DiskFull(at_s=2, for_s=10, node="n0"), ("n0", "is full")),
    "restored backup": (timeline.Backup(at_s=2, for_s=8, node="n0"), ("n0", "is restored")),
    "join": (timeline.Join(at_s=10, node="n0"), ("10.", "n0", "starts")),
    "do": (timeline.Do(at_s=5, for_s=2, nodes=("n0",), operation="merge", count=4, ref="main"), ("n0", "merge")),
    "import": (timeline.ImportGit(at_s=5, node="n0", commits=1_500), ("n0", "import", "the last 500")),
}


@pytest.mark.parametrize("event, shown", EVENTS.values(), ids=EVENTS.keys())
def test_every_event_happens_and_is_survived(event: AnyEvent, shown: tuple[str, ...]) -> None:
    outcome = passes(replace(SMALL, timeline=(event,)))
    assert happened(outcome, *shown)


@pytest.mark.parametrize("moment", get_args(timeline.Moment))
def test_a_machine_loses_power_at_the_moment_that_a_scenario_says(moment: timeline.Moment) -> None:
    crash = timeline.CrashInWrite(at_s=5, for_s=10, node="n0", moment=moment, loses_power=True)
    fill = timeline.Do(at_s=1, for_s=3, nodes=("n0",), operation="commit_on_ref", count=60)
    compact = timeline.Do(at_s=6, nodes=("n0",), operation="compact")
    assert happened(passes(replace(SMALL, timeline=(fill, crash, compact))), "n0", "loses power")


def test_there_is_an_event_of_every_kind_in_these_tests() -> None:
    assert {event.kind for event, _ in EVENTS.values()} == set(EVENTS)
    assert {type(event) for event, _ in EVENTS.values()} == set(timeline.AnyEvent.__args__)


def test_cuts_that_overlap_are_undone_one_by_one() -> None:
    early = timeline.Partition(at_s=2, for_s=6, groups=(("n0",), ("n1",)))
    late = timeline.Partition(at_s=4, for_s=12, groups=(("n0",), ("n1",)))
    quiet = Workload(operations_per_s=0)
    deed = timeline.Do(at_s=9, nodes=("n0",), operation="commit")
    scenario = replace(SMALL, nodes=2, workload=quiet, timeline=(early, late, deed))
    outcome = passes(scenario)
    assert outcome.seen is not None
    commits_at = {sample.at_s: sample.commits for sample in outcome.seen.samples["n1"]}
    assert max((at for at, commits in commits_at.items() if not commits)) < 9
    assert min((at for at, commits in commits_at.items() if commits)) >= 16


def test_a_machine_that_two_events_keep_down_returns_after_the_second() -> None:
    events = (timeline.Kill(at_s=2, for_s=5, node="n0"), timeline.PowerLoss(at_s=3, for_s=10, node="n0"))
    outcome = passes(replace(SMALL, timeline=events))
    starts = [float(line.split()[0]) for line in outcome.lines if " n0 starts" in line]
    assert [round(start) for start in starts] == [0, 13]


def test_what_an_observer_sees() -> None:
    split = timeline.Partition(at_s=5, for_s=10, groups=(("n0",), ("n1", "n2")))
    outcome = passes(replace(SMALL, timeline=(split,)))
    assert outcome.seen is not None
    healed, ended = outcome.seen.heals
    assert (healed.what, healed.at_s) == ("partition", 15.0)
    assert healed.agreed_after_s is not None
    assert 0 < healed.agreed_after_s < 15
    assert healed.bytes is not None
    assert 0 < healed.bytes < outcome.bytes_sent
    assert ended.at_s == 20.0
    digests = {samples[-1].digest for samples in outcome.seen.samples.values()}
    assert len(digests) == 1
    assert digests != {""}


def test_clocks_differ_as_a_scenario_says() -> None:
    clocks = (Clock(node="n0", offset_s=7200.0), Clock(node="n1", offset_s=-7200.0))
    assert passes(replace(SMALL, clocks=clocks)).commits > 20


def test_a_batch_is_as_large_as_a_scenario_says() -> None:
    deed = timeline.Do(at_s=5, nodes=("n0",), operation="commit_many", count=3, commits=70)
    outcome = passes(replace(SMALL, workload=Workload(operations_per_s=0), timeline=(deed,)))
    assert outcome.commits == 210
    assert sum(line.endswith("commit_many 70") for line in outcome.lines) == 3


def test_what_is_ordered_several_times_is_spread_evenly() -> None:
    deed = timeline.Do(at_s=2, for_s=10, nodes=("n0",), operation="commit", count=4)
    outcome = passes(replace(SMALL, workload=Workload(operations_per_s=0), timeline=(deed,)))
    commits = [float(line.split()[0]) for line in outcome.lines if " n0 commit " in line]
    assert commits == [2.0, 4.5, 7.0, 9.5]


@pytest.mark.parametrize(
    "expect, words",
    [
        (Expectation(commits_min=10**6), "at least 1000000"),
        (Expectation(conflicted=("nowhere",)), "'nowhere'"),
        (Expectation(agrees_within_s=0.0), "not within 0 s"),
    ],
    ids=["commits", "conflicts", "time"],
)
def test_what_a_scenario_expects_must_hold(expect: Expectation, words: str) -> None:
    split = timeline.Partition(at_s=5, for_s=15, groups=(("n0",), ("n1", "n2")))
    outcome = run(1, replace(SMALL, timeline=(split,), expect=expect))
    assert words in outcome.failure


def test_commits_that_die_with_a_process_are_counted_as_lost_and_may_be_forbidden() -> None:
    deed = timeline.Do(at_s=5, nodes=("n0",), operation="commit", count=20)
    crash = timeline.PowerLoss(at_s=5.02, for_s=2, node="n0")
    quiet = replace(SMALL, workload=Workload(operations_per_s=0), timeline=(deed, crash))
    outcome = run(3, quiet)
    assert not outcome.failure
    assert outcome.lost > 0
    assert "are lost" in run(3, replace(quiet, expect=Expectation(lost_max=0))).failure


# --- broken code is found out, by the rule that it breaks


def first_failure(scenario: Scenario, seeds: int = 30) -> Outcome:
    for seed in range(seeds):
        outcome = run(seed, scenario)
        if outcome.failure:
            return outcome
    raise AssertionError(f"{seeds} worlds passed")


def test_a_disk_that_lies_about_syncing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Disk, "sync", lambda self: None)
    monkeypatch.setattr(Disk, "_sync", lambda self: None)
    event = timeline.PowerLoss(at_s=10, for_s=3, node="n0")
    assert first_failure(replace(SMALL, timeline=(event,))).rule == "nothing durable is lost"


def test_refs_that_are_not_superseded(monkeypatch: pytest.MonkeyPatch) -> None:
    apply = Registers.apply
    monkeypatch.setattr(Registers, "apply", lambda self, assign: apply(self, assign._replace(supersedes=())))
    assert first_failure(SMALL).rule == "the projection is the model's"


def test_news_that_nobody_is_told_and_no_anti_entropy(monkeypatch: pytest.MonkeyPatch) -> None:
    ignore: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    monkeypatch.setattr(Gossip, "push", ignore)
    monkeypatch.setattr(Gossip, "tick", lambda self, now: self._schedule_announcement(now))
    assert first_failure(SMALL).rule == "all agree once everything is mended"


def test_an_exception_from_within_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gossip, "tick", lambda self, now: 1 // 0)
    outcome = run(0, SMALL)
    assert outcome.rule == "no exception but the library's own"
    assert "ZeroDivisionError" in outcome.failure


def test_a_failure_while_a_process_is_suspended_ends_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = Gossip.tick

    def tick(self: Gossip, now: float) -> None:
        ticks(self, now)
        assert now < 10

    monkeypatch.setattr(Gossip, "tick", tick)
    outcome = run(1, replace(SMALL, timeline=(timeline.Pause(at_s=2, for_s=100, node="n0"),)))
    assert "AssertionError" in outcome.failure


@pytest.mark.slow
def test_who_agrees_and_talks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = WireProperties(latency_s=0.2)
    scenario = replace(SMALL, nodes=2, wire=slow, expect=Expectation(quiet_s=30.0))
    passes(scenario)
    receive = Gossip._receive_summary

    def answer(self: Gossip, peer: Peer, summary: Summary, now: float) -> None:
        receive(self, peer, summary, now)
        peer.outbox.summarize(Due.TELL)

    monkeypatch.setattr(Gossip, "_receive_summary", answer)
    assert run(1, scenario).rule == "agreement is quiet"
