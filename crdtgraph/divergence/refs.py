"""Refs that are not the same on all sides, and what an exchange will make of them.

What a ref will point at follows from the registers alone: assignments that are live anywhere and superseded nowhere,
without those whose target another one descends from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from crdtgraph.divergence.sides import Sides
from crdtgraph.ids import CommitId, Dot
from crdtgraph.planes import Plane
from crdtgraph.records import REF_NAMESPACE, Assign
from crdtgraph.registers import Register

COUNTED_REFS_MAX = 200
"""Refs for which commits are counted: each is a walk over what its sides do not share."""

Targets = tuple[CommitId, ...]


class RefState(StrEnum):
    """What kind of difference there is in a ref."""

    FAST_FORWARD = "fast-forward"
    """One side's target descends from all others: an exchange moves those forward."""
    MISSING = "missing"
    """Some side does not have it: an exchange makes it there, or it was deleted and goes everywhere."""
    REPLACED = "replaced"
    """It was moved by force, with the other targets in sight: an exchange moves those as well."""
    CONFLICTED = "conflicted"
    """It was moved apart: after an exchange it is in conflict on all sides, until somebody merges."""


@dataclass(frozen=True, slots=True)
class RefSpread:
    """A ref that is not the same on all sides.

    `targets` are those of each side in turn, the winner first, empty where it is missing; `healed` those after an
    exchange, none if it was deleted. `behind` says how many commits other sides' targets bring that this side's do not
    have, side by side; it is empty when that was not counted.
    """

    name: str
    state: RefState
    targets: tuple[Targets, ...]
    healed: Targets
    behind: tuple[int, ...]


def differing_registers(homes: Sequence[Plane]) -> set[Register]:
    """The registers whose live assignments are not the same everywhere, also where their values are. O(all live).

    At no cost when the digests of the assignments agree.
    """
    if len({home.projection.registers.sum for home in homes}) == 1:
        return set()
    first, *others = [set(home.projection.registers) for home in homes]
    return {(assign.namespace, assign.key) for other in others for assign in first ^ other}


def live_together(sides: Sides, namespace: str, key: str) -> list[Assign]:
    """The assignments of a register that will be live after an exchange, in no particular order."""
    found: set[Assign] = set()
    superseded: set[Dot] = set()
    registers = [home.projection.registers for home in sides.homes]
    for home in sides.homes:
        found.update(home.projection.registers.live(namespace, key))
        for record in _arriving(sides, home):
            if (record.namespace, record.key) == (namespace, key):
                found.add(record)
                superseded.update(record.supersedes)
    return [
        assign
        for assign in found
        if assign.dot not in superseded
        and not any(register.is_superseded(namespace, key, assign.dot) for register in registers)
    ]


def _arriving(sides: Sides, home: Plane) -> Iterator[Assign]:
    """Assignments that wait for a commit which another side has; they are applied as soon as that comes."""
    for record, missing in home.projection.pending:
        if isinstance(record, Assign) and sides.shows(missing):
            yield record


def healed_targets(sides: Sides, name: str) -> Targets:
    """The targets of a ref after an exchange, the winner first."""
    values = {assign.value for assign in live_together(sides, REF_NAMESPACE, name)}
    return sides.independent(CommitId(value) for value in values if value is not None)


def ref_spreads(sides: Sides, registers: Iterable[Register]) -> tuple[RefSpread, ...]:
    """The refs among these registers whose targets are not the same on all sides, by name."""
    found: list[RefSpread] = []
    for name in sorted(key for namespace, key in registers if namespace == REF_NAMESPACE):
        targets = tuple(home.projection.refs.targets(name) for home in sides.homes)
        if len(set(targets)) > 1:
            healed = healed_targets(sides, name)
            counted = len(found) < COUNTED_REFS_MAX
            behind = tuple(_behind(sides, targets, here) for here in targets) if counted else ()
            found.append(RefSpread(name, _state(sides, targets, healed), targets, healed, behind))
    return tuple(found)


def _behind(sides: Sides, all_targets: Iterable[Targets], targets: Targets) -> int:
    return len(set[CommitId]().union(*(sides.only(others, targets) for others in all_targets if others)))


def _state(sides: Sides, targets: Iterable[Targets], healed: Targets) -> RefState:
    if len(healed) > 1:
        return RefState.CONFLICTED
    if not healed or not all(targets):
        return RefState.MISSING
    if all(sides.is_ancestor(commit, healed[0]) for here in targets for commit in here):
        return RefState.FAST_FORWARD
    return RefState.REPLACED
