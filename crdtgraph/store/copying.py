"""Whole stores: what is in one, as a sum; and a new one that is there whole or not at all.

The format version is each store's own affair, so it is no part of a copy. Everything else is, in this order: keyspace
by keyspace as `Keyspace` lists them, ascending by key. Two stores with equal sums hold the same bytes, whatever engine
keeps them.

A store that is being filled stands beside its place, at `PATH.unfinished`, and is moved there at the end. What an
interrupted filling left is nobody's store and is removed by the next one.
"""

import hashlib
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from crdtgraph.errors import LocalError, NotAStoreError, StoreCorruptError, StoreError, StoreLockedError
from crdtgraph.store import open_store
from crdtgraph.store.base import FORMAT_KEY, Batch, Keyspace, Store
from crdtgraph.store.directory import Content, StoreDirectory
from crdtgraph.store.locking import FAILURE_HINT
from crdtgraph.store.naming import FILE_SUFFIXES, MEMORY, SQLITE, split_url

UNFINISHED_SUFFIX, REPLACED_SUFFIX = ".unfinished", ".replaced"
BATCH_BYTES_MAX = 4 << 20
BATCH_ENTRIES_MAX = 1_000
PROGRESS_BYTES = 1 << 20

_BESIDE = ("", *FILE_SUFFIXES)
_FRAME = struct.Struct(">BII")
_KEYSPACES = list(Keyspace)

Entry = tuple[Keyspace, bytes, bytes]
Progress = Callable[[int], object]
"""Called now and then with how many bytes of keys and values are done."""


class Sum(NamedTuple):
    """What a store holds: how many entries, how many bytes of keys and values, and 32 bytes over all of it."""

    entries: int
    size: int
    digest: bytes


def frame(keyspace: Keyspace, key: bytes, value: bytes) -> bytes:
    """What stands before key and value where entries are strung together: number of the keyspace, both lengths."""
    return _FRAME.pack(_KEYSPACES.index(keyspace), len(key), len(value))


def entries(store: Store) -> Iterator[Entry]:
    """All entries but the format version, in order.

    They are of one moment if nobody writes meanwhile, as in a store that was opened to read only.
    """
    for keyspace in Keyspace:
        for key, value in store.scan(keyspace):
            if keyspace is not Keyspace.META or key != FORMAT_KEY:
                yield keyspace, key, value


class Summing:
    """Passes entries on, and has their `Sum` in the end."""

    def __init__(self, source: Iterable[Entry], progress: Progress | None = None) -> None:
        self._source = source
        self._progress = progress
        self._hash = hashlib.sha256()
        self._entries = self._bytes = 0

    def __iter__(self) -> Iterator[Entry]:
        reported = 0
        for keyspace, key, value in self._source:
            self._hash.update(frame(keyspace, key, value))
            self._hash.update(key)
            self._hash.update(value)
            self._entries += 1
            self._bytes += len(key) + len(value)
            if self._progress is not None and self._bytes >= reported + PROGRESS_BYTES:
                reported = self._bytes
                self._progress(reported)
            yield keyspace, key, value

    def sum(self) -> Sum:
        """Of what was passed on so far."""
        return Sum(self._entries, self._bytes, self._hash.digest())


def sum_of(store: Store, progress: Progress | None = None) -> Sum:
    """Read everything and sum it up. About 1 ms a megabyte and 3 us an entry."""
    summing = Summing(entries(store), progress)
    for _ in summing:
        pass
    return summing.sum()


def fill(store: Store, source: Iterable[Entry]) -> None:
    """Write entries to a store in batches of a few megabytes; durable on return."""
    batch, size = Batch(), 0
    for keyspace, key, value in source:
        batch.put(keyspace, key, value)
        size += len(key) + len(value)
        if size >= BATCH_BYTES_MAX or len(batch) >= BATCH_ENTRIES_MAX:
            store.write(batch, sync=False)
            batch, size = Batch(), 0
    store.write(batch, sync=True)


