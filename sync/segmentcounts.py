"""How many commits each segment holds, remembered: a segment never changes."""

from __future__ import annotations

from crdtgraph.ids import SegmentKey
from crdtgraph.segment import unpack
from sync.protocol.replica import Replica

COUNTS_MAX = 64 << 10
"""Some 10 MB."""


class SegmentCounts:
    """The numbers of commits in segments that a replica holds."""

    def __init__(self, replica: Replica) -> None:
        self.looks = 0
        """How many segments were unpacked, at some 0.3 ms each."""
        self._replica = replica
        self._counts: dict[tuple[str, SegmentKey], int] = {}

    def get(self, plane: str, key: SegmentKey) -> int:
        """How many commits are held under a key; none if nothing is, which may change."""
        known = self._counts.get((plane, key))
        if known is not None:
            return known
        held = self._replica.segments_of(plane, key.text)
        if not held:
            return 0
        self.looks += 1
        while len(self._counts) >= COUNTS_MAX:
            del self._counts[next(iter(self._counts))]
        count = self._counts[plane, key] = sum(len(unpack(data, check_signature=False).times) for data in held)
        return count
