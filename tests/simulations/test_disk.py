"""A disk that forgets what it may and nothing else."""

from __future__ import annotations

import random

import pytest

from crdtgraph.errors import StoreError
from crdtgraph.store import Batch, Keyspace
from simulations.disk import Disk, DiskFaults, SimStore


def put(store: SimStore, number: int, *, sync: bool = False) -> None:
    """Two entries that belong together."""
    batch = Batch()
    batch.put(Keyspace.LOG, b"%03d" % number, b"x" * 100)
    batch.put(Keyspace.META, b"%03d" % number, b"y")
    store.write(batch, sync=sync)


def numbers(store: SimStore) -> list[int]:
    """What is there; entries that belong together are there together."""
    logs = [int(key) for key, _ in store.scan(Keyspace.LOG)]
    assert [int(key) for key, _ in store.scan(Keyspace.META) if key.isdigit()] == logs
    return logs


def disk(seed: int = 0) -> Disk:
    return Disk("d", random.Random(seed))


def test_a_power_loss_keeps_what_was_synced_and_a_prefix_of_the_rest() -> None:
    left = set()
    for seed in range(60):
        medium = disk(seed)
        store = medium.open()
        put(store, 1)
        put(store, 2, sync=True)
        for number in (3, 4, 5):
            put(store, number)
        medium.lose_power()
        left.add(tuple(numbers(medium.open())))
    assert left == {(1, 2), (1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5)}


def test_the_death_of_the_process_loses_nothing_that_was_written() -> None:
    medium = disk()
    store = medium.open()
    put(store, 1)
    medium.release()
    with pytest.raises(StoreError, match="a process that is gone"):
        put(store, 2)
    with pytest.raises(StoreError, match="a process that is gone"):
        store.sync()
    store.close()
    assert numbers(medium.open()) == [1]


def test_the_memory_of_the_system_is_lost_with_the_power_also_after_the_process() -> None:
    left = set()
    for seed in range(40):
        medium = disk(seed)
        put(medium.open(), 1)
        medium.release()
        medium.open()
        medium.lose_power()
        left.add(tuple(numbers(medium.open())))
    assert left == {(), (1,)}


def test_a_crash_in_a_write_leaves_the_whole_batch_or_nothing() -> None:
    left = set()
    for seed in range(20):
        medium = disk(seed)
        died: list[bool] = []
        medium.on_crash = lambda died=died: died.append(True)  # type: ignore[misc]
        store = medium.open()
        medium.crash_in_writes = 2
        put(store, 1)
        with pytest.raises(StoreError, match="died"):
            put(store, 2)
        assert died
        with pytest.raises(StoreError, match="gone"):
            put(store, 3)
        left.add(tuple(numbers(medium.open())))
    assert left == {(1,), (1, 2)}


def test_a_crash_waits_for_the_moment_that_it_is_to_strike_at() -> None:
    left: dict[str, set[tuple[int, ...]]] = {"batch": set(), "sync": set()}
    for seed in range(40):
        for moment, seen in left.items():
            medium = disk(seed)
            medium.on_crash = medium.lose_power
            store = medium.open()
            put(store, 1, sync=True)
            medium.crash_in_writes, medium.crash_moment = 1, moment  # type: ignore[assignment]
            single = Batch()
            single.put(Keyspace.META, b"single", b"")
            store.write(single, sync=False)
            with pytest.raises(StoreError, match="died"):
                put(store, 2, sync=True)
            seen.add(tuple(numbers(medium.open())))
    assert left == {"batch": {(1,), (1, 2)}, "sync": {(1,), (1, 2)}}


def test_a_crash_in_a_sync_is_none_if_there_is_nothing_to_sync() -> None:
    medium = disk()
    store = medium.open()
    put(store, 1)
    store.sync()
    medium.crash_in_writes, medium.crash_moment = 1, "sync"
    store.sync()
    put(store, 2)
    with pytest.raises(StoreError, match="died"):
        store.sync()


def test_after_an_error_nothing_can_be_written_until_it_is_opened_again() -> None:
    left = set()
    for seed in range(20):
        medium = disk(seed)
        store = medium.open()
        put(store, 1)
        medium.faults = DiskFaults(write_error_rate=1.0)
        with pytest.raises(StoreError, match="failed to write"):
            put(store, 2)
        medium.faults = DiskFaults()
        with pytest.raises(StoreError, match="failed before"):
            put(store, 3)
        with pytest.raises(StoreError, match="failed before"):
            store.sync()
        assert medium.has_failed
        assert numbers(store) == [1]
        store.close()
        left.add(tuple(numbers(medium.open())))
    assert left == {(1,), (1, 2)}, "what was reported as failed may be there after all"


def test_a_full_disk_takes_what_fits() -> None:
    medium = disk()
    store = medium.open()
    medium.faults = DiskFaults(free_bytes=250, is_sticky=False)
    put(store, 1)
    put(store, 2)
    with pytest.raises(StoreError, match="full"):
        put(store, 3)
    medium.faults = DiskFaults()
    put(store, 4)
    assert numbers(store) == [1, 2, 4]


def test_a_backup_brings_the_past_back() -> None:
    medium = disk()
    store = medium.open()
    put(store, 1, sync=True)
    backup = medium.copy()
    put(store, 2, sync=True)
    medium.restore(backup)
    assert numbers(medium.open()) == [1]


def test_a_scan_shows_the_store_as_it_was() -> None:
    store = disk().open()
    put(store, 1)
    scan = store.scan(Keyspace.LOG)
    put(store, 2)
    assert len(list(scan)) == 1
    assert store.get(Keyspace.LOG, b"002") == b"x" * 100
    assert store.get(Keyspace.LOG, b"003") is None


def test_a_disk_is_open_once() -> None:
    medium = disk()
    medium.open()
    with pytest.raises(StoreError, match="open already"):
        medium.open()
