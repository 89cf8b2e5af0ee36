"""The fields of messages: each function turns a value as it came into a checked one, or raises `FieldError`.

Types are compared exactly, because to Python a bool is an int: what was read is written again as the same
bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from crdtgraph.ids import REPLICA_ID_BYTES, WRITER_BITS, ReplicaId
from sync.protocol.limits import ADDRESSES_MAX, KEYS_PER_MESSAGE, PLANE_NAME_BYTES_MAX, TEXT_BYTES_MAX, WRITERS_MAX
from sync.protocol.messages import HASH_BYTES

CLOCK_MAX = 1 << 32
KEY_BYTES_MAX = 64
"""A segment key is two hex numbers and a dash."""

_Field = TypeVar("_Field")


class FieldError(Exception):
    """A field is not what it should be; the codec says in which message."""


def shown(value: object) -> str:
    """The beginning of a value, for an error message."""
    return f"{value!r:.60}"


def of(kind: type[_Field], value: object) -> _Field:
    """The value itself, of exactly this type."""
    if type(value) is not kind:
        raise FieldError(f"{shown(value)} is not {kind.__name__}")
    return value


def number(value: object, limit: int) -> int:
    """An integer from 0 to below `limit`."""
    found = of(int, value)
    if not 0 <= found < limit:
        raise FieldError(f"{shown(found)} is not from 0 to below {limit}")
    return found


def text(value: object, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """A text of at most so many bytes."""
    found = of(str, value)
    if len(found) > bytes_max or len(found.encode()) > bytes_max:
        raise FieldError(f"a text has more than {bytes_max} bytes: {shown(found)}")
    return found


def exactly(value: object, lengths: tuple[int, ...]) -> bytes:
    """A byte string of one of these lengths."""
    data = of(bytes, value)
    if len(data) not in lengths:
        raise FieldError(f"{len(data)} bytes where {' or '.join(map(str, lengths))} belong")
    return data


def blob(value: object, bytes_max: int) -> bytes:
    """A byte string of at most so many bytes."""
    data = of(bytes, value)
    if len(data) > bytes_max:
        raise FieldError(f"{len(data)} bytes, at most {bytes_max} are possible")
    return data


def list_of(value: object, length_max: int) -> list[object]:
    """A list of at most so many entries."""
    entries: list[object] = of(list, value)
    if len(entries) > length_max:
        raise FieldError(f"a list of {len(entries)}, at most {length_max} are possible")
    return entries


def tuple_of(value: object, length: int) -> list[object]:
    """A list of exactly so many entries."""
    entries: list[object] = of(list, value)
    if len(entries) != length:
        raise FieldError(f"a list of {len(entries)} where {length} belong")
    return entries


def plane_name(value: object) -> str:
    """A plane's name."""
    return text(value, PLANE_NAME_BYTES_MAX)


def state_vector(value: object) -> dict[int, int]:
    """A state vector from its flat form."""
    entries = list_of(value, 2 * WRITERS_MAX)
    if len(entries) % 2:
        raise FieldError("a state vector with a writer that has no clock")
    vector: dict[int, int] = {}
    before = -1
    for place in range(0, len(entries), 2):
        writer = number(entries[place], 1 << WRITER_BITS)
        if writer <= before:
            raise FieldError(f"a state vector that is not in ascending order at writer {writer:x}")
        vector[writer] = number(entries[place + 1], CLOCK_MAX)
        before = writer
    return vector


def flat(vector: Mapping[int, int]) -> list[int]:
    """The flat form of a state vector."""
    return [entry for writer in sorted(vector) for entry in (writer, vector[writer])]


def hashes(value: object) -> dict[str, bytes]:
    """Segment keys with the beginnings of their hashes."""
    table: dict[object, object] = of(dict, value)
    if len(table) > KEYS_PER_MESSAGE:
        raise FieldError(f"{len(table)} keys, at most {KEYS_PER_MESSAGE} go in one message")
    return {text(key, KEY_BYTES_MAX): exactly(each, (HASH_BYTES,)) for key, each in table.items()}


def replica_of(value: object) -> ReplicaId:
    """A replica id."""
    return ReplicaId(exactly(value, (REPLICA_ID_BYTES,)))


def addresses_of(value: object) -> tuple[str, ...]:
    """Addresses to listen on or to dial."""
    return tuple(text(each) for each in list_of(value, ADDRESSES_MAX))
