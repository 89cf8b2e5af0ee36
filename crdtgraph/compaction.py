"""Which segments a compaction joins, and what the joined one supersedes.

Only the incarnation that wrote them joins segments. Every record stays: a thousand small segments, each with a
signature and a map entry, become a few full ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from crdtgraph.buffer import fits
from crdtgraph.ids import SegmentKey
from crdtgraph.segment import Records, Segment


class Joined(NamedTuple):
    """A segment to be: the seqs that it supersedes, its records, and what they take at most in a payload."""

    supersedes: list[int]
    records: Records
    size: int


def is_small(records: int, size: int) -> bool:
    """Whether a segment of so many records and bytes is half full at most, so that any two such fit into one."""
    return fits(records * 2, size * 2)


def joinable(small: Mapping[SegmentKey, int], load: Callable[[SegmentKey], Segment]) -> Iterator[Joined]:
    """Small segments of one writer, given with their sizes and in order, joined as far as they fit into one.

    Each is loaded when its turn comes. A joined segment also names what its parts superseded. Else a replica that meets
    only the last of several compactions would not know that the first segments are in it, and would count them again if
    they turned up.
    """
    group: list[Segment] = []
    joined = Joined([], Records(), 0)
    for key, size in small.items():
        segment = load(key)
        if group and not fits(len(joined.records) + len(segment), joined.size + size):
            if len(group) > 1:
                yield joined._replace(supersedes=_superseded(group))
            group, joined = [], Joined([], Records(), 0)
        group.append(segment)
        joined.records.extend(segment.records())
        joined = joined._replace(size=joined.size + size)
    if len(group) > 1:
        yield joined._replace(supersedes=_superseded(group))


def ranges(writer: int, seqs: Iterable[int]) -> tuple[tuple[int, int, int], ...]:
    """Ascending numbers as runs (writer, first, length), the form in which a document deletes."""
    found: list[tuple[int, int, int]] = []
    for seq in seqs:
        if found and sum(found[-1][1:]) == seq:
            found[-1] = (writer, found[-1][1], found[-1][2] + 1)
        else:
            found.append((writer, seq, 1))
    return tuple(found)


def _superseded(group: list[Segment]) -> list[int]:
    return sorted({key.seq for segment in group for key in (segment.key, *segment.supersedes)})
