"""How far each of several replicas is behind all of them together.

The measure is the segment, as that is what state vectors count: the union of all vectors covers so many segments that a
replica's own vector does not. Some of them may have been compacted since, so a diff may bring fewer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one replica has got in one plane: how many segments its vector covers, and the vector if it is known."""

    segments: int
    vector: Mapping[int, int]

    @property
    def is_known(self) -> bool:
        """Whether it is known which segments, and not only how many."""
        return sum(self.vector.values()) == self.segments


@dataclass(frozen=True, slots=True)
class Lag:
    """How many segments a replica lacks; where `exact` is False, at least so many."""

    segments: int
    exact: bool


def union(reaches: Iterable[Reach]) -> dict[int, int]:
    """The vector that covers all that are known."""
    vector: dict[int, int] = {}
    for reach in reaches:
        for writer, clock in reach.vector.items():
            vector[writer] = max(clock, vector.get(writer, 0))
    return vector


def lags(reaches: Sequence[Reach]) -> list[Lag]:
    """How far each is behind all of them. Cost: O(replicas x writers)."""
    everything = union(reach for reach in reaches if reach.is_known)
    most = max((reach.segments for reach in reaches), default=0)
    exact = all(reach.is_known for reach in reaches)
    found = []
    for reach in reaches:
        missing = sum(count for _, _, count in ranges(reach.vector, everything)) if reach.is_known else 0
        found.append(Lag(max(missing, most - reach.segments), exact))
    return found


def ranges(vector: Mapping[int, int], everything: Mapping[int, int]) -> Iterator[tuple[int, int, int]]:
    """What a vector does not cover of another: (writer, first seq, how many), by writer."""
    for writer in sorted(everything):
        first = vector.get(writer, 0)
        if everything[writer] > first:
            yield writer, first, everything[writer] - first
