"""The picture of a run, laid out from top to bottom: events, lanes, the time axis, heals, heads and commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from simulations.observer import Observation
from simulations.page.charts import Chart, charts
from simulations.page.colours import Moment
from simulations.page.lanes import Lane, Letter, Shade, fences, lane_height, lanes, letters, shades
from simulations.page.paper import LEFT, RIGHT, WIDTH, Axis, Tick
from simulations.page.sides import Era
from simulations.page.strips import Strip, event_strip, heal_strip
from simulations.scenario import Scenario

TITLE_HEIGHT = 20.0
GAP = 14.0
AXIS_HEIGHT = 26.0
FENCE_MAX = 2.4


@dataclass(frozen=True, slots=True)
class Picture:
    """Where everything is. The y of a line of text is its base line.

    Args:
        mended_x: where the planned end is, at which every fault is undone; None if the run did not get there.
        broken_x: where a rule was broken, if one was.
    """

    width: float
    height: float
    left: float
    right: float
    ticks: list[Tick]
    events: Strip
    lanes: list[Lane]
    lanes_bottom: float
    shades: list[Shade]
    fences: str
    fence_width: float
    letters: list[Letter]
    heals: Strip
    charts: list[Chart]
    mended_x: float | None
    broken_x: float | None


def draw(
    scenario: Scenario, seen: Observation, moments: Sequence[Moment], eras: Sequence[Era], end_s: float, *, failed: bool
) -> Picture:
    """Lay out what was seen of a run that ended after `end_s`."""
    axis = Axis(end_s)
    events = event_strip(scenario, axis, TITLE_HEIGHT)
    top = events.bottom + GAP
    bottom = top + lane_height(scenario.nodes) * scenario.nodes
    heals = heal_strip(seen.heals, axis, bottom + AXIS_HEIGHT + TITLE_HEIGHT)
    below = charts(eras, axis, heals.bottom + GAP + TITLE_HEIGHT, GAP + TITLE_HEIGHT)
    return Picture(
        width=WIDTH,
        height=round(below[-1].y + below[-1].height + GAP, 1),
        left=LEFT,
        right=RIGHT,
        ticks=[*axis.ticks()],
        events=events,
        lanes=lanes(scenario, moments, axis, top),
        lanes_bottom=round(bottom, 2),
        shades=[*shades(scenario, axis, top)],
        fences=fences(scenario, eras, axis, top),
        fence_width=round(min(FENCE_MAX, lane_height(scenario.nodes) / 5), 2),
        letters=[*letters(scenario, eras, axis, top)],
        heals=heals,
        charts=below,
        mended_x=axis.x(scenario.duration_s) if end_s > scenario.duration_s else None,
        broken_x=axis.x(end_s) if failed else None,
    )
