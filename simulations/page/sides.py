"""The sides of a split over time, and how many commits and heads each of them has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import networkx

from simulations.observer import NodeState
from simulations.page.colours import Colour, Moment
from simulations.scenario import Scenario
from simulations.timeline import Partition


@dataclass(frozen=True, slots=True)
class Point:
    """The most commits and heads that any machine of a side shows from a moment on."""

    at_s: float
    commits: int
    heads: int


@dataclass(slots=True)
class Side:
    """Machines that can talk to each other, perhaps through others of them, and to nobody else."""

    nodes: tuple[str, ...]
    points: list[Point] = field(default_factory=list)
    colour: Colour = 0
    """The one that its machines have most of the time."""


@dataclass(slots=True)
class Era:
    """A stretch of time in which the sides are the same."""

    from_s: float
    to_s: float
    sides: list[Side]

    @property
    def is_split(self) -> bool:
        """Whether there is more than one side."""
        return len(self.sides) > 1


def eras(scenario: Scenario, moments: Sequence[Moment], end_s: float) -> list[Era]:
    """What the partitions of a scenario make of its machines until `end_s`, with what was seen of each side.

    Only partitions make sides: a one-way cut or a flapping path leaves a way round, or nearly so.
    """
    found: list[Era] = []
    for from_s, to_s, groups in _groups(scenario, end_s):
        if found and [side.nodes for side in found[-1].sides] == groups:
            found[-1].to_s = to_s
        else:
            found.append(Era(from_s, to_s, [Side(nodes) for nodes in groups]))
    for era in found:
        _fill(era, moments)
    return found


def _groups(scenario: Scenario, end_s: float) -> Iterator[tuple[float, float, list[tuple[str, ...]]]]:
    partitions = [event for event in scenario.timeline if isinstance(event, Partition) and event.at_s < end_s]
    # Everything is mended at the planned end, whatever the timeline says.
    ends = {event: min(event.until_s, scenario.duration_s) for event in partitions}
    edges = sorted({0.0, end_s, *(event.at_s for event in partitions), *(min(end, end_s) for end in ends.values())})
    known: dict[tuple[Partition, ...], list[tuple[str, ...]]] = {}
    for from_s, to_s in pairwise(edges):
        active = tuple(event for event in partitions if event.at_s <= from_s < ends[event])
        if active not in known:
            known[active] = _components(scenario, active)
        yield from_s, to_s, known[active]


def _components(scenario: Scenario, active: tuple[Partition, ...]) -> list[tuple[str, ...]]:
    if not active:
        return [tuple(scenario.names)]
    groups: dict[str, tuple[object, ...]] = {
        name: tuple(
            next((number for number, group in enumerate(event.groups) if name in group), name) for event in active
        )
        for name in scenario.names
    }
    graph = networkx.Graph()
    graph.add_nodes_from(scenario.names)
    graph.add_edges_from((one, other) for one, other in scenario.pairs() if groups[one] == groups[other])
    order = {name: number for number, name in enumerate(scenario.names)}
    sides = [tuple(sorted(each, key=order.__getitem__)) for each in networkx.connected_components(graph)]
    return sorted(sides, key=lambda nodes: order[nodes[0]])


def _fill(era: Era, moments: Sequence[Moment]) -> None:
    during = [each for each in moments if era.from_s < each.at_s <= era.to_s]
    before = [each for each in moments if each.at_s <= era.from_s][-1:]
    for side in era.sides:
        colours: Counter[Colour] = Counter()
        for moment in (*before, *during):
            shown = [
                sample
                for name in side.nodes
                if (sample := moment.samples.get(name)) is not None and sample.state is not NodeState.DOWN
            ]
            if shown:
                commits, heads = max(each.commits for each in shown), max(each.heads for each in shown)
                if not side.points or (side.points[-1].commits, side.points[-1].heads) != (commits, heads):
                    side.points.append(Point(max(moment.at_s, era.from_s), commits, heads))
            colours.update(colour for name in side.nodes if (colour := moment.colours.get(name)) is not None)
        if colours:
            side.colour = colours.most_common(1)[0][0]
