"""A projection as it was, so that opening need not fold everything.

Folding costs some 5 us a commit, reading arrays back next to nothing. A checkpoint says which segments it is the fold
of, by key and SHA-256, and is used only if the store holds every one of them to the byte; what the store has beyond
them is folded on top, as the order of folding makes no difference. It is never needed: one that is damaged, older or
newer than this code, or the fold of something else is passed over, and the next one takes its place.

    checkpoint = magic, SHA-256 of the rest, canonical CBOR of
                 [held, superseded, what locations count by, arrays, nodes, registers, counters, stamps and sums]

Arrays are byte strings of fixed-width little-endian numbers.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from crdtgraph.canonical import INT64_MAX, RemoteEncodingError, decode, encode
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId, Dot, SegmentKey
from crdtgraph.records import Assign

if TYPE_CHECKING:
    from crdtgraph.projection import Projection

MAGIC = b"crdtgraph checkpoint 1\n"
"""Another number for every change of what is kept, or of what a fold means."""
DIGEST_BYTES = 32
COMMITS_MIN = 1_000
"""Fewer commits than this, new since the last checkpoint, are folded in less than 10 ms."""
GROWTH_DIVISOR = 10
"""So large a part of all commits has to be new: all checkpoints ever written are then ten times the last, at most."""


class UnusableError(Exception):
    """A checkpoint that cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a plane was. `held` are the segments it was folded from, `keys` those that locations count by."""

    held: Mapping[SegmentKey, bytes]
    superseded: frozenset[SegmentKey]
    keys: list[SegmentKey | None]
    arrays: tuple[array[int], ...]
    ids: list[CommitId]
    marks: bytearray
    roots: list[CommitId]
    assigns: list[Assign]
    superseded_dots: set[tuple[tuple[str, str], Dot]]
    totals: dict[CommitId, tuple[int, ...]]
    stamps: tuple[int, int]
    sums: tuple[int, ...]


def is_due(commits: int, covered: int) -> bool:
    """Whether a new checkpoint of so many commits is worth it, when the last covers so many."""
    return commits - covered >= max(COMMITS_MIN, commits // GROWTH_DIVISOR)


def pack(
    projection: Projection,
    held: Mapping[SegmentKey, tuple[bytes, int]],
    keys: Sequence[SegmentKey | None],
    stamps: tuple[int, int],
) -> bytes | None:
    """The bytes of a checkpoint; None if something is pending or a counter is beyond 64 bits. About 0.3 us a commit.

    `held` are the segments of the document with SHA-256 and length, `keys` those that locations count by, `stamps` the
    latest one of all and of this replica's own.
    """
    totals = list(projection.counters)
    if projection.pending or any(abs(number) > INT64_MAX for _, total in totals for number in total):
        return None
    present = sorted(held)
    numbers = {number: key for number, key in enumerate(keys) if key is not None}
    roots = sorted(projection.discards.roots)
    body = encode(
        [
            [*_key_columns(present), b"".join(held[key][0] for key in present)],
            _key_columns(sorted(projection.superseded)),
            [*_key_columns(numbers.values()), _bytes("Q", numbers), len(keys)],
            [_bytes(each.typecode, each) for each in (*projection.dag.arrays(), *projection.arrays())],
            [b"".join(projection.ids), bytes(projection.discards.marks), b"".join(roots)],
            _register_columns(projection),
            [b"".join(commit for commit, _ in totals), [list(total) for _, total in totals]],
            [*stamps, *(part.to_bytes(DIGEST_BYTES, "big") for part in projection.sums())],
        ]
    )
    return MAGIC + hashlib.sha256(body).digest() + body


def unpack(data: bytes) -> Checkpoint:
    """Read a checkpoint; raises UnusableError when it is damaged or of another version. About 0.3 us a commit."""
    start = len(MAGIC) + DIGEST_BYTES
    if not data.startswith(MAGIC):
        raise UnusableError("it is of another version")
    body = data[start:]
    if hashlib.sha256(body).digest() != data[len(MAGIC) : start]:
        raise UnusableError("it is damaged")
    try:
        held, superseded, numbered, arrays, nodes, registers, counters, sums = cast("list[list[Any]]", decode(body))
        *columns, places, count = numbered
        keys: list[SegmentKey | None] = [None] * count
        for place, key in zip(_array("Q", places), _keys(*columns), strict=True):
            keys[place] = key
        return Checkpoint(
            held=dict(zip(_keys(*held[:2]), _slices(held[2], DIGEST_BYTES), strict=True)),
            superseded=frozenset(_keys(*superseded)),
            keys=keys,
            arrays=tuple(map(_array, _TYPECODES, arrays)),
            ids=_commits(nodes[0]),
            marks=bytearray(nodes[1]),
            roots=_commits(nodes[2]),
            assigns=list(_assigns(registers)),
            superseded_dots=set(_superseded_dots(registers)),
            totals=dict(zip(_commits(counters[0]), map(tuple, counters[1]), strict=True)),
            stamps=(sums[0], sums[1]),
            sums=tuple(int.from_bytes(part, "big") for part in sums[2:]),
        )
    except (RemoteEncodingError, TypeError, ValueError, IndexError) as failure:
        raise UnusableError(f"it is not of the right form: {failure}") from failure


_TYPECODES = "IIIIIIqQq"
"""Generations, edges (starts, parents), children (last, previous), roots; times, locations, dates."""


def _bytes(typecode: str, values: Iterable[int]) -> bytes:
    column = values if isinstance(values, array) else array(typecode, values)
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _array(typecode: str, data: bytes) -> array[int]:
    column = array(typecode)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _slices(data: bytes, size: int) -> list[bytes]:
    if len(data) % size:
        raise ValueError(f"{len(data)} bytes are not so many times {size}")
    return [data[at : at + size] for at in range(0, len(data), size)]


def _commits(data: bytes) -> list[CommitId]:
    return cast("list[CommitId]", _slices(data, COMMIT_ID_BYTES))


def _key_columns(keys: Iterable[SegmentKey]) -> list[bytes]:
    found = list(keys)
    return [_bytes("Q", (key.writer for key in found)), _bytes("Q", (key.seq for key in found))]


def _keys(writers: bytes, seqs: bytes) -> list[SegmentKey]:
    return list(map(SegmentKey, _array("Q", writers), _array("Q", seqs)))


def _dot_columns(dots: Iterable[Dot]) -> list[bytes]:
    found = list(dots)
    return [_bytes("Q", (dot.writer for dot in found)), _bytes("Q", (dot.counter for dot in found))]


def _dots(writers: bytes, counters: bytes) -> list[Dot]:
    return list(map(Dot, _array("Q", writers), _array("Q", counters)))


def _register_columns(projection: Projection) -> list[object]:
    assigns, dead = list(projection.registers), sorted(projection.registers.superseded_dots())
    return [
        [assign.namespace for assign in assigns],
        [assign.key for assign in assigns],
        [assign.value for assign in assigns],
        *_dot_columns(assign.dot for assign in assigns),
        _bytes("Q", (len(assign.supersedes) for assign in assigns)),
        *_dot_columns(dot for assign in assigns for dot in assign.supersedes),
        _bytes("q", (assign.stamp for assign in assigns)),
        [namespace for (namespace, _), _ in dead],
        [key for (_, key), _ in dead],
        *_dot_columns(dot for _, dot in dead),
    ]


def _assigns(columns: Sequence[Any]) -> Iterator[Assign]:
    namespaces, keys, values, writers, counters, counts, old_writers, old_counters, stamps, *_ = columns
    older = _dots(old_writers, old_counters)
    at = 0
    rows = zip(
        namespaces, keys, values, _dots(writers, counters), _array("Q", counts), _array("q", stamps), strict=True
    )
    for namespace, key, value, dot, count, stamp in rows:
        yield Assign(sys.intern(namespace), key, value, dot, tuple(older[at : at + count]), stamp)
        at += count


def _superseded_dots(columns: Sequence[Any]) -> Iterator[tuple[tuple[str, str], Dot]]:
    namespaces, keys, writers, counters = columns[9:]
    return zip(zip(map(sys.intern, namespaces), keys, strict=True), _dots(writers, counters), strict=True)
