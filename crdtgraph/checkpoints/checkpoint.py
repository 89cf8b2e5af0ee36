"""A projection as it was, so that opening need not fold everything: what it is made of, as bytes.

Folding costs some 5 us a commit, reading arrays back next to nothing. A checkpoint says which segments it is the fold
of, by key and SHA-256, and is used only if the store holds every one of them to the byte; what the store has beyond
them is folded on top, as the order of folding makes no difference. It is never needed: one that is damaged, older or
newer than this code, or the fold of something else is passed over, and the next one takes its place.

It lies in pieces, so that it can be written in steps, and so that the next one need not write all of it again:

    manifest  magic, SHA-256 of the rest, canonical CBOR of
              [generation, blocks (generation, rows, edges, SHA-256), SHA-256 of every part, numbers, weight, stamps,
              sums, digest]
    block     `BLOCK_ROWS` commits in order of arrival, column by column: ids, generations, starts of edges, times,
              locations, dates; parents and previous children by edge. A full one changes only when a compaction
              moves a location in it: see `checkpointing`.
    part      some thousand entries of all the rest, as canonical CBOR: [kind, columns]

Columns of numbers are byte strings of fixed width, little-endian.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, cast

from crdtgraph.canonical import RemoteEncodingError, decode, encode
from crdtgraph.columns import (
    column_bytes,
    dot_columns,
    key_columns,
    read_column,
    read_commits,
    read_dots,
    read_keys,
    slices,
)
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId, Dot, SegmentKey
from crdtgraph.pending import PendingCommit, PendingCount, WaitingRecord
from crdtgraph.records import Assign, Count, Discard

if TYPE_CHECKING:
    from crdtgraph.projection import Projection

MAGIC = b"crdtgraph checkpoint 2\n"
"""Another number for every change of what is kept, or of what a fold means."""
DIGEST_BYTES = 32
PART_ENTRIES = 4_096
"""Entries of one part: 1 to 3 ms to make and some 100 kB."""
PART_ASSIGNS = 1_024
"""The same of live assignments, which are more work."""
MARKS_PART_BYTES = 256 << 10

_ROW_BYTES = COMMIT_ID_BYTES + 3 * 8 + 2 * 4
_EDGE_BYTES = 2 * 4


class UnusableError(Exception):
    """A checkpoint that cannot be used; the text says why."""


class Part(IntEnum):
    """What a part holds. The values are in stored checkpoints."""

    HELD = 0
    SUPERSEDED = 1
    NUMBERS = 2
    MARKS = 3
    ROOTS = 4
    ASSIGNS = 5
    DOTS = 6
    TOTALS = 7
    PENDING = 8


@dataclass(frozen=True, slots=True)
class Block:
    """A block of rows as it is stored: by which checkpoint, how many, and the SHA-256 of its bytes."""

    generation: int
    rows: int
    edges: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a checkpoint consists of, and the digest of its projection.

    `numbers` is how many segments locations count by, `weight` what the plane weighed (see `checkpointing`).
    """

    generation: int
    blocks: tuple[Block, ...]
    parts: tuple[bytes, ...]
    numbers: int
    weight: int
    stamps: tuple[int, int]
    sums: tuple[int, int, int]
    digest: bytes

    @property
    def rows(self) -> int:
        """How many commits it has."""
        return sum(block.rows for block in self.blocks)

    def to_bytes(self) -> bytes:
        """The bytes that are stored."""
        blocks = [[block.generation, block.rows, block.edges, block.digest] for block in self.blocks]
        sums = [part.to_bytes(DIGEST_BYTES, "big") for part in self.sums]
        body = encode(
            [self.generation, blocks, list(self.parts), self.numbers, self.weight, list(self.stamps), sums, self.digest]
        )
        return MAGIC + hashlib.sha256(body).digest() + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read it; raises UnusableError when it is damaged or of another version."""
        start = len(MAGIC) + DIGEST_BYTES
        if not data.startswith(MAGIC):
            raise UnusableError("it is of another version, or damaged")
        if hashlib.sha256(data[start:]).digest() != data[len(MAGIC) : start]:
            raise UnusableError("its manifest is damaged")
        try:
            generation, blocks, parts, numbers, weight, stamps, sums, digest = cast("list[Any]", decode(data[start:]))
            commits, assignments, counters = (int.from_bytes(part, "big") for part in sums)
            return cls(
                generation,
                tuple([Block(*block) for block in blocks]),
                tuple(parts),
                numbers,
                weight,
                (stamps[0], stamps[1]),
                (commits, assignments, counters),
                digest,
            )
        except (RemoteEncodingError, TypeError, ValueError, IndexError) as failure:
            raise UnusableError(f"its manifest is not of the right form: {failure}") from failure


@dataclass(slots=True)
class Checkpoint:
    """What a plane was. `held` are the segments it was folded from, `keys` those that locations count by."""

    manifest: Manifest
    ids: list[CommitId] = field(default_factory=list)
    generations: array[int] = field(default_factory=lambda: array("I"))
    edge_starts: array[int] = field(default_factory=lambda: array("I", [0]))
    edge_parents: array[int] = field(default_factory=lambda: array("I"))
    previous_children: array[int] = field(default_factory=lambda: array("I"))
    times: array[int] = field(default_factory=lambda: array("q"))
    locations: array[int] = field(default_factory=lambda: array("Q"))
    dates: array[int] = field(default_factory=lambda: array("q"))
    held: dict[SegmentKey, bytes] = field(default_factory=dict)
    superseded: list[SegmentKey] = field(default_factory=list)
    keys: list[SegmentKey | None] = field(default_factory=list)
    marks: bytearray = field(default_factory=bytearray)
    roots: list[CommitId] = field(default_factory=list)
    assigns: list[Assign] = field(default_factory=list)
    superseded_dots: list[tuple[tuple[str, str], Dot]] = field(default_factory=list)
    totals: dict[CommitId, tuple[int, ...]] = field(default_factory=dict)
    pending: list[tuple[CommitId, WaitingRecord]] = field(default_factory=list)

    @property
    def stamps(self) -> tuple[int, int]:
        """The latest stamp of all, and of this replica's own."""
        return self.manifest.stamps

    @property
    def sums(self) -> tuple[int, int, int]:
        """The sums that its digest is made of."""
        return self.manifest.sums

    def add_block(self, data: bytes, block: Block) -> None:
        """Take the next block of rows; raises UnusableError when it is not the one that the manifest names."""
        if hashlib.sha256(data).digest() != block.digest or len(data) != _block_bytes(block.rows, block.edges):
            raise UnusableError(f"the block of rows from {len(self.ids)} on is damaged")
        at = COMMIT_ID_BYTES * block.rows
        self.ids += read_commits(data[:at])
        for column, count in (
            (self.generations, block.rows), (self.edge_starts, block.rows), (self.times, block.rows),
            (self.locations, block.rows), (self.dates, block.rows), (self.edge_parents, block.edges),
            (self.previous_children, block.edges),
        ):  # fmt: skip
            size = column.itemsize * count
            column += read_column(column.typecode, data[at : at + size])
            at += size

    def add_part(self, data: bytes, digest: bytes) -> None:
        """Take a part; raises UnusableError when it is not the one that the manifest names."""
        if hashlib.sha256(data).digest() != digest:
            raise UnusableError("a part of it is damaged")
        try:
            kind, *columns = cast("list[Any]", decode(data))
            self._add(Part(kind), columns)
        except (RemoteEncodingError, TypeError, ValueError, IndexError) as failure:
            raise UnusableError(f"a part of it is not of the right form: {failure}") from failure

    def finish(self) -> None:
        """All of it was added; raises UnusableError when the pieces do not make a whole."""
        rows = self.manifest.rows
        self._pad_keys()
        if not self.marks:
            self.marks = bytearray(rows)
        if not rows == len(self.ids) == len(self.marks) or self.edge_starts[-1] != len(self.edge_parents):
            raise UnusableError("its pieces do not fit together")
        if self._live_sum() != self.sums[0]:
            raise UnusableError("its commits are not those of its digest")

    def _add(self, kind: Part, columns: list[Any]) -> None:
        match kind:
            case Part.HELD:
                self.held.update(zip(read_keys(*columns[:2]), slices(columns[2], DIGEST_BYTES), strict=True))
            case Part.SUPERSEDED:
                self.superseded += read_keys(*columns)
            case Part.NUMBERS:
                self._pad_keys()
                for place, key in zip(read_column("Q", columns[2]), read_keys(*columns[:2]), strict=True):
                    self.keys[place] = key
            case Part.MARKS:
                self.marks += columns[0]
            case Part.ROOTS:
                self.roots += read_commits(columns[0])
            case Part.ASSIGNS:
                self.assigns += _assigns(columns)
            case Part.DOTS:
                self.superseded_dots += _superseded_dots(columns)
            case Part.TOTALS:
                self.totals.update(_totals(*columns))
            case Part.PENDING:
                self.pending += map(_pending, columns[0])

    def _pad_keys(self) -> None:
        self.keys += [None] * (self.manifest.numbers - len(self.keys))

    def _live_sum(self) -> int:
        """What the ids of live commits add up to: in four columns of 64 bits, which is ten times as fast."""
        joined = read_column("Q", b"".join(self.ids), "big")
        total = sum(sum(joined[lane::4]) << (64 * (3 - lane)) for lane in range(4))
        if 1 in self.marks:
            total -= sum(
                int.from_bytes(commit, "big") for commit, mark in zip(self.ids, self.marks, strict=True) if mark
            )
        return total % (1 << 256)


