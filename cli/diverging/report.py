"""What there is to say about some replicas, gathered: how they differ, and what it takes to make them equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.places import Place
from cli.render import printable

if TYPE_CHECKING:
    from crdtgraph import Divergence, Graph


@dataclass(frozen=True, slots=True)
class Lack:
    """What one replica lacks of all that the others have: segments, and the bytes that travel for them."""

    segments: int
    by_key: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that there is to say about some replicas: what they lack, and how far they are from being equal.

    `round_trips` is None when that depends on who talks to whom.
    """

    places: Sequence[Place]
    graphs: Sequence[Graph]
    found: Divergence
    lacking: Sequence[Lack]
    round_trips: int | None

    @property
    def names(self) -> list[str]:
        """What the replicas are called."""
        return [printable(place.name) for place in self.places]


def examine(places: Sequence[Place], graphs: Sequence[Graph]) -> Report:
    """Compare replicas whose graphs are in this process."""
    from crdtgraph.divergence import compare, lacking

    found = compare(*graphs)
    if len(graphs) == 2:
        from sync.protocol.estimate import estimate

        healing = estimate(*graphs)
        both = ((healing.to_a, healing.bytes_to_a), (healing.to_b, healing.bytes_to_b))
        lacks = [Lack(each.segments + each.by_key, each.by_key, carried) for each, carried in both]
        return Report(places, graphs, found, lacks, healing.round_trips)
    lacks = [Lack(each.segments + each.by_key, each.by_key, each.bytes) for each in lacking(*graphs)]
    return Report(places, graphs, found, lacks, None)
