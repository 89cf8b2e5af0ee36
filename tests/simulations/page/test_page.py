"""The report page: right and readable for any run, and the picture says what was seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace as changed
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from crdtgraph import LocalError
from simulations import timeline
from simulations.observer import Heal, NodeSample, Observation
from simulations.page import page
from simulations.page.colours import moments
from simulations.page.paper import RIGHT, Axis, seconds, size
from simulations.runner import Outcome, run
from simulations.scenario import Expectation, Scenario, Topology
from simulations.timeline import AnyEvent, Partition
from tests.simulations.page.pages import SMALL, SVG, XHTML, bars, classes, parsed, part, sample, words

# The page


def test_every_machine_has_a_lane_and_all_end_in_one_colour(small: Outcome) -> None:
    root = parsed(small)
    lanes = [each for each in part(root, "lanes").iter(f"{SVG}g") if "lane" in classes(each)]
    assert [lane.find(f"{SVG}text").text for lane in lanes] == ["n0", "n1", "n2"]  # type: ignore[union-attr]
    ends = [each for lane in lanes for each in lane.iter(f"{SVG}path") if "end" in classes(each)]
    assert [classes(each) for each in ends] == [{"c0", "end"}] * 3
    assert len({lane.findall(f"{SVG}text")[1].text for lane in lanes}) == 1


def test_the_sides_of_a_split_have_two_colours_during_it(small: Outcome) -> None:
    assert small.seen is not None
    during = [each for each in moments(small.seen.samples) if 4 < each.at_s < 5]
    assert any(each.colours["n0"] not in (each.colours["n1"], each.colours["n2"]) for each in during)
    root = parsed(small)
    axis = Axis(small.simulated_s)
    (event,) = bars(root, "events")
    assert float(event.get("x", "")) == axis.x(2)
    assert float(event.get("x", "")) + float(event.get("width", "")) == pytest.approx(axis.x(5))
    assert "partition n0 | n1 n2" in words(part(root, "events"))
    (fence,) = (each for each in root.iter(f"{SVG}path") if "fence" in classes(each))
    assert fence.get("d", "").startswith(f"M{axis.x(2):g} ")
    assert len(part(root, "commits").findall(f"{SVG}path")) == 4, "all, the two sides, all again"
    assert "2 s 5 s A n0" in words(part(root, "splits"))


def test_every_heal_has_its_mark_with_its_seconds(small: Outcome) -> None:
    assert small.seen is not None
    root = parsed(small)
    heals = small.seen.heals
    assert len(bars(root, "heals-in-time")) == len(heals) == 2
    for heal in heals:
        assert heal.agreed_after_s is not None
        assert f"✓ {seconds(heal.agreed_after_s)}" in words(part(root, "heals-in-time"))
    assert len([*part(root, "heals").iter(f"{XHTML}tr")]) == 1 + len(heals)


def test_a_heal_lasts_until_all_agreed_or_to_the_end(small: Outcome) -> None:
    assert small.seen is not None
    heals = [Heal("partition", 2.0, 3.0, 500), Heal("kill", 4.0)]
    root = parsed(changed(small, seen=Observation(heals, small.seen.samples)))
    axis = Axis(small.simulated_s)
    agreed, never = bars(root, "heals-in-time")
    for bar, look, from_s, to_s in ((agreed, "heal", 2.0, 5.0), (never, "never", 4.0, small.simulated_s)):
        assert look in classes(bar)
        assert float(bar.get("x", "")) == axis.x(from_s)
        assert float(bar.get("width", "")) == pytest.approx(axis.x(to_s) - axis.x(from_s))
    assert "2 s partition 3 s 500 B 4 s kill never" in words(part(root, "heals"))


def test_the_page_says_all_numbers_and_how_to_run_it_again(small: Outcome) -> None:
    root = parsed(small)
    text = words(part(root, "numbers"))
    for number in (f"{small.commits:,}", f"{small.lost:,} lost", size(small.bytes_sent), small.trace_hash[:16]):
        assert number in text
    assert "crdtgraph simulate run small --seed 1" in words(part(root, "again"))
    assert 'event = "partition"' in words(part(root, "again"))
    assert "passed" in words(next(root.iter(f"{XHTML}h1")))
    assert not [each for each in root.iter() if each.get("id") in ("failure", "trace")]


def test_the_same_run_is_the_same_page_to_the_byte(small: Outcome) -> None:
    again = run(1, SMALL, observe=True)
    assert page(again, command="x") == page(small, command="x")


def test_the_page_needs_nothing_from_elsewhere(small: Outcome) -> None:
    text = page(small, command="x")
    assert not re.search(r"(src|href|@import|<script|<link)", text)
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {XHTML.strip("{}"), SVG.strip("{}")}
    assert all(each.startswith("url(#") for each in re.findall(r"url\([^)]*\)", text))


def test_a_failed_run_shows_the_rule_where_it_broke_and_what_came_before() -> None:
    outcome = run(1, replace(SMALL, expect=Expectation(commits_min=10**6)), observe=True)
    root = parsed(outcome)
    assert "failed" in words(next(root.iter(f"{XHTML}h1")))
    failure = words(part(root, "failure"))
    assert outcome.rule in failure
    assert "at least 1000000 were expected" in failure
    assert seconds(outcome.simulated_s) in failure
    (broken,) = (each for each in root.iter(f"{SVG}g") if "broken" in classes(each))
    assert broken.find(f"{SVG}path").get("d", "").startswith(f"M{RIGHT}")  # type: ignore[union-attr]
    assert words(part(root, "trace")).endswith(" ".join(outcome.lines[-1].split()))
    assert "not reached" in words(part(root, "numbers"))


def test_a_machine_that_is_down_or_paused_is_hatched() -> None:
    faults = (timeline.Kill(at_s=2, for_s=2, node="n1"), timeline.Pause(at_s=4, for_s=2, node="n2"))
    outcome = run(1, replace(SMALL, timeline=faults), observe=True)
    root = parsed(outcome)
    lanes = [each for each in part(root, "lanes").iter(f"{SVG}g") if "lane" in classes(each)]
    looks = [[classes(path) for path in lane.iter(f"{SVG}path")] for lane in lanes]
    assert {"paused"} in looks[2]
    assert not any({"paused"} in look for look in looks[:2])
    axis = Axis(outcome.simulated_s)
    down = next(path.get("d", "") for path in lanes[1].iter(f"{SVG}path") if "down" in classes(path))
    middle = axis.x(3)
    spans = [(float(left), float(right)) for left, right in re.findall(r"M([\d.]+) [\d.]+H([\d.]+)", down)]
    assert any(left < middle < right for left, right in spans)
    shades = [float(each.get("x", "")) for each in part(root, "shades")]
    assert shades == [axis.x(2), axis.x(4)]
    assert "n1, 3 s to" in words(part(root, "cells"))


def test_a_flapping_path_is_shaded_while_it_is_down(small: Outcome) -> None:
    flapping = timeline.Flapping(at_s=1, for_s=5, between=("n0", "n1"), down_s=1, up_s=1.5)
    root = parsed(changed(small, scenario=replace(SMALL, timeline=(flapping,))))
    axis = Axis(small.simulated_s)
    spans = [(float(each.get("x", "")), float(each.get("width", ""))) for each in part(root, "shades")]
    assert spans == [(axis.x(at_s), pytest.approx(axis.x(at_s + 1) - axis.x(at_s), abs=0.2)) for at_s in (1, 3.5)]


def test_text_from_a_scenario_or_a_trace_is_text() -> None:
    hostile = "<script>alert('x')</script> & \x00\x1b[31m \ud800\ufffe \"q\""
    outcome = run(1, replace(SMALL, name=hostile, about=hostile, duration_s=6), observe=True)
    failed = changed(outcome, failure=hostile, rule=hostile, lines=(hostile,))
    text = page(failed, command=hostile)
    assert "<script" not in text
    assert "alert(" in words(ElementTree.fromstring(text))


def test_a_run_that_nobody_watched_has_no_page(small: Outcome) -> None:
    with pytest.raises(LocalError, match="nobody watched"):
        page(changed(small, seen=None), command="x")


# Sizes


def made_up(small: Outcome, scenario: Scenario, *, digests: Sequence[str], heals: int = 1, end_s: float) -> Outcome:
    """A run of any size without running it: every machine goes through the digests, each at its own pace."""

    def samples(number: int) -> Iterator[NodeSample]:
        for step in range(500):
            yield sample(step * end_s / 500, digests[(number * step) % len(digests)])
        yield sample(end_s, digests[0])

    found = Observation(
        heals=[Heal("partition", each * end_s / heals, 0.5 if each % 2 else None, 1_000) for each in range(heals)],
        samples={name: [*samples(number)] for number, name in enumerate(scenario.names)},
    )
    return changed(small, scenario=scenario, seen=found, simulated_s=end_s)


def partitions(count: int, duration_s: float) -> tuple[AnyEvent, ...]:
    every_s = duration_s / count
    return tuple(
        Partition(at_s=number * every_s, for_s=every_s / 2, groups=(("n0",), ("n1",))) for number in range(count)
    )


@pytest.mark.parametrize(
    "nodes, duration_s, splits, heals",
    [
        (2, 10.0, 1, 1),
        (2, 3_000.0, 500, 500),
        (100, 60.0, 3, 4),
        (100, 3_000.0, 0, 0),
        pytest.param(500, 60.0, 1, 1, marks=pytest.mark.slow),
    ],
)
def test_a_world_of_any_size_has_a_page_of_a_size_that_a_browser_likes(
    small: Outcome, nodes: int, duration_s: float, splits: int, heals: int
) -> None:
    scenario = Scenario(
        nodes=nodes,
        duration_s=duration_s,
        topology=Topology.CHORDS,
        timeline=partitions(splits, duration_s) if splits else (),
    )
    outcome = made_up(small, scenario, digests="abcdefghijkl", heals=heals, end_s=duration_s * 1.01)
    text = page(outcome, command="x")
    assert len(text) < 5_000_000
    root = ElementTree.fromstring(text)
    lanes = [each for each in part(root, "lanes").iter(f"{SVG}g") if "lane" in classes(each)]
    assert len(lanes) == nodes
    assert len(bars(root, "events")) == splits
    assert len(bars(root, "heals-in-time")) == heals
    picture = next(root.iter(f"{SVG}svg"))
    width, height = (float(each) for each in picture.get("viewBox", "").split()[2:])
    assert height < 3_000
    for each in (*bars(root, "events"), *bars(root, "heals-in-time"), *part(root, "shades")):
        assert 0 <= float(each.get("x", "")) <= width
        assert 0 < float(each.get("width", "")) <= width
        assert 0 <= float(each.get("y", "")) <= height
