"""Records into a segment: columns, compression, signature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from crdtgraph.canonical import INT64_MIN, encode, integer_column
from crdtgraph.errors import LocalError
from crdtgraph.ids import CommitId
from crdtgraph.records import Assign, Commit, Count, Discard, value_to_wire
from crdtgraph.segment.format import (
    LONE_PAYLOAD_BYTES_MAX,
    PART_VERSION,
    PAYLOAD_BYTES_MAX,
    RECORDS_MAX,
    SEGMENT_VERSION,
    Part,
    compress,
    signed_message,
)
from crdtgraph.signing import Identity


@dataclass(slots=True)
class Records:
    """Records on their way into a segment: parallel lists for commits, plain lists for the rest."""

    ids: list[CommitId] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    stamps: list[int] = field(default_factory=list)
    assigns: list[Assign] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    discards: list[Discard] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids) + len(self.assigns) + len(self.counts) + len(self.discards)

    def lengths(self) -> tuple[int, ...]:
        """The length of each list, for `truncate`."""
        return tuple(map(len, self._lists()))

    def truncate(self, lengths: tuple[int, ...]) -> None:
        """Take back what was added since `lengths` was asked for."""
        for values, length in zip(self._lists(), lengths, strict=True):
            del values[length:]

    def extend(self, other: Records) -> None:
        """Add all records of another batch behind these."""
        for values, more in zip(self._lists(), other._lists(), strict=True):
            values.extend(more)

    def _lists(self) -> tuple[list[Any], ...]:
        return self.ids, self.commits, self.stamps, self.assigns, self.counts, self.discards


def pack(
    records: Records,
    *,
    plane: str,
    identity: Identity,
    seq: int,
    supersedes: Sequence[int] = (),
    part: Part | None = None,
) -> bytes:
    """The signed bytes of a segment with these records, `supersedes` being earlier seqs of the same writer.

    One that is a `part` of a compaction supersedes by that instead.

    About 1 us a record plus 0.2 ms. Raises LocalError beyond a segment's limits, to which callers keep (see `fits`).
    """
    payload = encode(
        [
            _commit_columns(records),
            [
                [a.namespace, a.key, a.value, a.dot.counter, [list(dot) for dot in a.supersedes], a.stamp]
                for a in records.assigns
            ],
            [[count.commit, list(count.vector), count.stamp] for count in records.counts],
            [[discard.commit, discard.stamp] for discard in records.discards],
        ]
    )
    limit = LONE_PAYLOAD_BYTES_MAX if len(records) == 1 else PAYLOAD_BYTES_MAX
    if len(payload) > limit or len(records) > RECORDS_MAX:
        # Nobody could read it again, we ourselves included: better that the call which wanted it fails.
        raise LocalError(f"{len(records)} records take {len(payload)} bytes; a segment holds at most {limit}")
    header = encode(
        [
            SEGMENT_VERSION if part is None else PART_VERSION,
            plane,
            identity.public_key,
            identity.incarnation,
            seq,
            list(supersedes) if part is None else [number for run in part.runs for number in run],
            len(records),
            len(payload),
            *([] if part is None else [[part.start, part.number, part.total]]),
        ]
    )
    compressed = compress(payload)
    return encode([header, compressed, identity.sign(signed_message(header, compressed))])


def _commit_columns(records: Records) -> list[object]:
    counts: list[int] = []
    links: list[int] = []
    externals: dict[CommitId, int] = {}
    places: dict[CommitId, int] = {}
    authors: dict[str, int] = {}
    for place, (commit_id, commit) in enumerate(zip(records.ids, records.commits, strict=True)):
        parents = commit.parents
        counts.append(len(parents))
        for parent in parents:
            inside = places.get(parent)
            links.append(-1 - externals.setdefault(parent, len(externals)) if inside is None else place - inside)
        places[commit_id] = place
    commits = records.commits
    numbers = [authors.setdefault(commit.author, len(authors)) for commit in commits]
    return [
        integer_column(counts),
        integer_column(links),
        list(externals),
        list(authors),
        integer_column(numbers),
        _steps([commit.time for commit in commits]),
        [commit.message for commit in commits],
        integer_column([len(commit.changes) for commit in commits]),
        [path for commit in commits for path, _ in commit.changes],
        [value_to_wire(value) for commit in commits for _, value in commit.changes],
        [commit.origin for commit in commits],
        _steps(records.stamps),
    ]


def _steps(values: list[int]) -> bytes:
    # A step between two 64-bit numbers may need 65 bits; it wraps around, and so does the sum that undoes it.
    steps = [after - before for before, after in pairwise([0, *values])]
    return integer_column(
        [(step - INT64_MIN) % (1 << 64) + INT64_MIN if step.bit_length() > 63 else step for step in steps]
    )
