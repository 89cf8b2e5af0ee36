"""Rows: what the state at a commit has otherwise than that at one before it, as bytes that can be searched as they are.

    row   = version, level, depth, base's id (zeros if none), table, crc32
    page  = table, crc32
    table = count, ends of the paths, ends of the values, kinds, paths, values

A table is sorted by path, so a path is found by bisection without reading the others. A large one is cut into *pages*:
then the row's own table has the first path of each page and its name, a hash of its bytes. Where a page ends is decided
by a checksum of the path it ends with, not by counting, so two tables that differ in a few paths share most pages (the
chunks of Eshghi and Tang, "A Framework for Analyzing and Improving Content-Based Chunking Algorithms", 2005). Numbers
are little-endian. A row is only ever the memory of what commits say: one that is damaged is worth nothing and harms
nobody, as its checksum tells.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from struct import Struct
from zlib import crc32

from crdtgraph.canonical import RemoteEncodingError, decode, encode
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId
from crdtgraph.records import Reference, Value

VERSION = 1
"""Of the format of rows; those of another version are not read."""
PAGED_ENTRIES_MIN = 512
"""A table beyond this is cut into pages."""
PAGE_ENTRIES = 128
"""On average; a power of two."""
PAGE_ENTRIES_MAX = 1_024
PAGE_NAME_BYTES = 20
"""Of the SHA-256 of a page: enough that no two pages ever share a name by accident."""

REMOVED, BYTES, REFERENCE, PAGE = range(4)
"""Kinds of values."""

Entry = tuple[bytes, int, bytes]
"""A path, and the kind and the bytes of its value."""

_HEAD = Struct("<BBI32s")
_COUNT = Struct("<I")
_NO_BASE = bytes(COMMIT_ID_BYTES)


class DamagedError(Exception):
    """A row or page that is not what was written, or is not there."""


class Table:
    """Sorted paths with their values, read in place."""

    __slots__ = ("_data", "_kinds", "_path_ends", "_paths", "_value_ends", "_values", "count")

    def __init__(self, data: bytes, start: int) -> None:
        (self.count,) = _COUNT.unpack_from(data, start)
        count = self.count
        ends = _numbers(data[start + 4 : start + 4 + 8 * count])
        if len(ends) != 2 * count:
            raise DamagedError("a table is cut off")
        self._data = data
        self._path_ends, self._value_ends = ends[:count], ends[count:]
        self._kinds = start + 4 + 8 * count
        self._paths = self._kinds + count
        self._values = self._paths + (self._path_ends[-1] if count else 0)

    def path(self, place: int) -> bytes:
        """The path at a place."""
        start = self._path_ends[place - 1] if place else 0
        return self._data[self._paths + start : self._paths + self._path_ends[place]]

    def value(self, place: int) -> tuple[int, bytes]:
        """The kind and the bytes of the value at a place."""
        start = self._value_ends[place - 1] if place else 0
        raw = self._data[self._values + start : self._values + self._value_ends[place]]
        return self._data[self._kinds + place], raw

    def at_or_before(self, path: bytes) -> int:
        """The place of the last path that is not greater; -1 if all are."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.path(middle) <= path:
                low = middle + 1
            else:
                high = middle
        return low - 1


class Row:
    """What one commit's state has otherwise than that at `base`, `depth` first parents from its root.

    `level` is 0 for a single commit's changes; `base` is None when the row has the whole state.
    """

    __slots__ = ("base", "depth", "level", "size", "table")

    def __init__(self, data: bytes) -> None:
        """Read a row; raises DamagedError. O(entries) at the speed of a checksum."""
        _check(data)
        version, self.level, self.depth, base = _HEAD.unpack_from(data)
        if version != VERSION:
            raise DamagedError(f"a row of version {version} is not one of {VERSION}")
        self.base: CommitId | None = None if base == _NO_BASE else CommitId(base)
        self.table = Table(data, _HEAD.size)
        self.size = len(data)

    def find(self, path: bytes, page: Callable[[bytes], Table]) -> tuple[int, bytes] | None:
        """The kind and bytes of a path's value, None if the row does not speak of it. O(log entries)."""
        table = self.table
        place = table.at_or_before(path)
        if place < 0:
            return None
        found = table.value(place)
        if found[0] == PAGE:
            table = page(found[1])
            place = table.at_or_before(path)
            found = table.value(place) if place >= 0 else found
        return found if place >= 0 and table.path(place) == path else None

    def entries(self, page: Callable[[bytes], Table]) -> Iterator[Entry]:
        """All entries, ascending."""
        for table in self.tables(page):
            for place in range(table.count):
                yield (table.path(place), *table.value(place))

    def items(self, page: Callable[[bytes], Table]) -> Iterator[tuple[str, Value]]:
        """All paths with their values, ascending; None for a path that was removed."""
        for path, kind, raw in self.entries(page):
            yield path.decode(), read_value(kind, raw)

    def tables(self, page: Callable[[bytes], Table]) -> Iterator[Table]:
        """The tables that have the entries themselves."""
        names = self.pages()
        if names:
            yield from map(page, names)
        else:
            yield self.table

    def pages(self) -> list[bytes]:
        """The names of its pages; none if its table has the entries itself."""
        table = self.table
        values = (
            [table.value(place) for place in range(table.count)] if table.count and table.value(0)[0] == PAGE else ()
        )
        return [name for _, name in values]


