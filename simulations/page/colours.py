"""Which colour each machine's digest has at each moment: equal digests have equal colours, different ones do not.

Digests come and go with every commit, so a colour cannot stand for a digest. It stands for a group of machines that
agree: the group keeps its colour while its digest moves on, a side of a split has one colour as long as the split
lasts, and when all agree the picture is of the first colour, whatever was before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from simulations.observer import NodeSample, NodeState

COLOURS = 8
"""As many as people tell apart, the colour-blind too (Okabe and Ito, 2008)."""
TOO_MANY = COLOURS
"""The colour of a digest for which there is none left. Machines that have it agree with nobody who has another."""

Colour = int


@dataclass(frozen=True, slots=True)
class Moment:
    """What all machines showed from `at_s` until the next moment; no colour for a machine that is down."""

    at_s: float
    samples: Mapping[str, NodeSample]
    colours: Mapping[str, Colour | None]


def moments(seen: Mapping[str, Sequence[NodeSample]]) -> Iterator[Moment]:
    """Every moment at which a machine showed something new, with the colours. O(machines) each."""
    places = dict.fromkeys(seen, 0)
    worn: dict[str, _Worn] = {}
    now: dict[str, NodeSample] = {}
    for at_s in sorted({sample.at_s for samples in seen.values() for sample in samples}):
        for name, samples in seen.items():
            while places[name] < len(samples) and samples[places[name]].at_s <= at_s:
                now[name] = samples[places[name]]
                places[name] += 1
        colours = _coloured(now, worn)
        worn = {
            name: worn[name] if name in worn and worn[name].colour == colour else _Worn(colour, at_s)
            for name, colour in colours.items()
            if colour is not None
        }
        yield Moment(at_s, dict(now), colours)


@dataclass(frozen=True, slots=True)
class _Worn:
    """The colour that a machine has, and since when."""

    colour: Colour
    since_s: float


def _coloured(now: Mapping[str, NodeSample], worn: Mapping[str, _Worn]) -> dict[str, Colour | None]:
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name, sample in now.items():
        if sample.state is not NodeState.DOWN:
            groups[sample.digest].append(name)
    colours: dict[str, Colour | None] = dict.fromkeys(now)
    if len(groups) == 1:
        return {**colours, **dict.fromkeys(next(iter(groups.values())), 0)}
    taken: dict[str, Colour] = {}
    for *_, colour, digest in sorted(_claims(groups, worn)):
        if digest not in taken and colour not in taken.values():
            taken[digest] = colour
    free = [colour for colour in range(COLOURS) if colour not in taken.values()]
    for digest in sorted(groups, key=lambda digest: -len(groups[digest])):
        if digest not in taken:
            taken[digest] = free.pop(0) if free else TOO_MANY
        colours.update(dict.fromkeys(groups[digest], taken[digest]))
    return colours


def _claims(
    groups: Mapping[str, Sequence[str]], worn: Mapping[str, _Worn]
) -> Iterator[tuple[int, int, float, Colour, str]]:
    """Which group wants which colour, the strongest claim first when sorted.

    Most machines that have it already go first, then the larger group, then who has had it longest.
    """
    for digest, members in groups.items():
        before = [worn[name] for name in members if name in worn and worn[name].colour != TOO_MANY]
        for colour, count in Counter(each.colour for each in before).items():
            since_s = min(each.since_s for each in before if each.colour == colour)
            yield -count, -len(members), since_s, colour, digest
