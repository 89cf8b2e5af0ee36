"""Metadata, counters, discards and waiting records that two sides do not share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crdtgraph.divergence.refs import live_together
from crdtgraph.divergence.sides import Sides
from crdtgraph.ids import CommitId
from crdtgraph.reader import Waiting
from crdtgraph.records import REF_NAMESPACE, Assign
from crdtgraph.registers import Register


@dataclass(frozen=True, slots=True)
class MetaDifference:
    """A register of metadata with other values on the two sides; None where it is not set.

    The namespace is "meta/graph", or "meta/" and a commit's id. `healed` is the value after an exchange.
    """

    namespace: str
    key: str
    a: bytes | None
    b: bytes | None
    healed: bytes | None

    @property
    def name(self) -> str:
        """Namespace and key."""
        return f"{self.namespace}/{self.key}"


@dataclass(frozen=True, slots=True)
class CounterDifference:
    """A commit whose counters have other totals on the two sides; empty where nothing was counted."""

    commit: CommitId
    a: tuple[int, ...]
    b: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """A record that waits for a commit; `elsewhere` says that another side has it, so that an exchange helps."""

    record: Waiting
    elsewhere: bool


def meta_differences(sides: Sides, registers: Iterable[Register]) -> tuple[MetaDifference, ...]:
    """The metadata among these registers whose values are not the same on both sides, by name."""
    found = []
    for namespace, key in sorted(registers):
        if namespace == REF_NAMESPACE:
            continue
        a, b = (_value(home.projection.registers.live(namespace, key)) for home in sides.homes)
        if a != b:
            found.append(MetaDifference(namespace, key, a, b, _value(live_together(sides, namespace, key))))
    return tuple(found)


def counter_differences(sides: Sides) -> tuple[CounterDifference, ...]:
    """The commits with other totals, by id. O(commits with counters), at no cost when the digests agree."""
    first, second = (home.projection.counters for home in sides.homes)
    if first.sum == second.sum:
        return ()
    commits = {commit for commit, _ in set(first) ^ set(second)}
    return tuple(CounterDifference(commit, first.get(commit), second.get(commit)) for commit in sorted(commits))


def blocked(sides: Sides, place: int) -> tuple[Blocked, ...]:
    """What waits on one side, ordered by what it waits for."""
    waiting = sides.replicas[place].pending(plane=sides.plane)
    return tuple(Blocked(record, sides.shows(record.waits_for)) for record in waiting)


def _value(live: Iterable[Assign]) -> bytes | None:
    """What readers of metadata are given of several live values: the latest."""
    held = [(assign.stamp, assign.dot, assign.value) for assign in live if assign.value is not None]
    return max(held)[2] if held else None
