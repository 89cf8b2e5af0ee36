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
    """How a ref of replica A relates to the one of B."""

    ONLY_A = "only-a"
    """It is missing in B."""
    ONLY_B = "only-b"
    """It is missing in A."""
    AHEAD = "ahead"
    """A's descends from B's: an exchange moves B's forward."""
    BEHIND = "behind"
    """B's descends from A's: an exchange moves A's forward."""
    CONFLICTED = "conflicted"
    """Both were moved apart: after an exchange the ref is in conflict on both sides."""
    REPLACED = "replaced"
    """One side was moved away by force, with the other's target in sight: an exchange moves the other as well."""


@dataclass(frozen=True, slots=True)
class RefDifference:
    """A ref that is not the same on both sides. Targets are the winner and then the others; empty where missing.

    `healed` are its targets after an exchange; none means that it was deleted on one side. `ahead` and `behind` count
    the commits that A's targets have beyond B's and the other way round; None when that was not counted.
    """

    name: str
    state: RefState
    a: Targets
    b: Targets
    healed: Targets
    ahead: int | None
    behind: int | None


@dataclass(frozen=True, slots=True)
class RefSpread:
    """A ref that is not the same on all of several sides: its targets on each in turn, and after an exchange."""

    name: str
    targets: tuple[Targets, ...]
    healed: Targets


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


def ref_spreads(sides: Sides, registers: Iterable[Register]) -> list[RefSpread]:
    """The refs among these registers whose targets are not the same on all sides, by name."""
    found = []
    for name in sorted(key for namespace, key in registers if namespace == REF_NAMESPACE):
        targets = tuple(home.projection.refs.targets(name) for home in sides.homes)
        if len(set(targets)) > 1:
            found.append(RefSpread(name, targets, healed_targets(sides, name)))
    return found


def ref_differences(sides: Sides, spreads: Iterable[RefSpread]) -> list[RefDifference]:
    """The refs of two sides, classified."""
    found = []
    for place, spread in enumerate(spreads):
        a, b = spread.targets
        counts: tuple[int | None, int | None] = (None, None)
        if place < COUNTED_REFS_MAX:
            counts = sides.only(a, b), sides.only(b, a)
        found.append(RefDifference(spread.name, _state(sides, spread), a, b, spread.healed, *counts))
    return found


def _state(sides: Sides, spread: RefSpread) -> RefState:
    a, b = spread.targets
    if not a or not b:
        return RefState.ONLY_A if a else RefState.ONLY_B
    if _descends(sides, a, b):
        return RefState.AHEAD
    if _descends(sides, b, a):
        return RefState.BEHIND
    return RefState.CONFLICTED if len(spread.healed) > 1 else RefState.REPLACED


def _descends(sides: Sides, targets: Targets, earlier: Targets) -> bool:
    return all(any(sides.is_ancestor(commit, target) for target in targets) for commit in earlier)
