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
class MetaSpread:
    """A register of metadata whose value is not the same on all sides; None where it is not set.

    The namespace is "meta/graph", or "meta/" and a commit's id. `values` are those of each side in turn, `healed` the
    one after an exchange.
    """

    namespace: str
    key: str
    values: tuple[bytes | None, ...]
    healed: bytes | None

    @property
    def name(self) -> str:
        """Namespace and key."""
        return f"{self.namespace}/{self.key}"


@dataclass(frozen=True, slots=True)
class CounterSpread:
    """A commit whose counters are not the same on all sides; empty where nothing was counted."""

    commit: CommitId
    totals: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """A record that waits for a commit; `elsewhere` says that another side has it, so that an exchange helps."""

    record: Waiting
    elsewhere: bool


def meta_spreads(sides: Sides, registers: Iterable[Register]) -> tuple[MetaSpread, ...]:
    """The metadata among these registers whose values are not the same on all sides, by name."""
    found = []
    for namespace, key in sorted(registers):
        if namespace == REF_NAMESPACE:
            continue
        values = tuple(latest_value(home.projection.registers.live(namespace, key)) for home in sides.homes)
        if len(set(values)) > 1:
            found.append(MetaSpread(namespace, key, values, latest_value(live_together(sides, namespace, key))))
    return tuple(found)


def counter_spreads(sides: Sides) -> tuple[CounterSpread, ...]:
    """The commits whose totals are not the same, by id. O(commits with counters), free when the digests agree."""
    counters = [home.projection.counters for home in sides.homes]
    if len({each.sum for each in counters}) == 1:
        return ()
    first, *others = map(set, counters)
    commits = {commit for other in others for commit, _ in first ^ other}
    return tuple(CounterSpread(commit, tuple(each.get(commit) for each in counters)) for commit in sorted(commits))


def discards(sides: Sides) -> tuple[tuple[CommitId, ...], ...]:
    """For each side, what was thrown away there and not on all sides, by id."""
    roots = [home.projection.discards.roots for home in sides.homes]
    everywhere = set[CommitId].intersection(*roots)
    return tuple(tuple(sorted(each - everywhere)) for each in roots)


def latest_value(live: Iterable[Assign]) -> bytes | None:
    """What readers of metadata are given of several live values: the latest."""
    held = [(assign.stamp, assign.dot, assign.value) for assign in live if assign.value is not None]
    return max(held)[2] if held else None


def blocked(sides: Sides) -> tuple[tuple[Blocked, ...], ...]:
    """For each side what waits there, ordered by what it waits for."""
    waiting = [replica.pending(plane=sides.plane) for replica in sides.replicas]
    return tuple(tuple(Blocked(record, sides.shows(record.waits_for)) for record in each) for each in waiting)
