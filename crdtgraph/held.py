"""The set of segments that a plane holds: those of its document, ours on their way to it, and the strays beside it."""

from __future__ import annotations

from collections.abc import Callable

from crdtgraph.beside import Beside
from crdtgraph.document import Document
from crdtgraph.errors import CorruptError
from crdtgraph.ids import SegmentKey
from crdtgraph.outgoing import Outgoing
from crdtgraph.segment import Segment, unpack

Loader = Callable[[SegmentKey], list[Segment]]
"""Gives the segments of a key."""
_MASK = (1 << 256) - 1


class HeldSegments:
    """Reading by key, and what peers compare."""

    name: str
    outgoing: Outgoing
    beside: Beside

    @property
    def document(self) -> Document:
        """The segments that peers may have."""
        return self.outgoing.document()

    def unsettled(self) -> list[SegmentKey]:
        """Segments of ours that were written and not yet fsynced; give them to `settle` after a `Store.sync`."""
        return list(self.outgoing.unsynced)

    def set_digest(self) -> bytes:
        """32 bytes over the set of segments held, strays among them."""
        return (int.from_bytes(self.document.digest(), "big") + self.beside.sum & _MASK).to_bytes(32, "big")

    def verify(self, key: SegmentKey) -> Segment:
        """Read a segment of the document again with all checks; RemoteError says which rule it breaks."""
        segment = unpack(self.document.get(key) or b"")
        if segment.key != key or segment.plane != self.name:
            raise CorruptError(f"it is segment {segment.key.text} of plane {segment.plane!r}")
        return segment

    def stray_segments(self) -> list[Segment]:
        """The segments kept beside the document, read again with all checks."""
        return [unpack(data) for _, _, data in self.beside.strays()]

    def segment_count(self) -> int:
        """How many segments the document holds."""
        return len(self.document)

    def segment_bytes(self, key: SegmentKey) -> list[bytes]:
        """The bytes held under a key: one, or several after a forgery or a cloned process, or none."""
        return [data for data in (self.document.get(key),) if data is not None] + self.beside.under(key)

    def segment_digests(self) -> dict[str, bytes]:
        """Key text -> first 8 bytes of the SHA-256 of its bytes (XORed where a key has several), ascending."""
        found = self.document.key_digests()
        for key, digest, _ in self.beside.strays():
            before = found.get(key.text, bytes(8))
            found[key.text] = bytes(a ^ b for a, b in zip(before, digest, strict=False))
        return dict(sorted(found.items()))


def nothing(_key: SegmentKey) -> list[Segment]:
    """The loader that has none."""
    return []
