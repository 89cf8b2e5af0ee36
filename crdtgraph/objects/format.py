"""How a large value becomes blocks, and how the name of an object follows from its bytes.

An object is a small Merkle tree (as in git, IPFS or BitTorrent v2): its bytes are cut into *chunks*, and a *root* block
lists their hashes together with the size. The SHA-256 of the root is the object's id. When the hashes do not fit into
one root, it lists *lists*: blocks of nothing but hashes of chunks.

    root     canonical CBOR: ["crdtgraph object", 1, size, hashes joined]
    list     up to 2,048 hashes of chunks, joined
    chunk    64 KiB of the object, the last one less

What always holds: whoever knows an id can verify each block by itself as it comes, from whomever it comes, and equal
bytes have equal ids. A size says how many blocks of each kind there are, so nothing has to be believed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeGuard

from crdtgraph.canonical import decode, encode
from crdtgraph.errors import CorruptError, LocalError, NotFoundError, RemoteError
from crdtgraph.limits import DELTA_BYTES_MAX
from crdtgraph.records import OBJECT_SCHEME, Reference, Value

HASH_BYTES = 32
INLINE_BYTES_MAX = 16 << 10
"""A larger value becomes an object. Inline it travels with its commit and stays in memory as long as the plane does;
as an object it costs two questions to a peer and some 150 bytes. A quarter of a delta: no value holds up much news."""
CHUNK_BYTES = DELTA_BYTES_MAX
"""What a slow link does not lose much of with a connection, and what news waits for at most."""
FANOUT = CHUNK_BYTES // HASH_BYTES
"""Hashes in one block: then no block is much larger than a chunk."""
OBJECT_BYTES_MAX = FANOUT * FANOUT * CHUNK_BYTES
"""256 GiB: what two levels of hashes can name."""
BLOCK_BYTES_MAX = CHUNK_BYTES + 64

_MAGIC = "crdtgraph object"
_VERSION = 1
_READ_BYTES = 1 << 20


class ObjectMissingError(NotFoundError):
    """An object, or a part of it, is not here."""


class ObjectCorruptError(CorruptError):
    """The bytes of an object on the disk are not those that its name is the hash of."""


class RemoteObjectError(RemoteError):
    """A peer gave bytes that are not the block asked for, or a commit names something that is no object."""


class Readable(Protocol):
    """A file opened to read bytes."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


