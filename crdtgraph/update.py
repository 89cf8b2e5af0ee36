"""Read and write the one shape of Yjs update that a plane produces.

A plane's document has one root map, `segments`. Writer w sets each key once and in order, so the item with Yjs clock c
of client w has the key `w-c`, and a state vector says exactly which segments a replica has. An update is then a list
of items (client, clock, value) plus the clock ranges that compaction deleted.

Yjs integrates whatever it is given: an update may overwrite another writer's key, delete it, add other root types, or
leave a gap that waits inside the document for ever. So updates from peers are read here first and anything but the
shape above is refused before the document sees it. It is also how a large diff is cut into chunks, and how a segment
is made durable before it enters the document that peers are served from.

The format is version 1 of Yjs's update encoding (yjs `src/utils/encoding.js`, y-crdt `yrs/src/update.rs`) over lib0's
variable-length integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from crdtgraph.errors import RemoteError
from crdtgraph.ids import WRITER_BITS, SegmentKey

ROOT = "segments"
CLIENTS_MAX = 1 << 20
"""Incarnations that may have written to one plane."""
CLOCK_MAX = 1 << 32
"""Clocks and the sums of a clock and a length stay below it: yrs adds them in 32 bits, and they wrap around."""

_DELETED, _ANY = 1, 8
_HAS_KEY = 0x20
_ANY_BUFFER = 116
_ROOT_HEAD = bytes((1, len(ROOT))) + ROOT.encode()


class RemoteUpdateError(RemoteError):
    """A Yjs update that is malformed or does something other than add segments and delete superseded ones."""


class Item(NamedTuple):
    """One segment on the wire; `value` is None when a compaction has deleted it."""

    key: SegmentKey
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Update:
    """Items by client and ascending clock, and deleted runs (writer, first seq, length) that do not overlap."""

    items: tuple[Item, ...]
    deletes: tuple[tuple[int, int, int], ...] = ()
    _encoded: list[bytes] = field(default_factory=list, init=False, repr=False, compare=False)

    def encode(self) -> bytes:
        """The Yjs bytes of it; items of a client must have consecutive clocks. Kept: log, document and peers get it."""
        if not self._encoded:
            self._encoded.append(self._encode())
        return self._encoded[0]

    def base(self) -> dict[int, int]:
        """The clocks it builds on: for every client with items, the first clock."""
        base: dict[int, int] = {}
        for key, _ in self.items:
            base[key.writer] = min(key.seq, base.get(key.writer, key.seq))
        return base

    def _encode(self) -> bytes:
        out = bytearray()
        runs = list(_runs(self.items))
        out += varint(len(runs))
        for run in runs:
            out += varint(len(run)) + varint(run[0].key.writer) + varint(run[0].key.seq)
            for key, value in run:
                out += _head(key, is_deleted=value is None)
                if value is not None:
                    out += varint(len(value))
                    out += value
        ranges: dict[int, list[tuple[int, int]]] = {}
        for writer, first, length in sorted(self.deletes):
            ranges.setdefault(writer, []).append((first, length))
        out += varint(len(ranges))
        for writer, pairs in ranges.items():
            out += varint(writer) + varint(len(pairs))
            for first, length in pairs:
                out += varint(first) + varint(length)
        return bytes(out)


def decode_update(data: bytes) -> Update:
    """Read an update; raises RemoteUpdateError when it is not of a plane's shape. Cost: O(len(data))."""
    reader = _Reader(data)
    items: list[Item] = []
    writers: set[int] = set()
    for _ in range(reader.number(CLIENTS_MAX)):
        structs = reader.number(CLOCK_MAX)
        writer = reader.new_writer(writers)
        clock = reader.number(CLOCK_MAX)
        if clock + structs >= CLOCK_MAX:
            raise RemoteUpdateError(f"client {writer:x} has {structs} structs from clock {clock}: beyond {CLOCK_MAX}")
        keys = (SegmentKey(writer, seq) for seq in range(clock, clock + structs))
        items += [Item(key, _read_value(reader, key)) for key in keys]
    deletes = _read_deletes(reader)
    reader.end()
    return Update(tuple(items), tuple(deletes))


def decode_state_vector(data: bytes) -> dict[int, int]:
    """Yjs's encoding of a state vector: client -> next clock."""
    reader = _Reader(data)
    clients: set[int] = set()
    vector = {reader.new_writer(clients): reader.number(CLOCK_MAX) for _ in range(reader.number(CLIENTS_MAX))}
    reader.end()
    return vector


