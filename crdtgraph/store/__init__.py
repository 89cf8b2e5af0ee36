"""Where a graph is kept: one small interface, several engines, chosen by URL.

`base` says what a store promises, `memory` and `rocksdb` keep the promise, and `open_store` picks one.
Importing this package loads no engine: the binding to RocksDB is imported when the first `rocksdb:` URL is
opened.
"""

import os
import re

from crdtgraph.errors import LocalError
from crdtgraph.store.base import FORMAT, FORMAT_KEY, Batch, Keyspace, Store
from crdtgraph.store.memory import MemoryStore
from crdtgraph.store.size import disk_bytes

__all__ = ["FORMAT", "FORMAT_KEY", "Batch", "Keyspace", "Store", "disk_bytes", "open_store"]

# Two letters at least, so that no single-letter folder with a colon is taken for a scheme.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):(.*)", re.DOTALL)


def open_store(url: str | os.PathLike[str], *, create: bool = True, read_only: bool = False) -> Store:
    """Open the store that `url` names, creating it if it is absent and `create` allows.

    Args:
        url: `rocksdb:PATH` or a bare path, for a folder on disk; `memory:` for a private store in memory;
            `memory:NAME` for one that is shared by name within this process.
        create: make a new store where there is none. A path that holds something else, or a damaged store, is
            never touched.
        read_only: see the state as of now, also while another process has the store open for writing. Implies
            `create=False`.

    Raises:
        LocalError: the URL is empty or its scheme is unknown.
        NotAStoreError: there is no store, or something that is none.
        StoreLockedError: it is open for writing already; the hint names the control socket of the process if
            it has one.
        StoreCorruptError: it is damaged. StoreVersionError: newer code wrote it.
        StoreError: anything else below failed: no space, no permission.
    """
    text = os.fspath(url)
    match = _SCHEME.fullmatch(text)
    scheme, place = match.groups() if match else ("rocksdb", text)
    if scheme == "memory":
        return MemoryStore(place, create=create, read_only=read_only)
    if scheme != "rocksdb":
        raise LocalError(
            f"unknown kind of store {scheme!r} in {text!r}",
            hint=f"use rocksdb:PATH, memory: or memory:NAME; a path with a colon is written rocksdb:{text}",
        )
    if place.startswith("//"):
        place = place[2:]
    if not place or "\0" in place:
        raise LocalError(f"{text!r} names no path", hint="write rocksdb:PATH or just a path")
    from crdtgraph.store.rocksdb import RocksStore

    return RocksStore(place, create=create, read_only=read_only)
