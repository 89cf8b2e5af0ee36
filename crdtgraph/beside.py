"""What a plane's document cannot say: segments that are kept beside it, and places that lack theirs.

A Yjs document holds one segment under a key, and none where it was told of a deletion. Two things do not fit into that:

- A *stray* is a verified segment that no diff can bring: the second one under a number that was used twice (a cloned
  process), or one whose place the document holds as deleted.
- A *hole* is such a deleted place whose records are not here: no segment that we hold supersedes it, and no stray fills
  it. A diff goes by clocks, so it brings the places of compacted segments before the segment that they were joined
  into, and a replica that is cut off in between has holes. The state vector covers them, so no later diff mentions
  them again. They are filled by key from any peer that holds the segments, or closed by the one that supersedes them.

Both are functions of what is held, and found again when a plane is read back from its store.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from crdtgraph.document import Document
from crdtgraph.ids import SegmentKey
from crdtgraph.segment import Segment
from crdtgraph.update import Item


class Beside:
    """Strays and holes of one plane. `superseded` is the projection's own set, read here as it grows."""

    def __init__(self, document: Document, superseded: Set[SegmentKey]) -> None:
        self.holes: set[SegmentKey] = set()
        self.sum = 0
        """What the strays add to the digest of the document."""
        self._document = document
        self._superseded = superseded
        self._strays: dict[SegmentKey, dict[bytes, bytes]] = {}

    def is_wanted(self, key: SegmentKey, digest: bytes, data: bytes) -> bool:
        """Whether a segment (`digest` is its SHA-256) would add anything to what is held."""
        known = digest in self._strays.get(key, ()) or key in self._superseded
        return not known and self._document.get(key) != data

    def add(self, segment: Segment, data: bytes) -> None:
        """Keep a segment that is wanted and was folded."""
        self._strays.setdefault(segment.key, {})[segment.digest] = data
        self.sum += Document.term(segment.key, data)
        self.holes.discard(segment.key)
        self._close(segment.supersedes)

    def note_integrated(self, items: Iterable[Item], segments: Iterable[Segment]) -> None:
        """The document has new items, and `segments`, which are those with a value, were folded."""
        for segment in segments:
            self._close(segment.supersedes)
        for key, value in items:
            if value is None:
                if key not in self._superseded and key not in self._strays:
                    self.holes.add(key)
            elif key in self._strays:
                # What an exchange brought after it was adopted is no stray any more.
                self._drop(key, [digest for digest, data in self._strays[key].items() if data == value])

    def under(self, key: SegmentKey) -> list[bytes]:
        """The strays of a key."""
        return list(self._strays.get(key, {}).values())

    def strays(self) -> Iterator[tuple[SegmentKey, bytes, bytes]]:
        """All of them in order, as key, digest and bytes."""
        for key in sorted(self._strays):
            for digest, data in sorted(self._strays[key].items()):
                yield key, digest, data

    def close_superseded(self) -> None:
        """Segments were superseded since this was last called, in the projection. O(holes and strays), mostly none."""
        self._close([key for key in (*self.holes, *self._strays) if key in self._superseded])

    def _close(self, superseded: Iterable[SegmentKey]) -> None:
        for key in superseded:
            self.holes.discard(key)
            if key in self._strays:
                self._drop(key, list(self._strays[key]))

    def _drop(self, key: SegmentKey, digests: list[bytes]) -> None:
        strays = self._strays[key]
        for digest in digests:
            self.sum -= Document.term(key, strays.pop(digest))
        if not strays:
            del self._strays[key]