@dataclass(frozen=True, slots=True)
class Root:
    """What the root block of an object says. `hashes` are of chunks, or of lists if there are too many chunks."""

    size: int
    hashes: tuple[bytes, ...]

    @property
    def chunks(self) -> int:
        """How many chunks the object has."""
        return -(-self.size // CHUNK_BYTES)

    @property
    def has_lists(self) -> bool:
        """Whether `hashes` are of lists."""
        return self.chunks > FANOUT

    def encode(self) -> bytes:
        """The bytes of the block."""
        return encode([_MAGIC, _VERSION, self.size, b"".join(self.hashes)])

    def list_length(self, place: int) -> int:
        """How many hashes the list at a place of `hashes` has."""
        return min(FANOUT, self.chunks - place * FANOUT)

    def chunk_bytes(self, number: int) -> int:
        """How many bytes a chunk has."""
        return min(CHUNK_BYTES, self.size - number * CHUNK_BYTES)


def hash_of(block: bytes) -> bytes:
    """The name of a block."""
    return hashlib.sha256(block).digest()


def read_root(data: bytes) -> Root:
    """What a root block says; RemoteObjectError if it is none."""
    try:
        fields = decode(data)
    except RemoteError as failure:
        raise RemoteObjectError(f"a block of {len(data)} bytes is no root of an object: {failure}") from None
    match fields:
        case [str() as magic, int() as version, int() as size, bytes() as joined] if magic == _MAGIC:
            pass
        case _:
            raise RemoteObjectError(f"a block of {len(data)} bytes is no root of an object")
    if version != _VERSION or not 0 <= size <= OBJECT_BYTES_MAX:
        raise RemoteObjectError(f"an object of version {version} with {size} bytes cannot be read by this version")
    root = Root(size, tuple(hashes_in(joined)))
    if len(root.hashes) != (-(-root.chunks // FANOUT) if root.has_lists else root.chunks):
        raise RemoteObjectError(f"an object of {size} bytes lists {len(root.hashes)} hashes")
    return root


def hashes_in(joined: bytes) -> list[bytes]:
    """The hashes in a list block; RemoteObjectError if it is none."""
    if len(joined) % HASH_BYTES:
        raise RemoteObjectError(f"{len(joined)} bytes are no list of hashes")
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]


class Builder:
    """Makes the blocks of one object from its chunks, in order; holds one block's hashes at a time (of the lists: all).

    for chunk in chunks_of(source):
        for name, block in builder.add(chunk): ...
    reference, blocks = builder.finish()
    """

    def __init__(self) -> None:
        self._size = 0
        self._hashes: list[bytes] = []
        self._lists: list[bytes] = []

    def add(self, chunk: bytes) -> list[tuple[bytes, bytes]]:
        """The blocks that are complete with the next chunk; all but the last one have `CHUNK_BYTES`."""
        made = self._seal() if len(self._hashes) == FANOUT else []
        if self._size + len(chunk) > OBJECT_BYTES_MAX:
            raise LocalError(f"an object has at most {OBJECT_BYTES_MAX} bytes", hint="split it")
        self._size += len(chunk)
        name = hash_of(chunk)
        self._hashes.append(name)
        return [*made, (name, chunk)]

    def finish(self) -> tuple[Reference, list[tuple[bytes, bytes]]]:
        """The object, and its last blocks; the root is the very last."""
        made = self._seal() if self._lists else []
        root = Root(self._size, tuple(self._lists or self._hashes)).encode()
        name = hash_of(root)
        return Reference(OBJECT_SCHEME, name, self._size), [*made, (name, root)]

    def _seal(self) -> list[tuple[bytes, bytes]]:
        block = b"".join(self._hashes)
        name = hash_of(block)
        self._hashes = []
        self._lists.append(name)
        return [(name, block)]


def chunks_of(source: bytes | Readable | Iterable[bytes]) -> Iterator[bytes]:
    """The chunks of a value: bytes, a file opened for reading bytes, or pieces of any size. Holds about 1 MiB."""
    if isinstance(source, bytes):
        yield from (source[at : at + CHUNK_BYTES] for at in range(0, len(source), CHUNK_BYTES))
        return
    rest = bytearray()
    for piece in _pieces(source):
        if not isinstance(piece, bytes | bytearray | memoryview):
            raise LocalError(
                f"a piece of an object is {type(piece).__name__}", hint="open files with 'rb'; encode texts first"
            )
        rest += piece
        whole = len(rest) - len(rest) % CHUNK_BYTES
        for at in range(0, whole, CHUNK_BYTES):
            yield bytes(rest[at : at + CHUNK_BYTES])
        del rest[:whole]
    if rest:
        yield bytes(rest)


def reference_of(data: bytes) -> Reference:
    """What stands for a value that is kept as an object; nothing is stored. O(size)."""
    builder = Builder()
    for chunk in chunks_of(data):
        builder.add(chunk)
    return builder.finish()[0]


def is_large(value: Value) -> TypeGuard[bytes]:
    """Whether a value is kept as an object, beside its commit."""
    return type(value) is bytes and len(value) > INLINE_BYTES_MAX


def as_kept(value: Value) -> Value:
    """The value as a commit has it: the reference, if it is large. Nothing is stored. O(size)."""
    return reference_of(value) if is_large(value) else value


def _pieces(source: Readable | Iterable[bytes]) -> Iterable[bytes]:
    read = getattr(source, "read", None)
    if read is not None:
        return iter(lambda: read(_READ_BYTES), b"")
    if not isinstance(source, Iterable):
        raise LocalError(f"{source!r:.60} is no object", hint="pass bytes, a file opened with 'rb', or pieces of bytes")
    return source
