"""Labels, the axis and numbers on the report page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulations import timeline
from simulations.page.events import LABEL_MAX, describe, details
from simulations.page.packing import CHARACTER_WIDTH, Stretch, pack
from simulations.page.paper import LEFT, RIGHT, Axis, seconds, size
from simulations.swarm import draw
from simulations.timeline import AnyEvent, Partition
from tests.simulations.page.pages import SPLIT

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
