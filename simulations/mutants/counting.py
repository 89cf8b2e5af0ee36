"""Bugs in what is counted in searches that many share, and in what is in flight."""

from __future__ import annotations

import math
from collections.abc import Callable

from crdtgraph.searches.batches import Batch
from crdtgraph.segment import Segment
from simulations.mutants.planting import Change, Mutant
from sync.protocol.inflightexchange import InFlightExchange, _Entry, _Key


def _joined_counts_count_again(
    take_back: Callable[..., None], self: Batch, segment: Segment, *, with_counts: bool
) -> None:
    pass


def _what_was_heard_stays(
    expire: Callable[..., None], self: InFlightExchange, key: _Key, entry: _Entry, now: float
) -> None:
    if entry.source is None:
        expire(self, key, entry, now)
    else:
        entry.expires_at = math.inf


MUTANTS = (
    Mutant(
        "counts of a search doubled after its compaction",
        "What a writer's compaction of a search has added up is delivered again in its new segments, and counts twice.",
        "A compaction is many segments there, and each of them alone looks like news.",
        (Change(Batch, "take_back", _joined_counts_count_again),),
    ),
    Mutant(
        "in flight for ever",
        "What was told to be in flight is so until its writer says otherwise.",
        "Workers always say when they are done, but for those that die.",
        (Change(InFlightExchange, "_expire", _what_was_heard_stays),),
    ),
)
