"""Heads and commits of each side over time, as lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulations.page.lanes import LETTERS
from simulations.page.paper import Axis, seconds
from simulations.page.sides import Era, Point, Side

CHART_HEIGHT = 64.0
DASHES = ("", "6 3", "2 3", "8 3 2 3")
"""Of the first side and the next ones, for those who see no colours."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The line of one side."""

    path: str
    look: str
    dashes: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines between `y`, which is the value `most`, and `y + height`, which is 0."""

    name: str
    y: float
    height: float
    most: int
    curves: list[Curve]


def charts(eras: Sequence[Era], axis: Axis, top: float, gap: float) -> list[Chart]:
    """The charts of heads and of commits, one below the other."""
    return [
        _chart("heads", lambda point: point.heads, eras, axis, top),
        _chart("commits", lambda point: point.commits, eras, axis, top + CHART_HEIGHT + gap),
    ]


def _chart(name: str, value: Callable[[Point], int], eras: Sequence[Era], axis: Axis, y: float) -> Chart:
    most = max((value(point) for era in eras for side in era.sides for point in side.points), default=0)
    curves = [
        Curve(
            path=_path([(point.at_s, value(point)) for point in side.points], era.to_s, most, axis, y),
            look=f"c{side.colour}",
            dashes=DASHES[number % len(DASHES)],
            title=_title(name, value, era, side, number),
        )
        for era in eras
        for number, side in enumerate(era.sides)
        if side.points
    ]
    return Chart(name, y, CHART_HEIGHT, most, curves)


def _path(values: Sequence[tuple[float, int]], until_s: float, most: int, axis: Axis, y: float) -> str:
    def height(value: int) -> float:
        return round(y + CHART_HEIGHT * (1 - value / max(1, most)), 1)

    start_s, first = values[0]
    steps = [f"M{axis.x(start_s):g} {height(first):g}"]
    steps += [f"H{axis.x(at_s):g}V{height(value):g}" for at_s, value in values[1:]]
    return "".join(steps) + f"H{axis.x(until_s):g}"


def _title(name: str, value: Callable[[Point], int], era: Era, side: Side, number: int) -> str:
    who = f"side {LETTERS[number]} ({' '.join(side.nodes)})" if era.is_split and number < len(LETTERS) else "all"
    change = f"{value(side.points[0]):,} to {value(side.points[-1]):,} {name}"
    return f"{who}, {seconds(era.from_s)} to {seconds(era.to_s)}: {change}"
