"""Names of things: commits, replicas, writers, dots and segments.

A commit's id is the SHA-256 of its canonical bytes, so two writers that say the same thing name it alike.
Everything else is named by who said it and as which of their sayings: a *dot* (writer, counter) names one
assignment, a *segment key* (writer, seq) one signed batch. The idea of a dot is from "Dotted Version Vectors"
(Preguica et al., 2010).

A writer is one incarnation of a replica, that is one process start. Its number is derived from the replica's
public key and 16 fresh random bytes, which every segment carries: nobody can sign under another's number, and
a replica that lost its last writes never counts from a number it has used before.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple, NewType

COMMIT_ID_BYTES = 32
REPLICA_ID_BYTES = 16
INCARNATION_BYTES = 16
WRITER_BITS = 53
"""Yjs client ids must stay exact as a JavaScript number."""
SEQ_BITS = 32
"""Yjs clocks are unsigned 32-bit integers."""
SHORT_ID_DIGITS_MIN = 8
"""A shown prefix is never shorter, so that it stays unique for a while after it was copied."""

CommitId = NewType("CommitId", bytes)
ReplicaId = NewType("ReplicaId", bytes)


class Dot(NamedTuple):
    """The name of one assignment: the writer that made it and the writer's own count, from 0."""

    writer: int
    counter: int

    @property
    def text(self) -> str:
        """The dot for people: `writer.counter` in short lower-case hex."""
        return f"{self.writer:x}.{self.counter:x}"


class SegmentKey(NamedTuple):
    """The name of one segment: its writer and its place in the writer's log, from 0."""

    writer: int
    seq: int

    @property
    def text(self) -> str:
        """The key in the plane's map: `writer-seq` in short lower-case hex."""
        return f"{self.writer:x}-{self.seq:x}"

    @classmethod
    def parse(cls, text: str) -> SegmentKey:
        """Read `writer-seq`; raises ValueError for anything but the one spelling that `text` gives."""
        writer, dash, seq = text.partition("-")
        key = cls(int(writer, 16), int(seq, 16)) if dash else cls(-1, -1)
        if key.text != text or not 0 <= key.writer < 1 << WRITER_BITS or not 0 <= key.seq < 1 << SEQ_BITS:
            raise ValueError(f"{text!r} is not a segment key: writer-seq in lower-case hex")
        return key


def replica_id(public_key: bytes) -> ReplicaId:
    """The first 16 bytes of the SHA-256 of an Ed25519 public key (32 bytes)."""
    return ReplicaId(hashlib.sha256(public_key).digest()[:REPLICA_ID_BYTES])


def writer_id(public_key: bytes, incarnation: bytes) -> int:
    """The 53-bit number under which one incarnation (16 random bytes) of a replica writes."""
    digest = hashlib.sha256(b"crdtgraph writer\0" + public_key + incarnation).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - WRITER_BITS)


def unique_prefix(ids: Sequence[CommitId], wanted: CommitId, digits_min: int = SHORT_ID_DIGITS_MIN) -> str:
    """The shortest hex prefix of `wanted` that no other id in `ids` has, at least `digits_min` long.

    `ids` is sorted ascending. In a sorted list the longest common prefix is shared with a neighbour, so
    two comparisons are enough: O(log n).
    """
    place = bisect_left(ids, wanted)
    text = wanted.hex()
    digits = digits_min
    for neighbour in (place - 1, place, place + 1):
        if 0 <= neighbour < len(ids) and ids[neighbour] != wanted:
            digits = max(digits, _common_digits(text, ids[neighbour].hex()) + 1)
    return text[:digits]


def _common_digits(left: str, right: str) -> int:
    return next((place for place, pair in enumerate(zip(left, right, strict=True)) if pair[0] != pair[1]), len(left))