# Making the pieces


def block_bytes(projection: Projection, first: int, locations: array[int]) -> tuple[bytes, int]:
    """The block of rows from `first` on whose locations are given; and how many edges it has."""
    dag, end = projection.dag, first + len(locations)
    edge, edges_end = dag.edge_starts[first], dag.edge_starts[end]
    columns = (
        dag.generations[first:end], dag.edge_starts[first + 1 : end + 1], projection.times[first:end], locations,
        projection.dates.known(first, end), dag.edge_parents[edge:edges_end], dag.previous_children(edge, edges_end),
    )  # fmt: skip
    ids = b"".join(projection.ids[first:end])
    return b"".join((ids, *(column_bytes(column.typecode, column) for column in columns))), edges_end - edge


def held_part(keys: Sequence[SegmentKey], digests: Sequence[bytes]) -> bytes:
    """Segments that were folded, with their SHA-256."""
    return encode([Part.HELD.value, *key_columns(keys), b"".join(digests)])


def superseded_part(keys: Sequence[SegmentKey]) -> bytes:
    """Segments that others superseded."""
    return encode([Part.SUPERSEDED.value, *key_columns(keys)])


def numbers_part(first: int, keys: Sequence[SegmentKey | None]) -> bytes:
    """What locations count by, from number `first` on."""
    places = column_bytes("Q", (number for number, key in enumerate(keys, first) if key is not None))
    return encode([Part.NUMBERS.value, *key_columns([key for key in keys if key is not None]), places])


