"""The two strips: what happened above the lanes, and below them how long agreement took after each heal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulations.observer import Heal
from simulations.page.events import describe, details, is_deed
from simulations.page.packing import CHARACTER_WIDTH, Stretch, pack
from simulations.page.paper import LEFT, RIGHT, WIDTH, Axis, seconds, size
from simulations.scenario import Scenario

ROW_HEIGHT = 17.0
BAR_HEIGHT = 13.0
ROWS_MAX = 16
MANY = 80
ROWS_OF_MANY_MAX = 6
"""With more than MANY bars most labels have no place whatever the number of rows, and few rows are easier to read."""
INSTANT_WIDTH = 3.0
CROWD_HEIGHT = 9.0
"""Of the row of those for whose labels there is no room."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Something that lasts, in a row. Without a label it is in the last row, over others."""

    look: str
    x: float
    y: float
    width: float
    height: float
    title: str
    label: str = ""
    label_x: float = 0.0
    label_y: float = 0.0


@dataclass(frozen=True, slots=True)
class Strip:
    """Bars in rows from `top` to `bottom`; `crowded` of them are in the last row, without a label."""

    top: float
    bottom: float
    bars: list[Bar]
    crowded: int


@dataclass(frozen=True, slots=True)
class _Item:
    from_s: float
    to_s: float
    label: str
    title: str
    look: str


def event_strip(scenario: Scenario, axis: Axis, top: float) -> Strip:
    """Everything in the timeline that began before the end."""
    items = [
        _Item(
            event.at_s,
            min(event.until_s, scenario.duration_s),
            describe(event),
            f"{describe(event)}\n{details(event)}",
            "deed" if is_deed(event) else "fault",
        )
        for event in scenario.timeline
        if event.at_s <= axis.end_s
    ]
    return _strip(items, axis, top)


def heal_strip(heals: Sequence[Heal], axis: Axis, top: float) -> Strip:
    """Every heal, up to the moment at which all had what was durable anywhere when it came."""
    items = []
    for heal in heals:
        what = f"after {heal.what}"
        if heal.agreed_after_s is None:
            title = f"{what}, at {seconds(heal.at_s)}: not all had everything before the end"
            items.append(_Item(heal.at_s, axis.end_s, "never", title, "never"))
        else:
            title = f"{what}, at {seconds(heal.at_s)}: all had everything {seconds(heal.agreed_after_s)} later"
            title += f", for {size(heal.bytes or 0)} that all machines sent"
            until_s = heal.at_s + heal.agreed_after_s
            items.append(_Item(heal.at_s, until_s, f"✓ {seconds(heal.agreed_after_s)}", title, "heal"))
    return _strip(items, axis, top)


def _strip(items: Sequence[_Item], axis: Axis, top: float) -> Strip:
    spans = [(axis.x(each.from_s), max(axis.x(each.to_s), axis.x(each.from_s) + INSTANT_WIDTH)) for each in items]
    stretches = [Stretch(x, right, each.label) for (x, right), each in zip(spans, items, strict=True)]
    rows_max = ROWS_MAX if len(items) <= MANY else ROWS_OF_MANY_MAX
    places = pack(stretches, rows_max=rows_max, left_end=LEFT, right_end=WIDTH - CHARACTER_WIDTH)
    rows = max((place.row + 1 for place in places if place is not None), default=0)
    crowd_y = top + rows * ROW_HEIGHT
    bars = []
    for (x, right), item, place in zip(spans, items, places, strict=True):
        width = round(min(right, RIGHT + INSTANT_WIDTH) - x, 2)
        if place is None:
            bars.append(Bar(item.look, x, crowd_y, width, CROWD_HEIGHT, item.title))
        else:
            y = top + place.row * ROW_HEIGHT
            label_x = round(place.label_left, 2)
            bars.append(Bar(item.look, x, y, width, BAR_HEIGHT, item.title, item.label, label_x, y + BAR_HEIGHT - 3))
    crowded = places.count(None)
    return Strip(top, crowd_y + (ROW_HEIGHT if crowded else 0), bars, crowded)
