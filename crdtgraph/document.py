"""One plane's Yjs document: a grow-only map from segment key to segment bytes.

The only module that knows pycrdt. What it leans on, all of it measured: a state vector says which items were integrated
but nothing about deletions, so agreement is judged by `digest`, never by the vector; an update with a gap would wait
unseen inside the document, so callers look at clocks first (`update.py`); a deleted entry leaves a trace for ever, so
deletions come in runs, from compaction alone.

The document holds only segments that are safe to give to peers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import pycrdt

from crdtgraph.ids import SegmentKey
from crdtgraph.update import ROOT, Item, Update, decode_state_vector, decode_update, encode_state_vector

_MASK = (1 << 256) - 1


class Document:
    """The segments of one plane, as a CRDT. `client` is the number of the writer that will add to it."""

    def __init__(self, client: int) -> None:
        self._doc: pycrdt.Doc[pycrdt.Map[bytes]] = pycrdt.Doc(client_id=client)
        self._segments = self._doc.get(ROOT, type=pycrdt.Map)
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
        for key, value in update.items:
            if key.seq < self._vector.get(key.writer, 0):
                continue
            self._vector[key.writer] = key.seq + 1
            if value is not None and not _covered(key, update.deletes):
                digest = hashlib.sha256(value).digest()
                self._present[key] = digest, len(value)
                self._sum = (self._sum + _term(key, digest)) & _MASK
                self.bytes += len(value)
        self._doc.apply_update(update.encode())

    def get(self, key: SegmentKey) -> bytes | None:
        """The bytes of a segment, or None when it is not (or no longer) there. A copy of the bytes."""
        value = self._segments.get(key.text)
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

    def diff(self, vector: Mapping[int, int]) -> Update:
        """What a replica with that state vector lacks, and every deletion."""
        own = self._vector
        known = {client: min(max(clock, 0), own[client]) for client, clock in vector.items() if client in own}
        return decode_update(self._doc.get_update(encode_state_vector(known)))

    def snapshot(self) -> bytes:
        """The whole document as one Yjs update."""
        return self._doc.get_update()

    def check_state_vector(self) -> bool:
        """Whether the vector kept here is the one that the Yjs document has."""
        return decode_state_vector(self._doc.get_state()) == self._vector

    def check_content(self) -> bool:
        """Whether the segments known here are those that the Yjs document has. O(bytes held)."""
        texts = sorted(self._segments.keys())
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
