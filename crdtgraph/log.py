"""A plane on disk: a snapshot of its document, the updates since, and the strays beside it.

Keyspaces: `snapshot` plane -> update, `log` (plane, number) -> update, `strays` (plane, digest) -> segment. The entries
are Yjs updates, so reading them back in order gives the document that wrote them. Beside them `meta` has a checkpoint
of the plane's projection, which can be done without.
"""

from __future__ import annotations

from collections.abc import Iterator, Set

from crdtgraph.store import Batch, Keyspace, Store
from crdtgraph.update import Update

_CHECKPOINT = b"checkpoint\0"


class PlaneLog:
    """The entries of one plane in a store. `entries` must be read to its end before anything is written."""

    def __init__(self, store: Store, plane: str) -> None:
        self._store = store
        self._prefix = plane.encode() + b"\0"
        self._number = 0
        self.bytes = 0
        """Of the snapshot and all updates, together; complete once `entries` was read."""

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

    def checkpoint(self) -> bytes | None:
        """What `keep_checkpoint` kept last."""
        return self._store.get(Keyspace.META, _CHECKPOINT + self._prefix)

    def keep_checkpoint(self, data: bytes) -> None:
        """Keep this in the place of the last checkpoint; not synced, as it can always be done without."""
        batch = Batch()
        batch.put(Keyspace.META, _CHECKPOINT + self._prefix, data)
        self._store.write(batch, sync=False)

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

        Of the strays only those with these digests stay.
        """
        batch = Batch()
        batch.put(Keyspace.SNAPSHOT, self._prefix, snapshot)
        for key, _ in self._store.scan(Keyspace.LOG, self._prefix):
            batch.delete(Keyspace.LOG, key)
        for key, _ in self._store.scan(Keyspace.STRAYS, self._prefix):
            if key[len(self._prefix) :] not in strays:
                batch.delete(Keyspace.STRAYS, key)
        self._store.write(batch, sync=True)
        self.bytes = len(snapshot)
