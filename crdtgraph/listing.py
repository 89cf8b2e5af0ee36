"""What a line of a listing shows of a commit, for many commits, without unpacking more than it takes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from typing import TypeAlias

from crdtgraph.drawing import Drawn, drawing_order
from crdtgraph.ids import CommitId
from crdtgraph.planes import LEDGER
from crdtgraph.reader import PREFIX_DIGITS_MIN, Reader

_PREFIX_BYTES = 8
"""Two ids that share so much are looked at whole."""


Row: TypeAlias = tuple[CommitId, list[CommitId], list[CommitId], bool, str, int, str, bool, list[int]]
"""One commit of a listing: id, parents, nearest indirect ancestors, whether it is cut off (all as in `Drawn`), author,
time in microseconds since the epoch, the first line of the message, whether it is live, and what was counted."""


def drawn(reader: Reader, selected: Set[int] | None = None, *, plane: str = LEDGER) -> Iterator[Drawn]:
    """All commits of a plane, or those with the selected numbers, in the order of a drawing (`crdtgraph.drawing`)."""
    return drawing_order(reader._plane(plane).projection, selected)


def rows(reader: Reader, commits: Sequence[Drawn], *, plane: str = LEDGER) -> Iterator[Row]:
    """The rows of some commits. About 2 us each, and what it takes to unpack the segments that they lie in."""
    home = reader._plane(plane)
    projection = home.projection
    ids, times, totals = projection.ids, projection.times, projection.counters.get
    marks = projection.discards.marks
    texts = home.contents.texts([projection.locations[each.node] for each in commits])
    for (node, direct, indirect, is_cut_off), (author, message) in zip(commits, texts, strict=True):
        commit = ids[node]
        yield (
            commit,
            [ids[parent] for parent in direct],
            [ids[below] for below in indirect] if indirect else [],
            is_cut_off,
            author,
            times[node],
            message.strip().partition("\n")[0],
            not marks[node],
            list(totals(commit)),
        )


def prefix_digits(reader: Reader, commits: Sequence[CommitId], *, plane: str = LEDGER) -> list[int]:
    """How many digits of each id are unique, at least 4. O(log n) each; the first call sorts all ids."""
    known = reader._sorted_ids(plane)
    last = len(known) - 1
    found = []
    for commit in commits:
        place = bisect_left(known, commit)
        number = int.from_bytes(commit[:_PREFIX_BYTES], "big")
        shared = 0
        for neighbour in (place - 1, place + 1):
            if 0 <= neighbour <= last:
                other = int.from_bytes(known[neighbour][:_PREFIX_BYTES], "big") ^ number
                if not other:
                    shared = max(shared, _shared_digits(commit, known[neighbour]))
                else:
                    shared = max(shared, (8 * _PREFIX_BYTES - other.bit_length()) // 4)
        found.append(max(shared + 1, PREFIX_DIGITS_MIN))
    return found


def _shared_digits(one: bytes, other: bytes) -> int:
    pairs = zip(one.hex(), other.hex(), strict=True)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), 2 * len(one))
