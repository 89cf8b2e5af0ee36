"""Two replicas compared: what only one has, where they parted, which refs and paths are apart, what heals it."""

from __future__ import annotations

from dataclasses import dataclass

from crdtgraph.divergence.commits import paths_changed, scattered
from crdtgraph.divergence.merging import RefMerge, SharedPath, merges, shared_paths
from crdtgraph.divergence.records import (
    Blocked,
    CounterDifference,
    MetaDifference,
    blocked,
    counter_differences,
    meta_differences,
)
from crdtgraph.divergence.refs import RefDifference, differing_registers, ref_differences, ref_spreads
from crdtgraph.divergence.sides import Sides
from crdtgraph.divergence.transfer import Transfer, transfer
from crdtgraph.ids import CommitId
from crdtgraph.planes import LEDGER
from crdtgraph.records import REF_NAMESPACE
from crdtgraph.registers import Register
from crdtgraph.replica import Replica


@dataclass(frozen=True, slots=True)
class Divergence:
    """How two replicas differ.

    `equal` compares digests, that is the visible graphs. With `settled` both hold the same segments, so that there is
    nothing to exchange; replicas that are equal may still differ in that.

    `only_a` and `only_b` are the commits that one side has, parents first, `fork_points` the common commits that those
    build on, by id, and `first_generation` is the smallest generation among them. `conflicted` are refs with several
    targets on either side, `refs` those that are not the same on both, and `merges` what those will need that are in
    conflict after an exchange. `paths` were changed by commits of both sides, or conflict in such a merge.

    `metadata` are registers whose values differ, and `set_apart` names registers (refs among them) that have the same
    value because both sides set it, each for itself: one exchange makes those equal. `counters` are commits with other
    totals; `discarded_a` and `discarded_b` what only one side threw away; `pending_a` and `pending_b` what waits there.
    `to_b` is what A has for B, `to_a` the other way.
    """

    equal: bool
    settled: bool
    digest_a: bytes
    digest_b: bytes
    fork_points: tuple[CommitId, ...]
    first_generation: int | None
    only_a: tuple[CommitId, ...]
    only_b: tuple[CommitId, ...]
    refs: tuple[RefDifference, ...]
    conflicted: tuple[str, ...]
    merges: tuple[RefMerge, ...]
    paths: tuple[SharedPath, ...]
    metadata: tuple[MetaDifference, ...]
    set_apart: tuple[str, ...]
    counters: tuple[CounterDifference, ...]
    discarded_a: tuple[CommitId, ...]
    discarded_b: tuple[CommitId, ...]
    pending_a: tuple[Blocked, ...]
    pending_b: tuple[Blocked, ...]
    to_b: Transfer
    to_a: Transfer

    @property
    def ahead(self) -> int:
        """How many commits only A has."""
        return len(self.only_a)

    @property
    def behind(self) -> int:
        """How many commits only B has."""
        return len(self.only_b)


def compare(a: Replica, b: Replica, *, plane: str = LEDGER) -> Divergence:
    """Compare a plane of two replicas.

    Set operations over the commits of both (O(n), about 0.1 us each; none when both hold the same segments), then the
    cost of reading the commits that differ, and for every ref that will be in conflict those since its merge bases.

    Raises LocalError when they belong to different clusters.
    """
    sides = Sides((a, b), plane)
    home_a, home_b = (home.projection for home in sides.homes)
    found = scattered(sides)
    only_a, only_b = found.held_by(0), found.held_by(1)
    registers = differing_registers(sides.homes)
    spreads = ref_spreads(sides, registers)
    needed = merges(sides, spreads)
    metadata = meta_differences(sides, registers)
    changed_by_both = paths_changed(sides, 0, only_a) & paths_changed(sides, 1, only_b) if only_a and only_b else set()
    return Divergence(
        equal=home_a.digest() == home_b.digest(),
        settled=sides.hold_the_same(0, 1),
        digest_a=home_a.digest(),
        digest_b=home_b.digest(),
        fork_points=found.fork_points,
        first_generation=found.first_generation,
        only_a=only_a,
        only_b=only_b,
        refs=tuple(ref_differences(sides, spreads)),
        conflicted=tuple(sorted({*home_a.refs.conflicted(), *home_b.refs.conflicted()})),
        merges=needed,
        paths=shared_paths(changed_by_both, needed),
        metadata=metadata,
        set_apart=_set_apart(registers, {spread.name for spread in spreads}, {each.name for each in metadata}),
        counters=counter_differences(sides),
        discarded_a=tuple(sorted(home_a.discards.roots - home_b.discards.roots)),
        discarded_b=tuple(sorted(home_b.discards.roots - home_a.discards.roots)),
        pending_a=blocked(sides, 0),
        pending_b=blocked(sides, 1),
        to_b=transfer(a, b, plane=plane),
        to_a=transfer(b, a, plane=plane),
    )


def _set_apart(registers: set[Register], refs: set[str], metadata: set[str]) -> tuple[str, ...]:
    """The registers that differ in who set them and not in what they say."""
    others = {f"{space}/{key}" for space, key in registers if space != REF_NAMESPACE or key not in refs}
    return tuple(sorted(others - metadata))
