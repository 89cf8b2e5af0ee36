"""One content as the difference to another, in git's encoding.

The beginning and the end that two contents share are copied, what is between them is written out. That is all there is
to most changes of a file, and to nearly all of a folder. (https://git-scm.com/docs/gitformat-pack, "Deltified
representation".)
"""

from __future__ import annotations

COPY_BYTES_MAX = 0xFFFFFF
INSERT_BYTES_MAX = 127


def delta_of(base: bytes, data: bytes) -> bytes:
    """The instructions that make `data` of `base`. O(both), by comparing slices."""
    start = _shared_start(base, data)
    end = _shared_end(base[start:], data[start:])
    middle = data[start : len(data) - end]
    return b"".join(
        (
            _size(len(base)),
            _size(len(data)),
            _copy(0, start),
            _insert(middle),
            _copy(len(base) - end, end),
        )
    )


def entry_head(kind: int, size: int) -> bytes:
    """What stands before an object in a pack: its kind in 3 bits, and its size, low bits first."""
    first, size = kind << 4 | size & 15, size >> 4
    return bytes((first | 0x80 * bool(size),)) + (_size(size) if size else b"")


def offset_of_base(distance: int) -> bytes:
    """How far back in the pack the base of a difference stands, high bits first."""
    found = [distance & 127]
    while distance := distance >> 7:
        distance -= 1
        found.append(0x80 | distance & 127)
    return bytes(reversed(found))


def _size(number: int) -> bytes:
    """Seven bits a byte, low bits first."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    found.append(number)
    return bytes(found)


def _copy(offset: int, size: int) -> bytes:
    found = bytearray()
    while size:
        part = min(size, COPY_BYTES_MAX)
        numbers = offset.to_bytes(4, "little") + part.to_bytes(3, "little")
        # Only bytes that are not 0 are written; a bit of the first one says which.
        found.append(0x80 | sum(1 << place for place, byte in enumerate(numbers) if byte))
        found += bytes(filter(None, numbers))
        offset += part
        size -= part
    return bytes(found)


def _insert(data: bytes) -> bytes:
    parts = [data[at : at + INSERT_BYTES_MAX] for at in range(0, len(data), INSERT_BYTES_MAX)]
    return b"".join([bytes((len(part),)) + part for part in parts])


def _shared_start(a: bytes, b: bytes) -> int:
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _shared_end(a: bytes, b: bytes) -> int:
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[len(a) - middle : len(a) - low] == b[len(b) - middle : len(b) - low]:
            low = middle
        else:
            high = middle - 1
    return low
