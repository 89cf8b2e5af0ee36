"""The objects of one replica, on its disk.

Keyspace `objects`:

    b + hash    a block (see `format`): root, list or chunk
    o + id      the object is here whole; the value is its size
    w + id      a commit names it and it is not here; the value is the size that the commit claims

Blocks are written before what says that they are there, and both before the segment of the commit that names the
object. A store's log keeps the order of writes, so whatever a crash takes back, no commit of ours is left without its
objects, and no object is marked as whole that is not.

What is read is verified, always: a block that is damaged is removed, its object is wanted again, and a peer gives it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator

from crdtgraph.errors import CorruptError, StoreCorruptError
from crdtgraph.objects.format import (
    BLOCK_BYTES_MAX,
    Builder,
    ObjectCorruptError,
    ObjectMissingError,
    Readable,
    RemoteObjectError,
    Root,
    chunks_of,
    hash_of,
    hashes_in,
    read_root,
)
from crdtgraph.records import OBJECT_SCHEME, Reference
from crdtgraph.store import Batch, Keyspace, Store

BATCH_BYTES = 1 << 20
"""Blocks are written in batches of about this size: no value has to fit into memory."""
STEP_BLOCKS = 64
"""Blocks that are read in one step of longer work: 4 MiB, some milliseconds."""
FRESH_MAX = 100_000
"""Blocks and objects that were put and that no commit need name yet, so that garbage collection leaves them alone. Of
more the oldest are no longer known, and what no commit names by then may be collected. About 10 MB."""

_BLOCK, _WHOLE, _WANTED = b"b", b"o", b"w"
SCANNED_KEY = b"scanned"
"""Says that every commit was looked through once for what it names. A new store has it from the start."""
_SIZE_BYTES = 8

_MISSING_HINT = "a node with a peer that has it fetches it; `crdtgraph status` counts what is missing"


class ObjectStore:
    """Objects by reference, blocks by hash. `on_wanted` is called when one is missing that was not known to be."""

    def __init__(self, store: Store) -> None:
        self.on_wanted: Callable[[], object] = list
        self.is_collecting = False
        """Whether a collection of garbage is under way."""
        self.missing = 0
        """Objects that are wanted and not here ..."""
        self.missing_bytes = 0
        """... and their bytes."""
        self._store = store
        self._is_synced = True
        self._fresh: dict[bytes, None] = {}
        self._older: dict[bytes, None] = {}
        for _, size in self.wanted():
            self.missing += 1
            self.missing_bytes += size

    # Whole objects

    def put(self, source: bytes | Readable | Iterable[bytes]) -> Reference:
        """Keep a value; it survives a power cut with the next synced write. Equal blocks are kept once. O(size).

        Raises LocalError for something else than bytes, StoreError when the disk refuses: what was written by then
        is garbage that is collected.
        """
        builder = Builder()
        batch = Batch()
        size = 0
        for chunk in chunks_of(source):
            size += self._add(batch, builder.add(chunk))
            if size >= BATCH_BYTES:
                self._write(batch)
                batch, size = Batch(), 0
        reference, blocks = builder.finish()
        self._add(batch, blocks)
        self._mark_whole(batch, reference.digest, reference.size)
        return reference

    def has(self, reference: Reference) -> bool:
        """Whether an object is here whole."""
        return self._size_of(_WHOLE, reference.digest) == reference.size

    def get(self, reference: Reference) -> bytes:
        """The bytes of an object; see `read`."""
        return b"".join(self.read(reference))

    def read(self, reference: Reference) -> Iterator[bytes]:
        """The bytes of an object, chunk by chunk, each verified.

        Raises:
            ObjectMissingError: it is not here, or not all of it.
            ObjectCorruptError: the disk has something else. What is damaged was removed, and is fetched again.
        """
        yield from self._chunks(reference, self._root(reference))

    def blocks_of(self, object_id: bytes) -> Iterator[bytes]:
        """The names of the blocks that are known to belong to an object: of all of them if it is whole."""
        data = self.block(object_id)
        if data is None:
            return
        yield object_id
        root = _root_or_none(data)
        if root is None:
            return
        for name in root.hashes:
            yield name
            if root.has_lists and (joined := self.block(name)) is not None:
                yield from hashes_in(joined)

    def whole(self) -> Iterator[tuple[bytes, int]]:
        """Id and size of the objects that are here, ascending by id."""
        return self._listed(_WHOLE)

    def is_whole(self, object_id: bytes) -> bool:
        """Whether an object of this id is here whole."""
        return self._store.get(Keyspace.OBJECTS, _WHOLE + object_id) is not None

    # Wanted objects

    def want(self, references: Iterable[Reference], *, fresh: bool = True) -> int:
        """Note what commits name and what is not here; how many were new. Not synced.

        `fresh` says that the commits may be new, so that a collection under way has not seen them.
        """
        batch = Batch()
        found: dict[bytes, int] = {}
        for reference in references:
            if reference.scheme != OBJECT_SCHEME or len(reference.digest) != len(hash_of(b"")):
                continue
            if fresh:
                self._keep_fresh(reference.digest)
            if reference.digest in found or self.is_whole(reference.digest):
                continue
            if self._size_of(_WANTED, reference.digest) is None:
                found[reference.digest] = reference.size
                batch.put(Keyspace.OBJECTS, _WANTED + reference.digest, _packed(reference.size))
        if found and not self._store.read_only:
            self._write(batch)
            self.missing += len(found)
            self.missing_bytes += sum(found.values())
            self.on_wanted()
        return len(found)

    def wanted(self) -> Iterator[tuple[bytes, int]]:
        """Id and claimed size of the objects that are missing, ascending by id."""
        return self._listed(_WANTED)

    def is_wanted(self, object_id: bytes) -> bool:
        """Whether an object is missing."""
        return self._store.get(Keyspace.OBJECTS, _WANTED + object_id) is not None

    def complete(self, object_id: bytes, size: int) -> None:
        """All blocks of an object are here: mark it as whole."""
        self._mark_whole(Batch(), object_id, size)

    def forget(self, object_id: bytes) -> None:
        """An object is not wanted any longer."""
        batch = Batch()
        self._unwant(batch, object_id)
        if batch:
            self._write(batch)

    def sync(self) -> None:
        """Return when all that was put is on disk. What a commit names is before the commit is."""
        if not self._is_synced:
            self._is_synced = True
            try:
                self._store.sync()
            except BaseException:
                self._is_synced = False
                raise

    @property
    def is_scanned(self) -> bool:
        """Whether every commit was looked through for objects once; those that come later are at once."""
        return self._store.get(Keyspace.OBJECTS, SCANNED_KEY) is not None

    def note_scanned(self) -> None:
        """Every commit was looked through."""
        batch = Batch()
        batch.put(Keyspace.OBJECTS, SCANNED_KEY, b"")
        self._write(batch)

    # Blocks

    def block(self, name: bytes) -> bytes | None:
        """A block as it was written, or None if it is not here. One that is damaged is removed."""
        try:
            data = self._store.get(Keyspace.OBJECTS, _BLOCK + name)
        except StoreCorruptError:
            # The engine found it before us. Whatever else is damaged, this can be had from a peer.
            data = b""
        if data is None or hash_of(data) == name:
            return data
        if not self._store.read_only:
            batch = Batch()
            batch.delete(Keyspace.OBJECTS, _BLOCK + name)
            self._write(batch)
        return None

    def keep_fresh(self, reference: Reference) -> None:
        """From now on an object is fresh, as if it had been put; also while a collection is under way."""
        self._keep_fresh(reference.digest)

    def holds(self, name: bytes) -> bool:
        """Whether a block is here, undamaged; from now on it is fresh, as if it had been put."""
        self._keep_fresh(name)
        return self.block(name) is not None

    def put_block(self, name: bytes, data: bytes) -> None:
        """Keep a block that came from elsewhere; RemoteObjectError unless it is the one of this name."""
        if len(data) > BLOCK_BYTES_MAX or hash_of(data) != name:
            raise RemoteObjectError(f"{len(data)} bytes are not the block {name.hex()[:16]} of an object")
        batch = Batch()
        if self._add(batch, [(name, data)]):
            self._write(batch)

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """Name and length of every block that is here. O(bytes of all)."""
        for key, data in self._store.scan(Keyspace.OBJECTS, _BLOCK):
            yield key[len(_BLOCK) :], len(data)

    def lose(self, object_id: bytes) -> None:
        """An object that was marked as whole lacks a block: fetch it again."""
        size = self._size_of(_WHOLE, object_id)
        if size is None or self._store.read_only:
            return
        batch = Batch()
        batch.delete(Keyspace.OBJECTS, _WHOLE + object_id)
        batch.put(Keyspace.OBJECTS, _WANTED + object_id, _packed(size))
        self._write(batch)
        self.missing += 1
        self.missing_bytes += size
        self.on_wanted()

    # Garbage

    def is_fresh(self, name: bytes) -> bool:
        """Whether an object or a block was put, or named by a commit, so lately that it is no garbage."""
        return name in self._fresh or name in self._older

    def grow_older(self) -> None:
        """A collection is over: what was fresh before the one before it is so no longer."""
        self._older, self._fresh = self._fresh, {}

    def remove(self, *, objects: Iterable[bytes] = (), blocks: Iterable[bytes] = ()) -> None:
        """Remove marks of whole and wanted objects, and blocks, in one write."""
        batch = Batch()
        for name in objects:
            batch.delete(Keyspace.OBJECTS, _WHOLE + name)
            self._unwant(batch, name)
        for name in blocks:
            batch.delete(Keyspace.OBJECTS, _BLOCK + name)
        if batch:
            self._write(batch)

    # Checking

    def check_steps(self, object_id: bytes, size: int) -> Generator[None, None, str]:
        """What is wrong with an object that is marked as whole, "" if nothing; what is damaged is fetched again."""
        reference = Reference(OBJECT_SCHEME, object_id, size)
        try:
            for number, _ in enumerate(self.read(reference), 1):
                if number % STEP_BLOCKS == 0:
                    yield
        except (CorruptError, ObjectMissingError) as failure:
            return failure.message
        return ""

    def finish_steps(self, object_id: bytes) -> Generator[None, None, Reference]:
        """Mark an object as whole whose blocks were put one by one; ObjectMissingError if some were not."""
        try:
            root = read_root(self.block(object_id) or b"")
            reference = Reference(OBJECT_SCHEME, object_id, root.size)
            for number, _ in enumerate(self._chunks(reference, root), 1):
                if number % STEP_BLOCKS == 0:
                    yield
        except (CorruptError, RemoteObjectError) as failure:
            message = f"not all blocks of object {object_id.hex()[:16]} were put: {failure.message}"
            raise ObjectMissingError(message) from failure
        self._mark_whole(Batch(), object_id, root.size)
        return reference

    # Inside

    def _add(self, batch: Batch, blocks: Iterable[tuple[bytes, bytes]]) -> int:
        size = 0
        for name, data in blocks:
            self._keep_fresh(name)
            if self.block(name) != data:
                batch.put(Keyspace.OBJECTS, _BLOCK + name, data)
                size += len(data)
        return size

    def _write(self, batch: Batch) -> None:
        self._store.write(batch, sync=False)
        self._is_synced = False

    def _mark_whole(self, batch: Batch, object_id: bytes, size: int) -> None:
        self._keep_fresh(object_id)
        if self._size_of(_WHOLE, object_id) != size:
            batch.put(Keyspace.OBJECTS, _WHOLE + object_id, _packed(size))
        self._unwant(batch, object_id)
        if batch:
            self._write(batch)

    def _unwant(self, batch: Batch, object_id: bytes) -> None:
        claimed = self._size_of(_WANTED, object_id)
        if claimed is not None:
            batch.delete(Keyspace.OBJECTS, _WANTED + object_id)
            self.missing -= 1
            self.missing_bytes -= claimed

    def _keep_fresh(self, name: bytes) -> None:
        self._fresh[name] = None
        if len(self._fresh) > FRESH_MAX:
            del self._fresh[next(iter(self._fresh))]

    def _size_of(self, kind: bytes, object_id: bytes) -> int | None:
        data = self._store.get(Keyspace.OBJECTS, kind + object_id)
        return None if data is None else int.from_bytes(data, "big")

    def _listed(self, kind: bytes) -> Iterator[tuple[bytes, int]]:
        for key, size in self._store.scan(Keyspace.OBJECTS, kind):
            yield key[len(kind) :], int.from_bytes(size, "big")

    def _root(self, reference: Reference) -> Root:
        if reference.scheme != OBJECT_SCHEME:
            raise ObjectMissingError(f"{shown(reference)} is not kept here", hint="fetch it from where it is kept")
        if not self.is_whole(reference.digest):
            raise ObjectMissingError(f"{shown(reference)} is not here", hint=_MISSING_HINT)
        data = self._require(reference, reference.digest)
        try:
            root = read_root(data)
        except RemoteObjectError as failure:
            raise ObjectCorruptError(f"{shown(reference)}: {failure}") from failure
        if root.size != reference.size:
            raise ObjectCorruptError(f"{shown(reference)} has {root.size} bytes", hint="the commit names a wrong size")
        return root

    def _chunks(self, reference: Reference, root: Root) -> Iterator[bytes]:
        for number, name in enumerate(self._chunk_names(reference, root)):
            chunk = self._require(reference, name)
            if len(chunk) != root.chunk_bytes(number):
                raise ObjectCorruptError(f"chunk {number} of {shown(reference)} has {len(chunk)} bytes")
            yield chunk

    def _chunk_names(self, reference: Reference, root: Root) -> Iterator[bytes]:
        if not root.has_lists:
            yield from root.hashes
            return
        for place, name in enumerate(root.hashes):
            found = hashes_in(self._require(reference, name))
            if len(found) != root.list_length(place):
                raise ObjectCorruptError(f"list {place} of {shown(reference)} has {len(found)} hashes")
            yield from found

    def _require(self, reference: Reference, name: bytes) -> bytes:
        data = self.block(name)
        if data is not None:
            return data
        self.lose(reference.digest)
        raise ObjectCorruptError(
            f"{shown(reference)} is damaged on the disk: block {name.hex()[:16]}",
            hint="a node fetches it again from a peer that has it",
        )


def shown(reference: Reference) -> str:
    """A reference, for a message."""
    return f"{reference.scheme} {reference.digest.hex()[:16]} ({reference.size} bytes)"


def _packed(size: int) -> bytes:
    return size.to_bytes(_SIZE_BYTES, "big")


def _root_or_none(data: bytes) -> Root | None:
    try:
        return read_root(data)
    except RemoteObjectError:
        return None
