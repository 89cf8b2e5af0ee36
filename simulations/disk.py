"""A disk that forgets: what a `Store` promises, and not a bit more.

`Disk` is the medium, which outlives processes; `SimStore` is one process's open store on it. What was synced stays.
What was only written survives the death of the process (the system has it in memory) but of a power loss only some
prefix: all of it, nothing, or the first few batches. A batch is whole or absent, also the one during which a crash
strikes. After a failed write the store refuses to write until it is opened again, as `Store.write` says; whether the
failed batch reached the medium all the same shows then.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

from crdtgraph.errors import StoreError
from crdtgraph.store import FORMAT, FORMAT_KEY, Batch, Keyspace
from simulations.timeline import Moment

Operation = tuple[Keyspace, bytes, bytes | None]
Data = dict[Keyspace, dict[bytes, bytes]]


@dataclass(slots=True)
class DiskFaults:
    """What is wrong with a disk now."""

    write_error_rate: float = 0.0
    """The share of writes and syncs that fail."""
    free_bytes: int | None = None
    """What is left; None is plenty."""
    is_sticky: bool = True
    """After a failure nothing can be written until the store is opened again."""


class Disk:
    """The medium of one machine.

    Args:
        name: names it in errors.
        rng: for what fails and what a power loss leaves.
        observe: told of everything that reaches the medium, for the trace.
        on_entry: given every entry of a log that is written.
    """

    def __init__(
        self,
        name: str,
        rng: random.Random,
        observe: Callable[[str], None] = lambda _: None,
        on_entry: Callable[[bytes], object] = lambda _: None,
    ) -> None:
        self.name = name
        self.faults = DiskFaults()
        self.crash_in_writes: int | None = None
        """At so many writes from now the process dies in the middle of one; `on_crash` is called then."""
        self.crash_moment: Moment = "write"
        """Which writes count for that."""
        self.on_crash: Callable[[], None] = lambda: None
        self._rng = rng
        self._observe = observe
        self._on_entry = on_entry
        self._synced: Data = {keyspace: {} for keyspace in Keyspace}
        self._synced[Keyspace.META][FORMAT_KEY] = b"%d" % FORMAT
        self._written: list[list[Operation]] = []
        self._open: SimStore | None = None

    def open(self) -> SimStore:
        """The store as a new process finds it."""
        if self._open is not None:
            raise StoreError(f"the store sim:{self.name} is open already")
        data = _copy(self._synced)
        _apply(data, chain.from_iterable(self._written))
        self._open = SimStore(self, data)
        return self._open

    def release(self) -> None:
        """The process that had it open is gone, in whatever way; what it still tries fails."""
        if self._open is not None:
            self._open.is_dead = True
            self._open = None
        self.crash_in_writes = None

    def lose_power(self) -> None:
        """Of what was not synced some prefix is on the medium, and the rest never was."""
        self.release()
        kept = self._rng.choice((0, len(self._written), self._rng.randint(0, len(self._written))))
        self._observe(f"keeps {kept} of {len(self._written)} unsynced batches")
        _apply(self._synced, chain.from_iterable(self._written[:kept]))
        self._written.clear()

    @property
    def has_failed(self) -> bool:
        """Whether the process that has it open can write no more until it opens it again."""
        return self._open is not None and self._open.is_failed

    def copy(self) -> Data:
        """A backup of what is on the medium."""
        return _copy(self._synced)

    def restore(self, copy: Data) -> None:
        """Put a backup back; no process may have the store open."""
        self.release()
        self._written.clear()
        self._synced = _copy(copy)

    # For the open store

    def write(self, operations: list[Operation], *, sync: bool) -> None:
        """Take a batch, or raise StoreError; the batch may be on the medium then, if nothing can follow it."""
        if self._is_last("write") or (len(operations) > 1 and self._is_last("batch")):
            self._maybe_written(operations)
            self._crash("wrote to")
        size = sum(len(key) + len(value or b"") for _, key, value in operations)
        free = self.faults.free_bytes
        if free is not None and size > free:
            raise StoreError(f"the disk of sim:{self.name} is full")
        if self._fails():
            if self.faults.is_sticky:
                self._maybe_written(operations)
            raise StoreError(f"the disk of sim:{self.name} failed to write")
        if free is not None:
            self.faults.free_bytes = free - size
        self._written.append(operations)
        self._observe(f"writes {len(operations)} {size}")
        for keyspace, _, value in operations:
            if keyspace is Keyspace.LOG and value is not None:
                self._on_entry(value)
        if sync:
            self._sync()

    def sync(self) -> None:
        """Make everything written survive, or raise StoreError."""
        if self._fails():
            raise StoreError(f"the disk of sim:{self.name} failed to sync")
        self._sync()

    def _is_last(self, moment: Moment) -> bool:
        if self.crash_in_writes is None or moment != self.crash_moment:
            return False
        self.crash_in_writes -= 1
        return self.crash_in_writes <= 0

    def _crash(self, deed: str) -> NoReturn:
        self.release()
        self.on_crash()
        raise StoreError(f"the process died while it {deed} sim:{self.name}")

    def _sync(self) -> None:
        if self._written and self._is_last("sync"):
            self._crash("synced")
        if self._written:
            self._observe(f"syncs {len(self._written)}")
            _apply(self._synced, chain.from_iterable(self._written))
            self._written.clear()

    def _fails(self) -> bool:
        rate = self.faults.write_error_rate
        return rate > 0 and self._rng.random() < rate

    def _maybe_written(self, operations: list[Operation]) -> None:
        if self._rng.random() < 0.5:
            self._written.append(operations)
            self._observe("writes what it reports as failed")


class SimStore:
    """An open store; a `Store` of crdtgraph/store/base.py."""

    def __init__(self, disk: Disk, data: Data) -> None:
        self.is_dead = False
        self._disk = disk
        self._data = data
        self.is_failed = False

    @property
    def url(self) -> str:
        """See `Store.url`."""
        return f"sim:{self._disk.name}"

    @property
    def read_only(self) -> bool:
        """See `Store.read_only`."""
        return False

    def write(self, batch: Batch, *, sync: bool) -> None:
        """See `Store.write`."""
        self._check_alive()
        self._check_writable()
        operations = list(batch.operations)
        try:
            self._disk.write(operations, sync=sync)
        except StoreError:
            self.is_failed = self._disk.faults.is_sticky
            raise
        _apply(self._data, operations)

    def sync(self) -> None:
        """See `Store.sync`."""
        self._check_alive()
        self._check_writable()
        try:
            self._disk.sync()
        except StoreError:
            self.is_failed = self._disk.faults.is_sticky
            raise

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        """See `Store.get`."""
        self._check_alive()
        return self._data[keyspace].get(key)

    def scan(self, keyspace: Keyspace, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """See `Store.scan`."""
        self._check_alive()
        return iter(sorted(entry for entry in self._data[keyspace].items() if entry[0].startswith(prefix)))

    def reopen(self) -> None:
        """See `Store.reopen`. A disk whose faults are sticky wants a new process; the others need nothing."""
        self._check_alive()
        self._check_writable()

    def close(self) -> None:
        """See `Store.close`."""
        if self.is_dead:
            return
        try:
            if not self.is_failed:
                self._disk.sync()
        finally:
            self._disk.release()

    def _check_alive(self) -> None:
        if self.is_dead:
            raise StoreError(f"{self.url} belongs to a process that is gone")

    def _check_writable(self) -> None:
        if self.is_failed:
            raise StoreError(f"{self.url} failed before", hint="open it again")


def _copy(data: Data) -> Data:
    return {keyspace: dict(entries) for keyspace, entries in data.items()}


def _apply(data: Data, operations: Iterator[Operation] | list[Operation]) -> None:
    for keyspace, key, value in operations:
        if value is None:
            data[keyspace].pop(key, None)
        else:
            data[keyspace][key] = value
