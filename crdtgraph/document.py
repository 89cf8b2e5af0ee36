"""One plane's Yjs document: a grow-only map from segment key to segment bytes.

The only module that knows pycrdt. What it leans on, all of it measured: a state vector says which items were integrated
but nothing about deletions, so agreement is judged by `digest`, never by the vector; an update with a gap would wait
unseen inside the document, so callers look at clocks first (`update.py`); a deleted entry leaves a trace for ever, so
deletions come in runs, from compaction alone.

The document holds only segments that are safe to give to peers.

The Yjs document itself is made when it is first asked for, which is when there are peers. Until then the segments are
kept as they came: most commands never exchange anything, and importing pycrdt takes longer than most answers. Each
writer sets its own keys, once and in order, so what is held decides what the Yjs document is, and one that is made late
is, to the byte, the one that was given every update as it came.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from crdtgraph.ids import SegmentKey
from crdtgraph.update import ROOT, Item, Update, decode_state_vector, decode_update, encode_state_vector

if TYPE_CHECKING:
    import pycrdt

_MASK = (1 << 256) - 1
_ITEMS_AT_ONCE = 64
"""So many segments are given to a new Yjs document with one update, of 16 MiB as a rule at most."""


class Document:
    """The segments of one plane, as a CRDT. `client` is the number of the writer that will add to it."""

    def __init__(self, client: int) -> None:
        self._client = client
        self._yjs: tuple[pycrdt.Doc[pycrdt.Map[bytes]], pycrdt.Map[bytes]] | None = None
        # The segments present, by key, as long as there is no Yjs document that holds them.
        self._values: dict[SegmentKey, bytes] = {}
        # Places (writer, first seq, length) that a damaged store has lost: Yjs must not take them for deleted ones.
        self._lost: list[tuple[int, int, int]] = []
        self._vector: dict[int, int] = {}
        # Of every segment present the SHA-256 and the length: a question to Yjs costs a transaction and a copy.
        self._present: dict[SegmentKey, tuple[bytes, int]] = {}
        self._sum = 0
        self.bytes = 0
        """Of all segments present, together."""

    def __len__(self) -> int:
        return len(self._present)

    def __contains__(self, key: SegmentKey) -> bool:
        return key in self._present

    @property
    def state_vector(self) -> Mapping[int, int]:
        """Client -> next clock, for every writer that it has segments of."""
        return self._vector

    def digest(self) -> bytes:
        """32 bytes over the set of (key, bytes) present; kept up to date, O(1) to read."""
        return self._sum.to_bytes(32, "big")

    def apply(self, update: Update) -> None:
        """Integrate an update without gaps; items that are there already are ignored."""
        for key in set(self.present(update.deletes)):
            digest, size = self._present.pop(key)
            self._sum = (self._sum - _term(key, digest)) & _MASK
            self.bytes -= size
            self._values.pop(key, None)
        for key, value in update.items:
            known = self._vector.get(key.writer, 0)
            if key.seq < known:
                continue
            if key.seq > known:
                self._lost.append((key.writer, known, key.seq - known))
            self._vector[key.writer] = key.seq + 1
            if value is not None and not _covered(key, update.deletes):
                digest = hashlib.sha256(value).digest()
                self._present[key] = digest, len(value)
                self._sum = (self._sum + _term(key, digest)) & _MASK
                self.bytes += len(value)
                if self._yjs is None:
                    self._values[key] = value
        if self._yjs is not None:
            self._yjs[0].apply_update(update.encode())

    def get(self, key: SegmentKey) -> bytes | None:
        """The bytes of a segment, or None when it is not (or no longer) there. Once there is a Yjs document, a copy."""
        if self._yjs is None:
            return self._values.get(key)
        value = self._yjs[1].get(key.text)
        return None if value is None else bytes(value)

    @property
    def held(self) -> Mapping[SegmentKey, tuple[bytes, int]]:
        """The SHA-256 and the length of every segment present, by key."""
        return self._present

    def segment_keys(self) -> list[SegmentKey]:
        """The keys present, ascending."""
        return sorted(self._present)

    def key_digests(self) -> dict[str, bytes]:
        """Key text -> first 8 bytes of the SHA-256 of its segment, ascending. O(segments)."""
        return {key.text: self._present[key][0][:8] for key in self.segment_keys()}

    def prepare(self) -> None:
        """Make the Yjs document now, if it is not there yet, so that the first exchange need not. O(bytes held)."""
        self._made()

    def diff(self, vector: Mapping[int, int]) -> Update:
        """What a replica with that state vector lacks, and every deletion."""
        own = self._vector
        known = {client: min(max(clock, 0), own[client]) for client, clock in vector.items() if client in own}
        return decode_update(self._made()[0].get_update(encode_state_vector(known)))

    def snapshot(self) -> bytes:
        """The whole document as one Yjs update."""
        return self._made()[0].get_update()

    def check_state_vector(self) -> bool:
        """Whether the vector kept here is the one that the Yjs document has."""
        return decode_state_vector(self._made()[0].get_state()) == self._vector

    def check_content(self) -> bool:
        """Whether the segments known here are those that the Yjs document has. O(bytes held)."""
        texts = sorted(self._made()[1].keys())
        if texts != sorted(key.text for key in self._present):
            return False
        return all(
            hashlib.sha256(self.get(key) or b"").digest() == digest for key, (digest, _) in self._present.items()
        )

    def present(self, deletes: tuple[tuple[int, int, int], ...]) -> Iterator[SegmentKey]:
        """The keys held here that these runs (writer, first seq, length) would delete."""
        for writer, first, length in deletes:
            for seq in range(first, min(first + length, self._vector.get(writer, 0))):
                key = SegmentKey(writer, seq)
                if key in self:
                    yield key

    def _made(self) -> tuple[pycrdt.Doc[pycrdt.Map[bytes]], pycrdt.Map[bytes]]:
        if self._yjs is None:
            import pycrdt

            doc: pycrdt.Doc[pycrdt.Map[bytes]] = pycrdt.Doc(client_id=self._client)
            segments = doc.get(ROOT, type=pycrdt.Map)
            for writer, first, end in self._runs():
                for start in range(first, end, _ITEMS_AT_ONCE):
                    keys = (SegmentKey(writer, seq) for seq in range(start, min(start + _ITEMS_AT_ONCE, end)))
                    # An item without a value is one that a compaction has deleted.
                    doc.apply_update(Update(tuple(Item(key, self._values.get(key)) for key in keys)).encode())
            self._yjs = doc, segments
            self._values = {}
        return self._yjs

    def _runs(self) -> Iterator[tuple[int, int, int]]:
        """The places that the vector covers as (writer, first seq, seq after the last): one run for each writer."""
        for writer, clock in sorted(self._vector.items()):
            first = 0
            for _, lost, length in (gap for gap in self._lost if gap[0] == writer):
                yield writer, first, lost
                first = lost + length
            yield writer, first, clock

    @staticmethod
    def term(key: SegmentKey, value: bytes) -> int:
        """What one segment adds to the digest."""
        return _term(key, hashlib.sha256(value).digest())


def _term(key: SegmentKey, digest: bytes) -> int:
    return int.from_bytes(hashlib.sha256(key.text.encode() + b"\0" + digest).digest(), "big")


def _covered(key: SegmentKey, deletes: tuple[tuple[int, int, int], ...]) -> bool:
    return any(writer == key.writer and first <= key.seq < first + length for writer, first, length in deletes)


def item_update(key: SegmentKey, value: bytes) -> Update:
    """The update that adds one segment."""
    return Update((Item(key, value),))
