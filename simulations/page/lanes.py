"""One lane for each machine: its digest's colour over time, when it was down or paused, and the faults it was under."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from simulations.observer import NodeSample, NodeState
from simulations.page.colours import Moment
from simulations.page.events import is_deed
from simulations.page.paper import Axis, seconds
from simulations.page.sides import Era
from simulations.scenario import Scenario
from simulations.timeline import AnyEvent, Flapping, Partition, nodes_of

LANES_HEIGHT = 640.0
"""Of all lanes together, unless each would be higher than LANE_MAX or lower than LANE_MIN."""
LANE_MAX, LANE_MIN = 34.0, 4.0
NAMED_HEIGHT = 9.0
"""A lane that is lower has no room for its name; then every tenth has one."""
LETTERED_HEIGHT = 14.0
CELLS_MAX = 4_000
"""Places that say what was there when pointed at: a page with more of them is slow."""
CELLS_PER_LANE = (20, 240)
SHADES_MAX = 2_000
OUTLINED_WIDTH = 6.0
"""Outlines of shades that are narrower would be all there is to see."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in a lane, from `x` to `x + width`, that says what was there."""

    x: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A machine's lane.

    Args:
        y: of its upper edge.
        stretches: for each look ("c0" to "c8" for the colours, "down", "paused") the path along all places that
            have it, to be drawn as wide as the lane is high.
        digest: in the end, and its look.
    """

    name: str
    is_named: bool
    y: float
    height: float
    stretches: Mapping[str, str]
    cells: list[Cell]
    digest: str
    end_look: str


@dataclass(frozen=True, slots=True)
class Shade:
    """A fault over some of the lanes."""

    look: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Letter:
    """The side that a machine is on."""

    x: float
    y: float
    text: str


def lane_height(nodes: int) -> float:
    """How high a lane is."""
    return max(LANE_MIN, min(LANE_MAX, LANES_HEIGHT / nodes))


def lanes(scenario: Scenario, moments: Sequence[Moment], axis: Axis, top: float) -> list[Lane]:
    """All lanes, the first at `top`. A path has a few characters for each change of colour and no element."""
    height = lane_height(scenario.nodes)
    low, high = CELLS_PER_LANE
    cells = max(low, min(high, CELLS_MAX // scenario.nodes))
    found = []
    for number, name in enumerate(scenario.names):
        mine = [(each.at_s, each.samples[name], each.colours[name]) for each in moments if name in each.samples]
        last, colour = mine[-1][1:] if mine else (None, None)
        found.append(
            Lane(
                name=name,
                is_named=height >= NAMED_HEIGHT or number % 10 == 0,
                y=round(top + number * height, 2),
                height=round(height, 2),
                stretches=_stretches(mine, axis, height / 2),
                cells=list(_cells(name, [(at_s, sample) for at_s, sample, _ in mine], axis, cells)),
                digest=last.digest[:8] if last is not None and last.digest else "down",
                end_look="down" if colour is None else f"c{colour}",
            )
        )
    return found


def _stretches(mine: Sequence[tuple[float, NodeSample, int | None]], axis: Axis, middle: float) -> dict[str, str]:
    colours = [(at_s, "down" if colour is None else f"c{colour}") for at_s, _, colour in mine]
    pauses = [(at_s, "paused" if sample.state is NodeState.PAUSED else "") for at_s, sample, _ in mine]
    paths: defaultdict[str, list[str]] = defaultdict(list)
    for looks in (colours, pauses):
        began, look = 0.0, ""
        for at_s, new in (*looks, (axis.end_s, "")):
            if new != look:
                if look:
                    x, right = axis.x(began), axis.x(at_s)
                    paths[look].append(f"M{x:g} {middle:g}H{right:g}")
                began, look = at_s, new
    # What is paused is hatched over its colour, so it is drawn last.
    return {look: "".join(paths[look]) for look in sorted(paths)}


def _cells(name: str, mine: Sequence[tuple[float, NodeSample]], axis: Axis, count: int) -> Iterator[Cell]:
    place = 0
    width_s = axis.end_s / count
    for number in range(count if mine and width_s > 0 else 0):
        until_s = (number + 1) * width_s
        changes = 0
        while place + 1 < len(mine) and mine[place + 1][0] < until_s:
            place += 1
            changes += mine[place][1] is not mine[place - 1][1]
        x = axis.x(number * width_s)
        yield Cell(x, round(axis.x(until_s) - x, 2), _title(name, number * width_s, until_s, mine[place][1], changes))


def _title(name: str, from_s: float, until_s: float, sample: NodeSample, changes: int) -> str:
    when = f"{name}, {seconds(from_s)} to {seconds(until_s)}: {sample.state}"
    if sample.state is NodeState.DOWN:
        return when
    words = [when, f"digest {sample.digest}", f"{sample.commits:,} commits", f"{sample.heads:,} heads"]
    words += [f"{sample.pending:,} pending"] * bool(sample.pending)
    words += [f"{sample.conflicts} refs in conflict"] * bool(sample.conflicts)
    words += [f"changed {changes} times"] * (changes > 1)
    return ", ".join(words)


# What lies over the lanes


def shades(scenario: Scenario, axis: Axis, top: float) -> Iterator[Shade]:
    """The faults, each over the lanes of the machines that it is about; neighbours are under one shade."""
    height = lane_height(scenario.nodes)
    places = {name: number for number, name in enumerate(scenario.names)}
    end_s = min(axis.end_s, scenario.duration_s)
    faults = [event for event in scenario.timeline if not is_deed(event) and event.at_s <= axis.end_s]
    spans = ((event, span) for event in faults for span in _spans(event, end_s))
    for event, (from_s, to_s) in islice(spans, SHADES_MAX):
        x, right = axis.x(from_s), axis.x(to_s)
        for first, last in _runs(sorted(places[name] for name in _shaded(event, scenario))):
            yield Shade(
                look="shade outlined" if right - x >= OUTLINED_WIDTH else "shade",
                x=x,
                y=round(top + first * height, 2),
                width=max(1.5, round(right - x, 2)),
                height=round((last - first + 1) * height, 2),
            )


def _spans(event: AnyEvent, end_s: float) -> Iterator[tuple[float, float]]:
    until_s = min(event.until_s, end_s)
    if isinstance(event, Flapping):
        from_s = event.at_s
        while from_s < until_s:
            yield from_s, min(from_s + event.down_s, until_s)
            from_s += event.down_s + event.up_s
    else:
        yield event.at_s, until_s


def _shaded(event: AnyEvent, scenario: Scenario) -> set[str]:
    return set(scenario.names if isinstance(event, Partition) else nodes_of(event))


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield numbers[first], number
            first = place + 1


def fences(scenario: Scenario, eras: Sequence[Era], axis: Axis, top: float) -> str:
    """The path of the lines between every two neighbouring lanes that a split separates."""
    height = lane_height(scenario.nodes)
    lines = []
    for era in eras:
        side_of = {name: number for number, side in enumerate(era.sides) for name in side.nodes}
        x, right = axis.x(era.from_s), axis.x(era.to_s)
        for number, (one, other) in enumerate(pairwise(scenario.names), start=1):
            if side_of[one] != side_of[other]:
                lines.append(f"M{x:g} {top + number * height:g}H{right:g}")
    return "".join(lines)


def letters(scenario: Scenario, eras: Sequence[Era], axis: Axis, top: float) -> Iterator[Letter]:
    """The side of each machine, where a split begins and there is room for a letter."""
    height = lane_height(scenario.nodes)
    places = {name: number for number, name in enumerate(scenario.names)}
    for era in eras if height >= LETTERED_HEIGHT else ():
        x = axis.x(era.from_s)
        if era.is_split and axis.x(era.to_s) - x > 16:
            for letter, side in zip(LETTERS, era.sides, strict=False):
                for name in side.nodes:
                    yield Letter(round(x + 5, 2), round(top + (places[name] + 0.5) * height, 2), letter)
