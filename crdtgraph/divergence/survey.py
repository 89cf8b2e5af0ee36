"""Any number of replicas compared: a matrix of who has what, and what one exchange among all will make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crdtgraph.divergence.commits import Scattered, scattered
from crdtgraph.divergence.merging import RefMerge, merges
from crdtgraph.divergence.refs import RefSpread, differing_registers, ref_spreads
from crdtgraph.divergence.sides import Sides
from crdtgraph.planes import LEDGER
from crdtgraph.replica import Replica


@dataclass(frozen=True, slots=True)
class Survey:
    """How several replicas differ; they are named by their numbers, in the order given.

    `digests` and `commits` are of each, `union` is how many commits there are among all. `groups` are the numbers of
    replicas with equal digests, the largest group first. `scattered` are the commits that some replica lacks, `refs`
    those that are not the same everywhere, and `merges` what those will need that are in conflict after an exchange.
    """

    digests: tuple[bytes, ...]
    commits: tuple[int, ...]
    union: int
    groups: tuple[tuple[int, ...], ...]
    scattered: Scattered
    refs: tuple[RefSpread, ...]
    merges: tuple[RefMerge, ...]

    @property
    def equal(self) -> bool:
        """Whether all have the same digest."""
        return len(self.groups) == 1


def survey(replicas: Sequence[Replica], *, plane: str = LEDGER) -> Survey:
    """Compare a plane of two or more replicas. Costs about what `compare` does for every pair.

    Raises LocalError when they belong to different clusters.
    """
    sides = Sides(replicas, plane)
    found = scattered(sides)
    spreads = ref_spreads(sides, differing_registers(sides.homes))
    digests = tuple(home.projection.digest() for home in sides.homes)
    sizes = tuple(len(home.projection) for home in sides.homes)
    by_digest: dict[bytes, list[int]] = {}
    for place, digest in enumerate(digests):
        by_digest.setdefault(digest, []).append(place)
    return Survey(
        digests=digests,
        commits=sizes,
        union=sizes[0] + found.behind[0],
        groups=tuple(sorted(map(tuple, by_digest.values()), key=lambda group: (-len(group), group))),
        scattered=found,
        refs=tuple(spreads),
        merges=merges(sides, spreads),
    )
