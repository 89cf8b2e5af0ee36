"""How many commits each side of a split made, counted in the segments that one side had and the other lacked.

A segment belongs to the replica that signed it: so it counts for that replica's side however it came here, also when
a courier carried it while the link was cut. A writer that is on neither side counts for the side that had it first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crdtgraph.ids import ReplicaId, SegmentKey
from crdtgraph.planes import LEDGER
from crdtgraph.segment import unpack
from crdtgraph.steps import Stepwise
from sync.protocol.lag import ranges
from sync.protocol.replica import Replica

COUNTED_MAX = 5_000
"""Segments counted of one episode, some 0.3 ms each; beyond that the counts are a lower bound."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Commits of each side; where `exact` is False, an estimate. `records` are those of both sides, of any kind."""

    ours: int
    theirs: int
    exact: bool
    records: int


@dataclass(frozen=True, slots=True)
class Reaches:
    """State vectors of the ledger: `low` is what both sides had, `held` what ours had when they met, `high` all."""

    low: Mapping[int, int]
    held: Mapping[int, int]
    high: Mapping[int, int]


def count_sides(
    replica: Replica, reaches: Reaches, ours: frozenset[ReplicaId], theirs: frozenset[ReplicaId]
) -> Stepwise[Counts]:
    """Count what `high` covers and `low` does not for the side that wrote it, a segment a step."""
    counts = {True: 0, False: 0}
    exact, looks, records = True, 0, 0
    for writer, first, many in ranges(reaches.low, reaches.high):
        gone, joined = set[int](), set[int]()
        for seq in range(first, first + many):
            if looks == COUNTED_MAX:
                return Counts(counts[True], counts[False], False, records)
            looks += 1
            data = replica.segments_of(LEDGER, SegmentKey(writer, seq).text)
            for each in data:
                segment = unpack(each, check_signature=False)
                joined.update(key.seq for key in segment.supersedes)
                owner = segment.replica_id
                is_ours = owner not in theirs and (owner in ours or seq < reaches.held.get(writer, 0))
                counts[is_ours] += len(segment.times)
                records += len(segment)
            if not data:
                gone.add(seq)
            yield
        # What compaction took away is in a segment that was counted, which may also hold what is older than the cut.
        exact &= gone <= joined and min(joined, default=first) >= first
    return Counts(counts[True], counts[False], exact, records)
