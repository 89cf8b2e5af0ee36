"""The shipped scenarios: each passes, and each really contains the hazard that it is about.

A scenario whose hazard does not strike passes for nothing. So each has a check in `hazards.py` of what was observed
of a run: that sides really differed and both grew, that commits really were forgotten, that a queue really was dropped.
"""

from __future__ import annotations

import re
from importlib.resources.abc import Traversable

import pytest
import trio
from msgspec.structs import replace

from simulations import timeline
from simulations.clock import SimClock
from simulations.files import SHIPPED, shipped
from simulations.runner import run
from simulations.scenario import Expectation, Scenario
from sync.protocol.outbox import Outbox
from tests.simulations.hazards import HAZARDS
from tests.simulations.spied_runs import Run, Spy

LONG = ("long-split", "large-cluster", "everything-at-once")
"""Scenarios that take more than a few seconds."""
OTHER_SEEDS = range(1, 4)
OTHER_DICE = {("amnesia", 2): 6, ("amnesia", 3): 7}
"""Instead of these: where the power happens to fail just after an fsync, nothing is forgotten."""


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Spy:
    spy = Spy()
    push, now_us = Outbox.push, SimClock.now_us

    def counted(outbox: Outbox, *arguments: object) -> bool:
        is_queued = push(outbox, *arguments)  # type: ignore[arg-type]
        spy.drops += not is_queued
        return is_queued

    def noted(clock: SimClock) -> int:
        read_us = now_us(clock)
        spy.clocks_s[clock] = read_us / 1e6 - trio.current_time()
        return read_us

    monkeypatch.setattr(Outbox, "push", counted)
    monkeypatch.setattr(SimClock, "now_us", noted)
    return spy


def live(scenario: Scenario, seed: int, spy: Spy) -> Run:
    outcome = run(seed, scenario, lines_kept=None, observe=True)
    assert not outcome.failure, "\n".join((*outcome.lines[-50:], outcome.failure))
    assert outcome.seen is not None
    return Run(outcome, outcome.seen, spy)


QUICK = [name for name in shipped() if name not in LONG]


@pytest.mark.parametrize("name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in LONG)])
def test_the_hazard_strikes_and_is_survived(name: str, spy: Spy) -> None:
    HAZARDS[name](live(shipped()[name], shipped()[name].seed, spy))


@pytest.mark.slow
@pytest.mark.parametrize("seed", OTHER_SEEDS)
@pytest.mark.parametrize("name", QUICK)
def test_it_does_so_with_other_dice(name: str, seed: int, spy: Spy) -> None:
    HAZARDS[name](live(shipped()[name], OTHER_DICE.get((name, seed), seed), spy))


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_without_its_faults_the_check_fails(name: str, spy: Spy) -> None:
    scenario = shipped()[name]
    deeds = tuple(event for event in scenario.timeline if isinstance(event, timeline.Do | timeline.ImportGit))
    calm = live(replace(scenario, timeline=deeds, links=(), clocks=(), expect=Expectation()), scenario.seed, spy)
    with pytest.raises((AssertionError, ValueError, IndexError)):
        HAZARDS[name](calm)


def test_every_scenario_has_a_check() -> None:
    assert set(HAZARDS) == set(shipped())


@pytest.mark.parametrize("file", sorted(SHIPPED.iterdir(), key=lambda each: each.name), ids=lambda each: each.name)
def test_a_file_is_short_and_says_what_it_is_about(file: Traversable) -> None:
    text = file.read_text(encoding="utf-8")
    scenario = shipped()[file.name.removesuffix(".toml")]
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*\.toml", file.name)
    assert text.startswith("# ")
    assert max(len(line) for line in text.splitlines()) <= 120
    assert 40 < len(scenario.about) <= 90
    assert not re.search("^name =", text, re.MULTILINE)
    assert scenario.expect.agrees_within_s is not None
    assert scenario.expect.agrees_within_s <= 15
    assert scenario.expect.commits_min > 0
