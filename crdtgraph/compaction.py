"""Which segments a compaction joins, and what the joined one supersedes.

Only the incarnation that wrote them joins segments. Every record stays: a thousand small segments, each with a
signature and a map entry, become a few full ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from crdtgraph.buffer import commit_size, fits, record_size
from crdtgraph.ids import SegmentKey
from crdtgraph.records import Assign, Count, Discard
from crdtgraph.segment import RECORD_OVERHEAD_BYTES, Records, Segment


def joinable(keys: Iterable[SegmentKey], load: Callable[[SegmentKey], Segment]) -> Iterator[tuple[list[int], Records]]:
    """Runs of small segments of one writer that fit into one, at least two in each: what it supersedes, its records.

    A joined segment also names what its parts superseded. Else a replica that meets only the last of several
    compactions would not know that the first segments are in it, and would count them again if they turned up.
    """
    group: list[Segment] = []
    merged = Records()
    size = 0
    for key in keys:
        segment = load(key)
        records = segment.records()
        more = _size(records)
        if group and not fits(len(merged) + len(records), size + more):
            if len(group) > 1:
                yield _superseded(group), merged
            group, merged, size = [], Records(), 0
        if not fits(len(records) * 2, more * 2):
            continue
        group.append(segment)
        merged.extend(records)
        size += more
    if len(group) > 1:
        yield _superseded(group), merged


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


def _size(records: Records) -> int:
    size = sum(commit_size(commit, len(commit.canonical())) for commit in records.commits)
    others: list[Assign | Count | Discard] = [*records.assigns, *records.counts, *records.discards]
    size += sum(record_size(record) for record in others)
    return size + len(records) * RECORD_OVERHEAD_BYTES
