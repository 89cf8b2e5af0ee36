"""The report page: right and readable for any run, and the picture says what was seen."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace as changed
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from crdtgraph import LocalError
from simulations import timeline
from simulations.observer import Heal, NodeSample, NodeState, Observation
from simulations.page import page
from simulations.page.colours import COLOURS, TOO_MANY, moments
from simulations.page.events import LABEL_MAX, describe, details
from simulations.page.packing import CHARACTER_WIDTH, Stretch, pack
from simulations.page.paper import LEFT, RIGHT, Axis, seconds, size
from simulations.page.sides import eras
from simulations.runner import Outcome, run
from simulations.scenario import Expectation, Scenario, Topology, Workload
from simulations.swarm import draw
from simulations.timeline import AnyEvent, Partition

XHTML, SVG = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/2000/svg}"
SPLIT = Partition(at_s=2, for_s=3, groups=(("n0",), ("n1", "n2")))
SMALL = Scenario(name="small", nodes=3, duration_s=8, workload=Workload(operations_per_s=1.0), timeline=(SPLIT,))


@pytest.fixture(scope="module")
def small() -> Outcome:
    return run(1, SMALL, observe=True)


def parsed(outcome: Outcome) -> ElementTree.Element:
    return ElementTree.fromstring(page(outcome, command="crdtgraph simulate run small --seed 1"))


def part(root: ElementTree.Element, name: str) -> ElementTree.Element:
    return next(each for each in root.iter() if each.get("id") == name)


def words(element: ElementTree.Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def classes(element: ElementTree.Element) -> set[str]:
    return set(element.get("class", "").split())


def bars(root: ElementTree.Element, strip: str) -> list[ElementTree.Element]:
    return [each for each in part(root, strip).iter(f"{SVG}rect") if "bar" in classes(each)]


# Colours


def sample(at_s: float, digest: str, state: NodeState = NodeState.UP) -> NodeSample:
    return NodeSample(at_s, state, digest if state is not NodeState.DOWN else "", commits=int(at_s), heads=1)


def seen(*columns: str) -> dict[str, list[NodeSample]]:
    """What was seen second by second; each machine shows one letter, and a blank if it is down."""
    found: dict[str, list[NodeSample]] = {f"n{number}": [] for number in range(len(columns[0]))}
    for at_s, column in enumerate(columns):
        for name, digest in zip(found, column, strict=True):
            found[name].append(sample(at_s, digest, NodeState.DOWN if digest == " " else NodeState.UP))
    return found


def colours(*columns: str) -> list[list[int | None]]:
    return [[*each.colours.values()] for each in moments(seen(*columns))]


@given(st.lists(st.text("abcdefghijkl ", min_size=12, max_size=12), min_size=1, max_size=8))
def test_equal_digests_and_only_they_have_equal_colours(columns: list[str]) -> None:
    for column, coloured in zip(columns, colours(*columns), strict=True):
        for digest, colour in zip(column, coloured, strict=True):
            assert (colour is None) == (digest == " ")
            for other, other_colour in zip(column, coloured, strict=True):
                if " " not in (digest, other) and colour != TOO_MANY:
                    assert (colour == other_colour) == (digest == other)
        assert (TOO_MANY in coloured) == (len({*column} - {" "}) > COLOURS)


def test_where_all_agree_all_is_of_the_first_colour() -> None:
    assert colours("aab", "ccc", "d d") == [[0, 0, 1], [0, 0, 0], [0, None, 0]]


def test_a_side_keeps_its_colour_while_its_digest_moves_on() -> None:
    assert colours("aaaa", "bbcc", "ddcc", "ddee", "ffgg") == [[0, 0, 0, 0], *[[0, 0, 1, 1]] * 4]


def test_a_side_of_two_has_its_old_colour_again_when_one_of_them_was_ahead_for_a_moment() -> None:
    assert colours("aabbcc", "aaaabc", "aaaacc")[1:] == [[0, 0, 0, 0, 2, 1], [0, 0, 0, 0, 2, 2]]


def test_the_larger_part_of_a_side_keeps_its_colour() -> None:
    assert colours("aaabb", "caabb", "cccbb")[1:] == [[2, 0, 0, 1, 1], [0, 0, 0, 1, 1]]


# Labels


@given(
    st.lists(st.tuples(st.floats(LEFT, RIGHT), st.floats(0, 300), st.integers(1, 30)), min_size=1, max_size=60),
    st.integers(1, 8),
)
def test_labels_and_stretches_never_meet(given_stretches: list[tuple[float, float, int]], rows_max: int) -> None:
    stretches = [Stretch(left, min(RIGHT, left + width), "x" * count) for left, width, count in given_stretches]
    places = pack(stretches, rows_max=rows_max, left_end=LEFT, right_end=RIGHT)
    taken: dict[int, list[tuple[float, float]]] = {}
    for stretch, place in zip(stretches, places, strict=True):
        if place is not None:
            assert place.row < rows_max
            assert place.label_left >= LEFT
            label_right = place.label_left + len(stretch.label) * CHARACTER_WIDTH
            span = (min(stretch.left, place.label_left), max(stretch.right, label_right))
            assert all(span[1] < left or right < span[0] for left, right in taken.get(place.row, []))
            taken.setdefault(place.row, []).append(span)
    assert places[min(range(len(stretches)), key=lambda each: stretches[each].left)] is not None


def test_what_has_room_is_in_the_first_row() -> None:
    stretches = [Stretch(LEFT + 200 * number, LEFT + 200 * number + 100, "label") for number in range(4)]
    places = pack(stretches, rows_max=3, left_end=LEFT, right_end=RIGHT)
    assert [place.row for place in places if place is not None] == [0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(40))
def test_every_event_has_a_short_label_and_details(seed: int) -> None:
    for event in draw(seed).timeline:
        assert len(describe(event)) <= LABEL_MAX
        assert seconds(event.at_s) in details(event)


@pytest.mark.parametrize(
    "event, label",
    [
        (SPLIT, "partition n0 | n1 n2"),
        (timeline.OneWayCut(at_s=1, for_s=1, source="n0", target="n1"), "cut n0 → n1"),
        (timeline.Flapping(at_s=1, for_s=1, between=("n0", "n1")), "flapping n0 ↔ n1"),
        (timeline.ClockJump(at_s=1, node="n0", by_s=-90), "clock of n0 90.0 s back"),
        (timeline.Do(at_s=1, nodes=("n0", "n1"), operation="merge", count=5), "merge 5 times on n0 n1"),
        (timeline.Do(at_s=1, nodes=tuple(f"n{n}" for n in range(9)), operation="merge"), "merge on n0-n8"),
        (
            Partition(at_s=1, for_s=1, groups=(("n0", "n2", "n4"), ("n1", "n9", "n10", "n11"))),
            "partition n0 n2 n4 | n1 n9-n11",
        ),
        (timeline.ImportGit(at_s=1, node="n0", commits=2_000), "import of 2,000 on n0"),
        (timeline.PowerLoss(at_s=1, for_s=1, node="n2"), "power loss n2"),
    ],
)
def test_an_event_in_words(event: AnyEvent, label: str) -> None:
    assert describe(event) == label


# The axis and numbers


@pytest.mark.parametrize("end_s", [0.0, 0.004, 1.0, 10.0, 60.25, 3_000.0, 99_999.0])
def test_the_axis_has_round_seconds_from_left_to_right(end_s: float) -> None:
    ticks = [*Axis(end_s).ticks()]
    assert ticks[0].x == LEFT
    assert ticks[0].label == "0"
    assert len(ticks) <= 13
    assert len({tick.label for tick in ticks}) == len(ticks)
    assert [tick.x for tick in ticks] == sorted(tick.x for tick in ticks)
    assert all(LEFT <= tick.x <= RIGHT for tick in ticks)


@pytest.mark.parametrize(
    "value, text",
    [(0, "0 s"), (0.0042, "4.2 ms"), (0.748, "748 ms"), (5.25, "5.25 s"), (60.24, "60.2 s"), (3_000.4, "3,000 s")],
)
def test_seconds(value: float, text: str) -> None:
    assert seconds(value) == text


@pytest.mark.parametrize("value, text", [(0, "0 B"), (999, "999 B"), (62_841, "62.8 kB"), (4_200_000_000, "4.2 GB")])
def test_sizes(value: int, text: str) -> None:
    assert size(value) == text


# Sides


def sides(scenario: Scenario, end_s: float = 60.0) -> list[tuple[float, float, list[str]]]:
    return [
        (each.from_s, each.to_s, ["".join(side.nodes) for side in each.sides]) for each in eras(scenario, [], end_s)
    ]


def test_partitions_that_overlap_cut_into_what_is_left_of_each() -> None:
    first = Partition(at_s=10, for_s=20, groups=(("n0", "n1"), ("n2", "n3")))
    second = Partition(at_s=20, for_s=20, groups=(("n0", "n2"), ("n1", "n3")))
    assert sides(Scenario(nodes=4, timeline=(first, second))) == [
        (0, 10, ["n0n1n2n3"]),
        (10, 20, ["n0n1", "n2n3"]),
        (20, 30, ["n0", "n1", "n2", "n3"]),
        (30, 40, ["n0n2", "n1n3"]),
        (40, 60, ["n0n1n2n3"]),
    ]


def test_who_is_connected_only_through_others_is_cut_off_with_them() -> None:
    middle = Partition(at_s=10, for_s=10, groups=(("n1",), ("n0", "n2")))
    assert sides(Scenario(nodes=3, topology=Topology.LINE, timeline=(middle,)))[1][2] == ["n0", "n1", "n2"]
    assert sides(Scenario(nodes=3, timeline=(middle,)))[1][2] == ["n0n2", "n1"]


def test_a_machine_in_no_group_is_with_nobody() -> None:
    scenario = Scenario(nodes=4, timeline=(Partition(at_s=10, for_s=10, groups=(("n0", "n1"),)),))
    assert sides(scenario)[1][2] == ["n0n1", "n2", "n3"]


def test_the_planned_end_mends_a_split_and_the_end_of_a_run_cuts_it_short() -> None:
    scenario = Scenario(nodes=2, duration_s=50, timeline=(Partition(at_s=40, for_s=99, groups=(("n0",), ("n1",))),))
    assert sides(scenario)[1:] == [(40, 50, ["n0", "n1"]), (50, 60, ["n0n1"])]
    assert sides(scenario, 45.0)[1:] == [(40, 45, ["n0", "n1"])]
    assert sides(scenario, 40.0) == [(0, 40, ["n0n1"])]


def test_a_side_has_what_any_of_its_machines_shows_from_the_cut_to_the_heal() -> None:
    found = {
        "n0": [NodeSample(0, NodeState.UP, "a", 5, 1), NodeSample(3, NodeState.UP, "b", 9, 4)],
        "n1": [NodeSample(0, NodeState.UP, "a", 5, 1), NodeSample(4, NodeState.DOWN)],
        "n2": [NodeSample(0, NodeState.UP, "a", 5, 1), NodeSample(4.5, NodeState.UP, "c", 6, 2)],
    }
    split = eras(SMALL, [*moments(found)], 8.0)[1]
    assert [[(each.commits, each.heads) for each in side.points] for side in split.sides] == [
        [(5, 1), (9, 4)],
        [(5, 1), (6, 2)],
    ]
    assert split.sides[0].points[0].at_s == split.from_s == 2


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
