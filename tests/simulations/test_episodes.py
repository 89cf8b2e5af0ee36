"""The node's own record of a split against what was really done to the network, and a node that never sees the end."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

import simulations.world
from crdtgraph.episodes import Episode, read_episodes
from simulations.acquaintance import check_acquaintance
from simulations.files import shipped
from simulations.process import Process
from simulations.runner import run
from simulations.scenario import Scenario
from sync.protocol.episodes import Episodes

SIDES = (frozenset({"n0", "n1"}), frozenset({"n2", "n3"}))
CUT_US, HEAL_US = 10_000_000, 50_000_000


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Episode]]:
    """What every machine has in its store at the end of a run."""
    found: dict[str, list[Episode]] = {}

    async def check(processes: Mapping[str, Process], anti_entropy_s: float, news_s: float) -> None:
        await check_acquaintance(processes, anti_entropy_s, news_s)
        for name, process in processes.items():
            assert process.graph is not None
            found[name] = [episode for _, episode in read_episodes(process.graph.store)]

    monkeypatch.setattr(simulations.world, "check_acquaintance", check)
    return found


def clean_split() -> Scenario:
    return shipped()["clean-split"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_machine_has_the_split_that_it_lived_through(recorded: dict[str, list[Episode]], seed: int) -> None:
    outcome = run(seed, clean_split())
    assert not outcome.failure, outcome.failure
    counts = {}
    for name, episodes in recorded.items():
        [episode] = [each for each in episodes if each.kind == "split"]
        sides = tuple(frozenset(each.name for each in side) for side in (episode.ours, episode.theirs))
        assert sides == (SIDES if name in SIDES[0] else SIDES[::-1]), name
        assert episode.ended
        assert episode.to_us is not None
        assert episode.conflicts
        # A dead link is noticed by its silence, and dialled again a little after it is whole.
        assert episode.to_us - episode.from_us < HEAL_US - CUT_US + 15_000_000
        counts[name] = episode.commits_ours, episode.commits_theirs
    assert sum(counts["n0"]) > 10
    # Whoever had it all before its own link was back knows less exactly what it had when the link died.
    whole = counts["n0"]
    for mine, others in (counts["n1"], counts["n2"][::-1], counts["n3"][::-1]):
        assert abs(mine - whole[0]) <= 3
        assert abs(others - whole[1]) <= 3


def test_the_record_outlives_machines_that_lose_power_in_mid_split(recorded: dict[str, list[Episode]]) -> None:
    from simulations.timeline import Kill

    scenario = clean_split()
    killed = replace(scenario, timeline=(*scenario.timeline, Kill(at_s=45, for_s=1, node="n0")))
    outcome = run(1, killed)
    assert not outcome.failure, outcome.failure
    [episode] = [each for each in recorded["n0"] if each.kind == "split"]
    assert {each.name for each in episode.theirs} == SIDES[1]


@pytest.mark.slow
def test_without_faults_there_are_no_episodes(recorded: dict[str, list[Episode]]) -> None:
    for seed in range(5):
        outcome = run(seed, replace(clean_split(), timeline=()))
        assert not outcome.failure, outcome.failure
        assert set(map(len, recorded.values())) == {0}


def test_a_node_that_never_sees_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Episodes, "compare", lambda *_: None)
    monkeypatch.setattr(Episodes, "look", lambda *_: None)
    outcome = run(1, clean_split())
    assert outcome.rule == "every episode ends"
    assert "still takes" in outcome.failure
