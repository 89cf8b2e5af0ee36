"""Where a graph is kept: one small interface, several engines, chosen by URL.

`base` says what a store promises, `memory`, `rocksdb` and `sqlite` keep the promise, and `open_store` picks one.
Importing this package loads no engine: the binding to RocksDB is imported when the first `rocksdb:` URL is
opened, and likewise for SQLite.
"""

import os

from crdtgraph.store.base import FORMAT, FORMAT_KEY, Batch, Keyspace, Store
from crdtgraph.store.memory import MemoryStore
from crdtgraph.store.naming import MEMORY, SQLITE, split_url
from crdtgraph.store.size import disk_bytes

__all__ = ["FORMAT", "FORMAT_KEY", "Batch", "Keyspace", "Store", "disk_bytes", "open_store"]


def open_store(url: str | os.PathLike[str], *, create: bool = True, read_only: bool = False) -> Store:
    """Open the store that `url` names, creating it if it is absent and `create` allows.

    Args:
        url: `rocksdb:PATH` or a bare path, for a folder on disk; `sqlite:PATH` for a file; `memory:` for a
            private store in memory; `memory:NAME` for one that is shared by name within this process.
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
    scheme, place = split_url(os.fspath(url))
    if scheme == MEMORY:
        return MemoryStore(place, create=create, read_only=read_only)
    if scheme == SQLITE:
        from crdtgraph.store.sqlite import SqliteStore

        return SqliteStore(place, create=create, read_only=read_only)
    from crdtgraph.store.rocksdb import RocksStore

    return RocksStore(place, create=create, read_only=read_only)
