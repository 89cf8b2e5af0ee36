"""Where the content of each commit is.

The index holds ids and edges; message, author and changes stay in the segment that brought them, which lies compressed
in the plane's document. A *location* is one integer: the number of the segment in this process, and the place in it.
Reading unpacks a segment (about 0.3 ms for 256 commits) and keeps the latest ones.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from crdtgraph.ids import SegmentKey
from crdtgraph.records import Commit, Value
from crdtgraph.segment import RECORDS_MAX, Segment, unpack

CACHED_RECORDS_MAX = 32 * RECORDS_MAX
"""About 15 MB, in 32 full segments. Commits that were made durable one by one are in a segment each, and whoever
follows a chain of them again and again should find all of it."""
SEGMENT_WEIGHT_MIN = 256
"""Records that the smallest segment counts for: it takes some kB and some thirty objects, whatever is in it, and the
garbage collector looks at them all."""

TEXTS_KEPT_MAX = 128
"""About 20 MB with full segments and messages of a line or two."""

_SHIFT = RECORDS_MAX.bit_length()
_MASK = (1 << _SHIFT) - 1


class Readable(Protocol):
    """A batch whose commits can be read as they are."""

    @property
    def commits(self) -> Sequence[Commit]:
        """The commits, in order."""
        ...


class Contents:
    """Commits by location. `load` gives the unpacked segment of a key."""

    __slots__ = ("_cache", "_keys", "_load", "_open", "_texts", "_weight")

    def __init__(self, load: Callable[[SegmentKey], Segment]) -> None:
        self._load = load
        self._keys: list[SegmentKey | bytes | None] = []
        self._open: dict[int, Readable] = {}
        self._cache: OrderedDict[int, Segment] = OrderedDict()
        self._weight = 0
        self._texts: dict[int, tuple[list[str], list[str]]] = {}

    def keys(self) -> list[SegmentKey | None] | None:
        """What locations count by, for `restore`; None if a segment has no key of its own."""
        keys = [key for key in self._keys if not isinstance(key, bytes)]
        return keys if len(keys) == len(self._keys) else None

    def restore(self, keys: Iterable[SegmentKey | None]) -> None:
        """Count by these keys; only before anything was registered. A batch that was started is to be started anew."""
        self._keys = [*keys]
        self._open.clear()

    def start(self, records: Readable) -> int:
        """The location of the first commit of a batch that has no segment yet; the next ones count up from it."""
        self._keys.append(None)
        self._open[len(self._keys) - 1] = records
        return (len(self._keys) - 1) << _SHIFT

    def seal(self, start: int, key: SegmentKey) -> None:
        """The batch that begins at location `start` is in this segment now."""
        self._keys[start >> _SHIFT] = key
        del self._open[start >> _SHIFT]

    def register(self, key: SegmentKey | bytes) -> int:
        """The location of the first commit of a segment, named by its key or, where it has none of its own, itself."""
        self._keys.append(key)
        return (len(self._keys) - 1) << _SHIFT

    def home(self, location: int) -> SegmentKey | bytes | None:
        """The segment that the commit at a location is in, as `register` was given it; None if it is in none yet."""
        return self._keys[location >> _SHIFT]

    def get(self, location: int) -> Commit:
        """The commit at a location."""
        number, position = location >> _SHIFT, location & _MASK
        records = self._open.get(number)
        if records is not None:
            return records.commits[position]
        return self._segment(number).commit(position)

    def origins(self, locations: Iterable[int]) -> list[str]:
        """The origins alone of many commits, in the order given; fastest when neighbours share a segment."""
        found = []
        for location in locations:
            number, position = location >> _SHIFT, location & _MASK
            records = self._open.get(number)
            found.append(records.commits[position].origin if records else self._segment(number).origin(position))
        return found

    def changes(self, locations: Iterable[int]) -> Iterator[tuple[tuple[str, Value], ...]]:
        """The changes alone of many commits, in the order given."""
        for location in locations:
            number, position = location >> _SHIFT, location & _MASK
            records = self._open.get(number)
            yield records.commits[position].changes if records else self._segment(number).changes(position)

    def texts(self, locations: Iterable[int]) -> Iterator[tuple[str, str]]:
        """The authors and messages alone of many commits, in the order given.

        For listings that jump between segments: authors and messages take far less room than whole segments, so those
        of many more are kept.
        """
        kept = self._texts
        for location in locations:
            number, position = location >> _SHIFT, location & _MASK
            records = self._open.get(number)
            if records is not None:
                commit = records.commits[position]
                yield commit.author, commit.message
                continue
            columns = kept.get(number)
            if columns is None:
                columns = kept[number] = self._segment(number).texts()
                if len(kept) > TEXTS_KEPT_MAX:
                    del kept[next(iter(kept))]
            yield columns[0][position], columns[1][position]

    def _segment(self, number: int) -> Segment:
        segment = self._cache.get(number)
        if segment is not None:
            self._cache.move_to_end(number)
            return segment
        key = self._keys[number]
        assert key is not None
        segment = unpack(key, check_signature=False) if isinstance(key, bytes) else self._load(key)
        self._cache[number] = segment
        self._weight += _weight(segment)
        while self._weight > CACHED_RECORDS_MAX:
            self._weight -= _weight(self._cache.popitem(last=False)[1])
        return segment


def _weight(segment: Segment) -> int:
    return max(len(segment), SEGMENT_WEIGHT_MIN)