def encode_state_vector(vector: dict[int, int]) -> bytes:
    """The inverse of `decode_state_vector`, clients in ascending order."""
    out = bytearray(varint(len(vector)))
    for client in sorted(vector):
        out += varint(client) + varint(vector[client])
    return bytes(out)


def item_size(key: SegmentKey, value_bytes: int | None) -> int:
    """How many bytes an item takes in an update, by the length of its value; None for one that was deleted."""
    head = len(_head(key, is_deleted=value_bytes is None))
    return head if value_bytes is None else head + len(varint(value_bytes)) + value_bytes


def varint(number: int) -> bytes:
    """lib0's variable-length unsigned integer: 7 bits a byte, low bits first."""
    if number < 128:
        return bytes((number,))
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def _head(key: SegmentKey, *, is_deleted: bool) -> bytes:
    """All that stands before the length of a value; of a deleted item, all of it."""
    name = key.text.encode()
    info, content = (_DELETED, b"\x01") if is_deleted else (_ANY, bytes((1, _ANY_BUFFER)))
    return b"".join((bytes((info | _HAS_KEY,)), _ROOT_HEAD, varint(len(name)), name, content))


def _runs(items: Iterable[Item]) -> Iterator[list[Item]]:
    run: list[Item] = []
    for item in items:
        if run and (item.key.writer != run[-1].key.writer or item.key.seq != run[-1].key.seq + 1):
            yield run
            run = []
        run.append(item)
    if run:
        yield run


def _read_deletes(reader: _Reader) -> list[tuple[int, int, int]]:
    # Ranges ascend and do not overlap, so walking over them costs no more than what is held, whatever they claim.
    deletes: list[tuple[int, int, int]] = []
    writers: set[int] = set()
    for _ in range(reader.number(CLIENTS_MAX)):
        writer = reader.new_writer(writers)
        end = 0
        for _ in range(reader.number(CLOCK_MAX)):
            first, length = reader.number(CLOCK_MAX), reader.number(CLOCK_MAX)
            if first < end or not 0 < length < CLOCK_MAX - first:
                raise RemoteUpdateError(
                    f"a deleted range of {writer:x}, {length} from {first}, is empty or out of order"
                )
            end = first + length
            deletes.append((writer, first, length))
    return deletes


def _read_value(reader: _Reader, key: SegmentKey) -> bytes | None:
    head = _head(key, is_deleted=False)
    if reader.data.startswith(head, reader.at):
        # Nearly all items are written like this. Others are looked at closely, to say what is wrong with them.
        reader.at += len(head)
        return reader.take(reader.number(1 << 32))
    info = reader.byte()
    kind = info & 0x1F
    if info != kind | _HAS_KEY or kind not in (_DELETED, _ANY):
        raise RemoteUpdateError(f"an update holds a struct of kind {kind} (info {info:#04x}); segments have none such")
    if reader.byte() != 1 or reader.text() != ROOT:
        raise RemoteUpdateError(f"an update writes outside the root map {ROOT!r}")
    name = reader.text()
    if name != key.text:
        raise RemoteUpdateError(
            f"client {key.writer:x} writes key {name!r:.80} at clock {key.seq}, which is not its own"
        )
    if kind == _DELETED:
        if reader.number(CLOCK_MAX) != 1:
            raise RemoteUpdateError(f"the deleted key {name} is longer than one item")
        return None
    if reader.byte() != 1 or reader.byte() != _ANY_BUFFER:
        raise RemoteUpdateError(f"the value of key {name} is not one byte string")
    return reader.take(reader.number(1 << 32))


class _Reader:
    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        return self.take(1)[0]

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise RemoteUpdateError(f"an update ends {end - len(self.data)} bytes too early")
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, limit: int) -> int:
        data, at = self.data, self.at
        value = shift = 0
        for byte in data[at : at + 10]:
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
        else:
            if shift > 63:
                raise RemoteUpdateError("an update holds a number beyond 64 bits")
            raise RemoteUpdateError("an update ends 1 bytes too early")
        self.at = at
        if value >= limit:
            raise RemoteUpdateError(f"an update holds the number {value}, beyond {limit}")
        return value

    def new_writer(self, seen: set[int]) -> int:
        writer = self.number(1 << WRITER_BITS)
        if writer in seen:
            raise RemoteUpdateError(f"client {writer:x} stands twice in a list of clients")
        seen.add(writer)
        return writer

    def end(self) -> None:
        if self.at != len(self.data):
            raise RemoteUpdateError(f"an update has {len(self.data) - self.at} bytes left over")

    def text(self) -> str:
        size = self.number(1 << 12)
        try:
            return self.take(size).decode()
        except UnicodeDecodeError:
            raise RemoteUpdateError("an update holds a name that is not UTF-8") from None