def marks_part(marks: bytes) -> bytes:
    """Which commits are discarded, one byte each."""
    return encode([Part.MARKS.value, marks])


def roots_part(roots: Sequence[CommitId]) -> bytes:
    """Commits that were discarded themselves."""
    return encode([Part.ROOTS.value, b"".join(roots)])


def assigns_part(assigns: Sequence[Assign]) -> bytes:
    """Live assignments."""
    return encode(
        [
            Part.ASSIGNS.value,
            [assign.namespace for assign in assigns],
            [assign.key for assign in assigns],
            [assign.value for assign in assigns],
            *dot_columns([assign.dot for assign in assigns]),
            column_bytes("Q", (len(assign.supersedes) for assign in assigns)),
            *dot_columns([dot for assign in assigns for dot in assign.supersedes]),
            column_bytes("q", (assign.stamp for assign in assigns)),
        ]
    )


def dots_part(dots: Sequence[tuple[tuple[str, str], Dot]]) -> bytes:
    """Dots that were replaced, with their registers."""
    registers = [register for register, _ in dots]
    names = [namespace for namespace, _ in registers], [key for _, key in registers]
    return encode([Part.DOTS.value, *names, *dot_columns([dot for _, dot in dots])])


def totals_part(commits: Sequence[CommitId], totals: Sequence[tuple[int, ...]]) -> bytes:
    """Counters; OverflowError when one is beyond 64 bits."""
    values = column_bytes("q", (number for total in totals for number in total))
    return encode([Part.TOTALS.value, b"".join(commits), column_bytes("Q", map(len, totals)), values])


