"""A plane on disk: a snapshot of its document, the updates since, and the strays beside it.

Keyspaces: `snapshot` plane -> update, `log` (plane, number) -> update, `strays` (plane, digest) -> segment. The entries
are Yjs updates, so reading them back in order gives the document that wrote them. Beside them, `checkpoints` has what
the plane's projection was (checkpoint.py), which can be done without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set

from crdtgraph.store import Batch, Keyspace, Store
from crdtgraph.update import Update

_OLD_CHECKPOINT = b"checkpoint\0"
"""Where `meta` had a checkpoint in one piece, before there was a keyspace for them."""


class PlaneLog:
    """The entries of one plane in a store. `entries` must be read to its end before anything is written."""

    def __init__(self, store: Store, plane: str) -> None:
        self._store = store
        self._prefix = plane.encode() + b"\0"
        self._number = 0
        self.bytes = 0
        """Of the snapshot and all updates, together; complete once `entries` was read."""
        self.replaced = 0
        """How often `replace` was called: what the log had before may be gone since."""

    def entries(self) -> Iterator[tuple[str, bytes]]:
        """Every update in order, with the name of its place for messages."""
        for _, value in self._store.scan(Keyspace.SNAPSHOT, self._prefix):
            self.bytes += len(value)
            yield "the snapshot", value
        for key, value in self._store.scan(Keyspace.LOG, self._prefix):
            number = int.from_bytes(key[len(self._prefix) :], "big")
            self._number = number + 1
            self.bytes += len(value)
            yield f"log entry {number}", value

    def strays(self) -> Iterator[bytes]:
        """The segments kept beside the document."""
        for _, value in self._store.scan(Keyspace.STRAYS, self._prefix):
            yield value

    def append(self, update: Update, *, sync: bool) -> None:
        """Write one update; durable on return if `sync`."""
        batch = Batch()
        data = update.encode()
        batch.put(Keyspace.LOG, self._prefix + self._number.to_bytes(8, "big"), data)
        self._store.write(batch, sync=sync)
        self._number += 1
        self.bytes += len(data)

    def append_stray(self, digest: bytes, data: bytes) -> None:
        """Write one stray segment, durably."""
        batch = Batch()
        batch.put(Keyspace.STRAYS, self._prefix + digest, data)
        self._store.write(batch, sync=True)

    def replace(self, snapshot: bytes, strays: Set[bytes]) -> None:
        """Put a snapshot of the whole document in the place of snapshot and log, durably and at once.

        Of the strays only those with these digests stay. The checkpoint goes: it is the fold of segments that the
        snapshot has no longer.
        """
        batch = Batch()
        batch.put(Keyspace.SNAPSHOT, self._prefix, snapshot)
        batch.delete(Keyspace.CHECKPOINTS, self._prefix + MANIFEST_NAME)
        for key, _ in self._store.scan(Keyspace.LOG, self._prefix):
            batch.delete(Keyspace.LOG, key)
        for key, _ in self._store.scan(Keyspace.STRAYS, self._prefix):
            if key[len(self._prefix) :] not in strays:
                batch.delete(Keyspace.STRAYS, key)
        self._store.write(batch, sync=True)
        self.bytes = len(snapshot)
        self.replaced += 1


class CheckpointLog:
    """The pieces of the checkpoints of one plane in a store: a manifest, and blocks and parts by name.

    Nothing is synced, as it can always be done without; a store that loses the end of what was written loses it from
    the end, so what a manifest names is there whenever it is. Names ascend: the manifest, blocks by number, parts.
    """

    def __init__(self, store: Store, plane: str) -> None:
        self._store = store
        self._prefix = plane.encode() + b"\0"

    def pieces(self) -> Iterator[tuple[bytes, bytes]]:
        """Name and bytes of everything that is there, ascending by name."""
        for key, value in self._store.scan(Keyspace.CHECKPOINTS, self._prefix):
            yield key[len(self._prefix) :], value

    def put(self, name: bytes, data: bytes) -> None:
        """Write one piece."""
        batch = Batch()
        batch.put(Keyspace.CHECKPOINTS, self._prefix + name, data)
        self._store.write(batch, sync=False)

    def replace(self, manifest: bytes, gone: Iterable[bytes]) -> None:
        """Let this manifest, all of whose pieces are written, take the place of the last; at once drop what is gone."""
        batch = Batch()
        batch.put(Keyspace.CHECKPOINTS, self._prefix + MANIFEST_NAME, manifest)
        for name in gone:
            batch.delete(Keyspace.CHECKPOINTS, self._prefix + name)
        batch.delete(Keyspace.META, _OLD_CHECKPOINT + self._prefix)
        self._store.write(batch, sync=False)


MANIFEST_NAME = b"\0"


def block_name(number: int, generation: int) -> bytes:
    """The name of a block of rows, by its number and the checkpoint that wrote it."""
    return b"\1" + number.to_bytes(4, "big") + generation.to_bytes(8, "big")


def part_name(generation: int, number: int) -> bytes:
    """The name of a part of a checkpoint."""
    return b"\2" + generation.to_bytes(8, "big") + number.to_bytes(4, "big")


def generation_of(name: bytes) -> int:
    """Which checkpoint wrote the block or part of this name."""
    return int.from_bytes(name[1:9] if name[:1] == b"\2" else name[5:13], "big")