def verify(store: Store, expected: Sum, progress: Progress | None = None) -> None:
    """Read a copy back; StoreCorruptError unless it is what was to be copied."""
    found = sum_of(store, progress)
    if found != expected:
        raise StoreCorruptError(
            f"the copy has {found.entries} entries with the digest {found.digest.hex()[:16]}, "
            f"not {expected.entries} with {expected.digest.hex()[:16]}",
            hint="the disk does not give back what it was given; use another one, nothing was changed",
        )


def require_vacant(url: str) -> None:
    """Raise LocalError unless a new store may be put at `url`: nothing is there, or an empty folder for a folder."""
    scheme, path = split_url(url)
    if scheme == MEMORY:
        raise LocalError(
            f"{url!r} is gone when this command ends", hint="name a store on disk: rocksdb:PATH, sqlite:PATH"
        )
    if scheme == SQLITE and not os.path.lexists(path) and os.path.exists(path + "-wal"):
        raise LocalError(f"{url} is not empty: {path}-wal is there", hint="it was another store's; move it away first")
    if not os.path.lexists(path) or (scheme != SQLITE and StoreDirectory(path).content() is Content.EMPTY):
        return
    try:
        store = open_store(url, read_only=True)
    except NotAStoreError:
        what = "something else is there"
    else:
        count = sum(1 for _ in entries(store))
        store.close()
        what = f"a store with {count} entries is there"
    raise LocalError(f"{url} is not empty: {what}", hint="name a path that doesn't exist yet, or move that away first")


@contextmanager
def building(url: str, *, replacing: bool = False) -> Iterator[Store]:
    """A new store to be filled; it is at `url` when the block ends, and not at all if an error ends it.

    With `replacing` there may be a store, which has to be closed, and whose place it takes.

    Raises LocalError when the place is taken, StoreLockedError when somebody else is filling one for it, StoreError.
    """
    if not replacing:
        require_vacant(url)
    scheme, place = split_url(url)
    path = os.path.abspath(place)
    unfinished = path + UNFINISHED_SUFFIX
    store = _fresh(f"{scheme}:{unfinished}", unfinished)
    try:
        yield store
        store.close()
        if replacing and os.path.lexists(path):
            _set_aside(url, path)
        _move(unfinished, path)
        _remove(path + REPLACED_SUFFIX)
    except BaseException as error:
        with suppress(StoreError):
            store.close()
        with suppress(OSError):
            _remove(unfinished)
        if isinstance(error, OSError):
            raise StoreError(f"the store {url} can't be created: {error.strerror or error}", FAILURE_HINT) from error
        raise


def _fresh(url: str, path: str) -> Store:
    """An empty store; one that is there is a rest, unless somebody has it open."""
    store = open_store(url)
    if any(True for _ in entries(store)):
        store.close()
        _remove(path)
        store = open_store(url)
    return store


def _set_aside(url: str, path: str) -> None:
    """Make room for the successor of a store that nobody writes to."""
    open_store(url, create=False).close()  # Now all of it is in its own file, or files.
    if any(os.path.exists(path + suffix) for suffix in _BESIDE[1:3]):
        # They would be taken for those of the successor.
        raise StoreLockedError(f"somebody reads the store {url}", hint="end that first; nothing was changed")
    _remove(path + REPLACED_SUFFIX)
    os.rename(path, path + REPLACED_SUFFIX)


def _move(source: str, target: str) -> None:
    """Move a closed store to where nothing is, durably."""
    if os.path.isdir(source):
        os.rename(source, target)  # Refused by the system unless the target is absent or empty.
    else:
        os.link(source, target)  # Unlike a rename this never replaces anything.
        with suppress(FileExistsError):  # It tells a damaged store from another program's file.
            os.link(source + ".lock", target + ".lock")
        _remove(source)
    descriptor = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    """Remove a closed store, whatever engine made it."""
    if os.path.isdir(path):
        shutil.rmtree(path)
        return
    for suffix in _BESIDE:
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)
