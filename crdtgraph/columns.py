"""Columns of numbers, ids, keys and dots as byte strings of fixed width, little-endian, and back."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from typing import cast

from crdtgraph.ids import COMMIT_ID_BYTES, CommitId, Dot, SegmentKey


def column_bytes(typecode: str, values: Iterable[int]) -> bytes:
    """Numbers as bytes of fixed width; OverflowError when one does not fit."""
    column = values if isinstance(values, array) else array(typecode, values)
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def read_column(typecode: str, data: bytes, order: str = "little") -> array[int]:
    """The numbers in such bytes; ValueError when they end in the middle of one."""
    column = array(typecode)
    column.frombytes(data)
    if sys.byteorder != order:
        column.byteswap()
    return column


def slices(data: bytes, size: int) -> list[bytes]:
    """Bytes cut into pieces of one size; ValueError when that leaves a rest."""
    if len(data) % size:
        raise ValueError(f"{len(data)} bytes are not so many times {size}")
    return [data[at : at + size] for at in range(0, len(data), size)]


def read_commits(data: bytes) -> list[CommitId]:
    """Ids that stand one behind the other."""
    return cast("list[CommitId]", slices(data, COMMIT_ID_BYTES))


def key_columns(keys: Sequence[SegmentKey]) -> list[bytes]:
    """Segment keys as two columns."""
    return [column_bytes("Q", (key.writer for key in keys)), column_bytes("Q", (key.seq for key in keys))]


def read_keys(writers: bytes, seqs: bytes) -> list[SegmentKey]:
    """The inverse of `key_columns`; ValueError when one is longer."""
    return [
        SegmentKey(writer, seq) for writer, seq in zip(read_column("Q", writers), read_column("Q", seqs), strict=True)
    ]


def dot_columns(dots: Sequence[Dot]) -> list[bytes]:
    """Dots as two columns."""
    return [column_bytes("Q", (dot.writer for dot in dots)), column_bytes("Q", (dot.counter for dot in dots))]


def read_dots(writers: bytes, counters: bytes) -> list[Dot]:
    """The inverse of `dot_columns`; ValueError when one is longer."""
    return [
        Dot(writer, counter)
        for writer, counter in zip(read_column("Q", writers), read_column("Q", counters), strict=True)
    ]