def pending_part(pending: Sequence[tuple[WaitingRecord, CommitId]]) -> bytes:
    """Records that wait, with what they wait for."""
    return encode([Part.PENDING.value, [[bytes(missing), *_pending_row(record)] for record, missing in pending]])


# Rows and columns


def _block_bytes(rows: int, edges: int) -> int:
    return rows * _ROW_BYTES + edges * _EDGE_BYTES


def _assigns(columns: Sequence[Any]) -> Iterator[Assign]:
    namespaces, keys, values, writers, counters, counts, old_writers, old_counters, stamps = columns
    older = read_dots(old_writers, old_counters)
    at = 0
    rows = zip(
        namespaces,
        keys,
        values,
        read_dots(writers, counters),
        read_column("Q", counts),
        read_column("q", stamps),
        strict=True,
    )
    for namespace, key, value, dot, count, stamp in rows:
        yield Assign(sys.intern(namespace), key, value, dot, tuple(older[at : at + count]), stamp)
        at += count


def _superseded_dots(columns: Sequence[Any]) -> Iterator[tuple[tuple[str, str], Dot]]:
    namespaces, keys, writers, counters = columns
    return zip(zip(map(sys.intern, namespaces), keys, strict=True), read_dots(writers, counters), strict=True)


def _totals(commits: bytes, lengths: bytes, values: bytes) -> Iterator[tuple[CommitId, tuple[int, ...]]]:
    numbers = read_column("q", values)
    at = 0
    for commit, length in zip(read_commits(commits), read_column("Q", lengths), strict=True):
        yield commit, tuple(numbers[at : at + length])
        at += length


def _pending_row(record: WaitingRecord) -> list[object]:
    match record:
        case PendingCommit():
            return ["commit", bytes(record.id), [bytes(each) for each in record.parents], record.time, record.location]
        case Assign():
            dots = [[dot.writer, dot.counter] for dot in (record.dot, *record.supersedes)]
            return ["assign", record.namespace, record.key, record.value, dots, record.stamp]
        case PendingCount(count, segment):
            return ["count", bytes(count.commit), list(count.vector), count.stamp, [segment.writer, segment.seq]]
        case Discard():
            return ["discard", bytes(record.commit), record.stamp]


def _pending(row: Sequence[Any]) -> tuple[CommitId, WaitingRecord]:
    missing, kind, *fields = row
    record: WaitingRecord
    match kind:
        case "commit":
            record = PendingCommit(CommitId(fields[0]), tuple(map(CommitId, fields[1])), fields[2], fields[3])
        case "assign":
            dot, *older = [Dot(*pair) for pair in fields[3]]
            record = Assign(fields[0], fields[1], fields[2], dot, tuple(older), fields[4])
        case "count":
            record = PendingCount(Count(CommitId(fields[0]), tuple(fields[1]), fields[2]), SegmentKey(*fields[3]))
        case "discard":
            record = Discard(CommitId(fields[0]), fields[1])
        case _:
            raise ValueError(f"a waiting record of kind {kind!r}")
    return CommitId(missing), record
