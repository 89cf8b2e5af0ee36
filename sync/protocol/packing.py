"""Strict msgpack, the only module that knows it.

Whatever the bytes are, only `RemoteMessageError` comes out. Memory is bounded before anything is built: all but the
bulk bytes of a delta or of segments must fit into `STRUCTURE_BYTES_MAX`, and msgpack's own scanner (which builds
nothing) measures that first.
"""

from __future__ import annotations

import msgpack

from crdtgraph.errors import RemoteError
from sync.protocol.limits import FRAME_BYTES_MAX, KEYS_PER_MESSAGE, STRUCTURE_BYTES_MAX

FIELDS_MAX = 8
"""Of a message, type included."""


class RemoteMessageError(RemoteError):
    """A frame holds no valid message: no msgpack, an unknown type, a field that is wrong or missing."""


def pack(row: list[object]) -> bytes:
    """The bytes of a row; TypeError, ValueError or OverflowError for what msgpack cannot carry. Cost: O(size)."""
    packed: bytes = msgpack.packb(row, use_bin_type=True)
    return packed


def unpack(payload: bytes) -> object:
    """Read a message of a peer, whose structure is bounded; raises RemoteMessageError."""
    structure_bytes = len(payload) if len(payload) <= STRUCTURE_BYTES_MAX else _structure_bytes(payload)
    if structure_bytes > STRUCTURE_BYTES_MAX:
        raise RemoteMessageError(f"a message has more than {STRUCTURE_BYTES_MAX} bytes beside its bulk")
    return unpack_whole(payload)


def unpack_whole(payload: bytes) -> object:
    """Read a payload of which only the size is bounded; raises RemoteMessageError."""
    try:
        row: object = msgpack.unpackb(
            payload,
            raw=False,
            strict_map_key=True,
            max_ext_len=0,
            max_bin_len=FRAME_BYTES_MAX,
            max_str_len=FRAME_BYTES_MAX,
        )
    except (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException) as error:
        raise RemoteMessageError(f"a frame holds no msgpack: {type(error).__name__}: {error!s:.100}") from None
    return row


def _structure_bytes(payload: bytes) -> int:
    """The payload's size without its bulk: byte strings at the top and in lists there. Builds no objects."""
    unpacker = msgpack.Unpacker(max_buffer_size=FRAME_BYTES_MAX)
    unpacker.feed(payload)
    try:
        bulk = sum(_skip(unpacker, payload, lists=True) for _ in range(_entries(unpacker, FIELDS_MAX)))
    except (ValueError, IndexError, msgpack.UnpackException) as error:
        raise RemoteMessageError(f"a frame holds no msgpack: {type(error).__name__}") from None
    return len(payload) - bulk


def _entries(unpacker: msgpack.Unpacker, entries_max: int) -> int:
    entries: int = unpacker.read_array_header()
    if entries > entries_max:
        raise RemoteMessageError(f"a list of {entries} where at most {entries_max} are possible")
    return entries


def _skip(unpacker: msgpack.Unpacker, payload: bytes, *, lists: bool) -> int:
    """Pass over one value; returns how many of its bytes are byte strings."""
    start = unpacker.tell()
    header = payload[start]
    if lists and (header & 0xF0 == 0x90 or header in (0xDC, 0xDD)):
        return sum(_skip(unpacker, payload, lists=False) for _ in range(_entries(unpacker, KEYS_PER_MESSAGE)))
    unpacker.skip()
    return unpacker.tell() - start if header in (0xC4, 0xC5, 0xC6) else 0