def read_page(data: bytes) -> Table:
    """Read a page; raises DamagedError."""
    _check(data)
    return Table(data, 0)


def read_value(kind: int, raw: bytes) -> Value:
    """A value as it was given; raises DamagedError."""
    if kind == BYTES:
        return raw
    if kind == REMOVED:
        return None
    try:
        fields = decode(raw)
    except RemoteEncodingError as failure:
        raise DamagedError("a value is of no known kind") from failure
    if kind != REFERENCE or type(fields) is not list or len(fields) != 3:
        raise DamagedError("a value is of no known kind")
    return Reference(*fields)


class RowWriter:
    """Makes a row of entries that come in ascending order of paths; `put_page` is given each page when it is full."""

    def __init__(self, put_page: Callable[[bytes, bytes], object]) -> None:
        self._put_page = put_page
        self._entries: list[Entry] = []
        self._pages: list[Entry] = []

    def add(self, entry: Entry) -> None:
        """The next one."""
        entries = self._entries
        entries.append(entry)
        if self._pages:
            if _ends_page(entries):
                self._cut()
        elif len(entries) > PAGED_ENTRIES_MIN:
            # So many that they are cut into pages: these, and all that follow.
            waiting, self._entries = entries, []
            for each in waiting:
                self._entries.append(each)
                if _ends_page(self._entries):
                    self._cut()
            if not self._pages:
                self._cut()

    def finish(self, level: int, depth: int, base: CommitId | None) -> bytes:
        """The bytes of the row."""
        if self._pages and self._entries:
            self._cut()
        data = _HEAD.pack(VERSION, level, depth, base or _NO_BASE) + _table(self._pages or self._entries)
        return data + _COUNT.pack(crc32(data))

    def _cut(self) -> None:
        data = _table(self._entries)
        data += _COUNT.pack(crc32(data))
        name = hashlib.sha256(data).digest()[:PAGE_NAME_BYTES]
        self._put_page(name, data)
        self._pages.append((self._entries[0][0], PAGE, name))
        self._entries = []


def entries_of(changes: Iterable[tuple[str, Value]]) -> list[Entry]:
    """Changes as a row has them: by path, each once (of several the last)."""
    return [(path.encode(), *_raw(value)) for path, value in sorted(dict(changes).items())]


def _ends_page(entries: Sequence[Entry]) -> bool:
    return not crc32(entries[-1][0]) & (PAGE_ENTRIES - 1) or len(entries) >= PAGE_ENTRIES_MAX


def _table(entries: Sequence[Entry]) -> bytes:
    path_ends, value_ends = array("I"), array("I")
    paths = values = 0
    for path, _, raw in entries:
        paths += len(path)
        values += len(raw)
        path_ends.append(paths)
        value_ends.append(values)
    ends = path_ends + value_ends
    if sys.byteorder == "big":
        ends.byteswap()
    return b"".join(
        [
            _COUNT.pack(len(entries)),
            ends.tobytes(),
            bytes([kind for _, kind, _ in entries]),
            *[path for path, _, _ in entries],
            *[raw for _, _, raw in entries],
        ]
    )


def _raw(value: Value) -> tuple[int, bytes]:
    if value is None:
        return REMOVED, b""
    if isinstance(value, Reference):
        return REFERENCE, encode([value.scheme, value.digest, value.size])
    return BYTES, value


def _numbers(data: bytes) -> array[int]:
    numbers = array("I")
    numbers.frombytes(data[: len(data) // 4 * 4])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _check(data: bytes) -> None:
    if len(data) < 8 or crc32(memoryview(data)[:-4]) != _COUNT.unpack_from(data, len(data) - 4)[0]:
        raise DamagedError("a checksum is wrong")
