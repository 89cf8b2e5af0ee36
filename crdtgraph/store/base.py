"""What the graph needs of a disk: a few ordered byte maps, changed together or not at all.

A store is a small set of *keyspaces*, each an ordered map from bytes to bytes. The graph writes through
batches that are atomic over all keyspaces and reads through `get` and prefix scans; nothing above knows which
engine is below. The shape follows the storage traits of other replicated stores (go-ds-crdt's datastore, jj's
`OpHeadsStore`): an interface beside its implementations, and one conformance suite that runs against all of
them.

What always holds, for every backend:

- A batch is applied whole or not at all, also when the process is killed in the middle.
- What `write(..., sync=True)` or `sync()` returned for survives a power cut. What was written without either
  survives the death of the process but not of the machine.
- Scans run in ascending order of keys and see the store as it was when the scan was asked for.
- The key `FORMAT_KEY` in `Keyspace.META` holds the format version; the store writes it when it is created,
  and refuses to open one that is newer than `FORMAT`. Callers leave this key alone.
- A store is never repaired, emptied or recreated behind the caller's back.

One thread at a time reads and writes; `sync` and `close` may be called from any thread at any moment.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple, Protocol, runtime_checkable

from crdtgraph.errors import StoreCorruptError, StoreVersionError

FORMAT = 2
"""The version of the layout that this code writes. It grows when older code could no longer read a store.

1 had the keyspaces of `FIRST_KEYSPACES` only; opening such a store to write adds the others.
"""

FORMAT_KEY = b"format"
"""Where the version is kept, in `Keyspace.META`, as a decimal number in ASCII."""

SEED_KEY, CLUSTER_KEY = b"replica-seed", b"cluster"
"""Which replica this is: its secret key and its cluster's name, in `Keyspace.META`. A copy of them is that replica."""

CORRUPT_HINT = "restore it from a copy, or move it away, create a new store and let that fetch the history from a peer"
"""What to do about damage. The files are left as they are, so that nothing is lost by looking first."""


class Keyspace(StrEnum):
    """The ordered maps of a store. The values are names on disk and never change."""

    META = "meta"
    LOG = "log"
    SNAPSHOT = "snapshot"
    STRAYS = "strays"
    STATES = "states"
    OBJECTS = "objects"
    CHECKPOINTS = "checkpoints"


FIRST_KEYSPACES = frozenset({Keyspace.META, Keyspace.LOG, Keyspace.SNAPSHOT, Keyspace.STRAYS})
"""What a store of format 1 has."""


RECORDS = frozenset({Keyspace.LOG, Keyspace.STRAYS, Keyspace.OBJECTS})
"""Where what was said is kept. All else follows from it, and is part of what keeping it costs."""


class Traffic(NamedTuple):
    """What a store was given and what that cost, in bytes, since its creation. A crash loses a few megabytes of both.

    `records` are the keys and values written to the keyspaces of `RECORDS`, `disk` is all that the engine wrote to its
    files for whatever reason: log, tables, and tables again. `disk` is None where that cannot be told.
    """

    records: int
    disk: int | None

    @property
    def amplification(self) -> float | None:
        """Bytes written for each byte of a record; None if it cannot be told, or nothing was written."""
        return self.disk / self.records if self.disk is not None and self.records else None


@runtime_checkable
class Measured(Protocol):
    """A store that knows its `Traffic`."""

    def traffic(self) -> Traffic:
        """What was written so far. Costs about a millisecond."""
        ...


@runtime_checkable
class Checked(Protocol):
    """A store that can look for damage which reading every entry would not show."""

    def problems(self) -> Iterator[str]:
        """Look at everything; yields what is wrong, and "" after each keyspace. O(size)."""
        ...


class Batch:
    """Changes that are applied together or not at all, in the order in which they were added.

    `operations` holds `(keyspace, key, value)`; a value of None deletes the key. Keys and values may be
    empty. A batch is spent by one `Store.write`, but a store neither changes nor keeps it.
    """

    __slots__ = ("operations",)

    def __init__(self) -> None:
        self.operations: list[tuple[Keyspace, bytes, bytes | None]] = []

    def __len__(self) -> int:
        return len(self.operations)

    def put(self, keyspace: Keyspace, key: bytes, value: bytes) -> None:
        """Set `key` to `value`, replacing what was there."""
        self.operations.append((keyspace, key, value))

    def delete(self, keyspace: Keyspace, key: bytes) -> None:
        """Remove `key`; it is no error if it isn't there."""
        self.operations.append((keyspace, key, None))


class Store(Protocol):
    """One open store. Made by `crdtgraph.store.open_store`.

    Every method but `close` raises `LocalError` once the store is closed, and may raise `StoreError` (or its
    subclass `StoreCorruptError`) when the engine below fails. After a failed write reading goes on; to write
    again, remove the cause (free disk space, say) and `reopen` the store, or close it and open it anew.
    """

    @property
    def url(self) -> str:
        """The URL that opens this store again, with an absolute path where there is one."""
        ...

    @property
    def read_only(self) -> bool:
        """True if this store was opened to read only. It then shows the state as of its opening."""
        ...

    def write(self, batch: Batch, *, sync: bool) -> None:
        """Apply `batch` atomically over all keyspaces.

        Args:
            batch: the changes. An empty one changes nothing.
            sync: return only when this batch, and all before it, would survive a power cut.

        Raises:
            StoreError: nothing of the batch is visible; the store must be reopened before the next write.
            LocalError: the store is closed or read-only.
        """
        ...

    def sync(self) -> None:
        """Return only when everything written so far would survive a power cut.

        Safe to call from any thread while another one writes; it does not hold the interpreter lock while it
        waits.

        Raises:
            StoreError: the disk failed; what was written since the last sync may be lost with the machine.
        """
        ...

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        """Return the value of `key`, or None if there is none."""
        ...

    def scan(self, keyspace: Keyspace, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Iterate over the entries whose key starts with `prefix`, ascending by key as bytes.

        The iterator shows the keyspace as it is *now*, whatever is written while it runs. Closing the store
        ends it: the next step raises `LocalError`.
        """
        ...

    def reopen(self) -> None:
        """Let writing go on after a failed write, without letting go of the store. What was written is durable then.

        Whether the failed write is there shows now. Scans that are under way may end with a StoreError.

        Raises:
            StoreError: the cause is not gone. Reading goes on, and another call tries again.
        """
        ...

    def close(self) -> None:
        """Make everything durable and release the store. Closing again does nothing.

        Raises:
            StoreError: the last sync failed. The store is released all the same.
        """
        ...


def check_format(url: str, stored: bytes | None) -> int:
    """Check the version that a store was written in, and return it.

    Args:
        url: names the store in errors.
        stored: the value of `FORMAT_KEY`.

    Raises:
        StoreVersionError: the store is newer than this code.
        StoreCorruptError: the value is missing or is no version.
    """
    if stored is None or not stored.isdigit() or int(stored) < 1:
        found = "no format version" if stored is None else f"the format version {stored!r}"
        raise StoreCorruptError(f"the store {url} has {found}", hint=CORRUPT_HINT)
    if int(stored) > FORMAT:
        raise StoreVersionError(
            f"the store {url} has format {int(stored)}, this version reads up to {FORMAT}",
            hint="open it with the newer version of crdtgraph that wrote it, or upgrade this one",
        )
    return int(stored)
