"""A store that measures another one: how long it takes to hand it a batch, and how long the disk takes.

What is not measured goes straight to the store below, methods that only some stores have as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from crdtgraph.store.base import Batch, Keyspace, Store

if TYPE_CHECKING:
    from crdtgraph.metering import Meter


class MeteredStore:
    """A `Store` around a store, which tells a meter, from whatever thread. Calls that fail are not counted."""

    def __init__(self, store: Store, meter: Meter) -> None:
        self._store = store
        self._meter = meter
        for name in dir(type(store)):
            # By name, because whoever asks whether a store can do more looks at what it has itself.
            if not name.startswith("_") and not hasattr(type(self), name) and callable(getattr(type(store), name)):
                setattr(self, name, getattr(store, name))

    @property
    def url(self) -> str:
        """See `Store.url`."""
        return self._store.url

    @property
    def read_only(self) -> bool:
        """See `Store.read_only`."""
        return self._store.read_only

    def write(self, batch: Batch, *, sync: bool) -> None:
        """See `Store.write`. With `sync` nearly all of it is the wait for the disk, and counts as that."""
        if sync:
            self._wait(lambda: self._store.write(batch, sync=True))
        else:
            began = self._meter.now_ns()
            self._store.write(batch, sync=False)
            self._meter.note("flush", began)

    def sync(self) -> None:
        """See `Store.sync`."""
        self._wait(self._store.sync)

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        """See `Store.get`."""
        return self._store.get(keyspace, key)

    def scan(self, keyspace: Keyspace, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """See `Store.scan`."""
        return self._store.scan(keyspace, prefix)

    def reopen(self) -> None:
        """See `Store.reopen`."""
        self._store.reopen()

    def close(self) -> None:
        """See `Store.close`."""
        self._store.close()

    def _wait(self, work: Callable[[], None]) -> None:
        began = self._meter.now_ns()
        self._meter.syncing_since_ns = began
        try:
            work()
        finally:
            self._meter.syncing_since_ns = None
        self._meter.note("fsync", began)

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)
