"""Canonical bytes: one value, one encoding, for ever.

The encoding is CBOR (RFC 8949) in its core deterministic form without maps, floats or tags: definite lengths and
shortest integers, fixed-shape arrays. A decoder accepts bytes only if encoding what it read gives the same bytes
again, so nobody can make two ids for one commit by spelling it differently.

`encode` and `decode` go through cbor2. Commits are hashed by the hundred thousand, and a call into cbor2 costs more
than the bytes it writes, so this module also has the four heads that a commit is made of; tests hold
them equal to cbor2 for every input.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NoReturn

import cbor2

from crdtgraph.errors import RemoteError

DEPTH_MAX = 16
"""No record nests deeper than 6 arrays; a peer cannot make the decoder recurse."""
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1

NULL = b"\xf6"
EMPTY_ARRAY = b"\x80"

_TEXT_HEADS = [bytes((0x60 + n,)) if n < 24 else bytes((0x78, n)) for n in range(256)]


_WIDTHS = [(width, 1 << 8 * width - 1) for width in (1, 2, 4, 8)]
_TYPES = {1: "b", 2: "h", 4: "i", 8: "q"}


class RemoteEncodingError(RemoteError):
    """Bytes that are not the canonical encoding of anything."""


class _NoTags(dict[int, NoReturn]):
    """The tags that the decoder knows: none, and looking for one refuses it.

    A tag is more than a type here. Tags 28 and 29 let one value stand in many places, so 300 bytes grow to gigabytes
    when they are encoded again; tag 2 is a number without bounds; others call into date, regex or mail parsers.
    """

    def __getitem__(self, tag: int) -> NoReturn:
        raise RemoteEncodingError(f"tag {tag} is not allowed")


def _refuse_map(_found: object, _immutable: bool) -> NoReturn:
    raise RemoteEncodingError("a map is not allowed")


_NO_TAGS = _NoTags()


def encode(value: object) -> bytes:
    """The canonical bytes of None, integers, bytes, text, and lists or tuples of them."""
    return cbor2.dumps(value)


def decode(data: bytes) -> object:
    """The value whose canonical bytes `data` are; arrays come back as lists.

    Raises RemoteEncodingError when `data` is cut short, has bytes left over, or is a longer or otherwise
    different spelling of its value, or has a map or a tag in it; integers are below 2**64 in size. A boolean, a float
    or another simple value has but one spelling and passes: callers look at types anyway. Cost: O(len(data)), one
    decoding and one encoding.
    """
    try:
        value = cbor2.loads(
            data,
            max_depth=DEPTH_MAX,
            allow_indefinite=False,
            semantic_decoders=_NO_TAGS,
            object_hook=_refuse_map,
        )
        again = cbor2.dumps(value)
    except Exception as failure:  # noqa: BLE001 - whatever cbor2 finds wrong, it is the peer's bytes
        raise RemoteEncodingError(f"{len(data)} bytes are not plain CBOR: {failure}") from None
    if again != data:
        raise RemoteEncodingError(f"{len(data)} bytes are not in canonical form ({len(again)} bytes would be)")
    return value


def head(major: int, argument: int) -> bytes:
    """The initial bytes of a CBOR item: its major type (0 to 7) and its shortest argument (below 2**64)."""
    if argument < 24:
        return bytes((major << 5 | argument,))
    if argument < 1 << 8:
        return bytes((major << 5 | 24, argument))
    if argument < 1 << 16:
        return bytes((major << 5 | 25,)) + argument.to_bytes(2, "big")
    if argument < 1 << 32:
        return bytes((major << 5 | 26,)) + argument.to_bytes(4, "big")
    return bytes((major << 5 | 27,)) + argument.to_bytes(8, "big")


def integer(value: int) -> bytes:
    """A signed 64-bit integer."""
    if value >= 1 << 32:
        return b"\x1b" + value.to_bytes(8, "big")
    return head(0, value) if value >= 0 else head(1, -1 - value)


def integers(values: Iterable[int]) -> list[bytes]:
    """`integer` of each; half the time for times."""
    return [b"\x1b" + value.to_bytes(8, "big") if value >= 1 << 32 else integer(value) for value in values]


def integer_column(values: Sequence[int]) -> bytes:
    """Many signed 64-bit integers as one byte string: the width of each (1, 2, 4 or 8), then all little-endian.

    The width is the least that holds them all; nothing stands for no values. CBOR would take a head for each, and
    cbor2 fifty times as long.
    """
    if not values:
        return b""
    low, high = min(values), max(values)
    width = next((width for width, limit in _WIDTHS if -limit <= low and high < limit), 0)
    if not width:
        raise OverflowError(f"{low} to {high} do not fit into 64 bits")
    if len(values) == 1:
        # As in a segment for one commit, which somebody waits for.
        return bytes((width,)) + low.to_bytes(width, "little", signed=True)
    column = array(_TYPES[width], values)
    if sys.byteorder == "big":
        column.byteswap()
    return bytes((width,)) + column.tobytes()


def read_integer_column(data: bytes) -> list[int]:
    """The inverse of `integer_column`; raises RemoteEncodingError for anything that it would not write."""
    if not data:
        return []
    kind = _TYPES.get(data[0])
    if kind is None or len(data) == 1 or (len(data) - 1) % data[0]:
        raise RemoteEncodingError(f"{len(data)} bytes are not a column of integers")
    column = array(kind, data[1:])
    if sys.byteorder == "big":
        column.byteswap()
    values = column.tolist()
    narrower = next((limit for width, limit in reversed(_WIDTHS) if width < data[0]), 0)
    if -narrower <= min(values) and max(values) < narrower:
        raise RemoteEncodingError(f"a column of integers is {data[0]} bytes wide and need not be")
    return values


def text(value: str) -> bytes:
    """A text; raises UnicodeEncodeError for lone surrogates, which UTF-8 cannot hold."""
    data = value.encode()
    size = len(data)
    return (_TEXT_HEADS[size] if size < 256 else head(3, size)) + data


def texts(values: Iterable[str]) -> list[bytes]:
    """`text` of each, in two thirds of the time."""
    heads = _TEXT_HEADS
    encoded = [value.encode() for value in values]
    return [(heads[len(data)] if len(data) < 256 else head(3, len(data))) + data for data in encoded]


repeated_text = lru_cache(maxsize=4096)(text)
"""`text` for values that come again and again, such as authors."""


def blob(value: bytes) -> bytes:
    """A byte string."""
    return head(2, len(value)) + value
