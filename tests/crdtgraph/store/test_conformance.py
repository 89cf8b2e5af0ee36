"""What every store promises, run against each backend."""

import itertools
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.errors import (
    LocalError,
    NotAStoreError,
    NotFoundError,
    StoreCorruptError,
    StoreLockedError,
    StoreVersionError,
)
from crdtgraph.store import FORMAT, FORMAT_KEY, Batch, Keyspace, Store, open_store

NewUrl = Callable[[], str]
_serial = itertools.count()


@pytest.fixture(params=["memory", "rocksdb", "sqlite"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> NewUrl:
    """A source of URLs where no store is yet."""

    def make() -> str:
        name = f"store-{next(_serial)}"
        return f"memory:{name}" if request.param == "memory" else f"{request.param}:{tmp_path / name}"

    return make


@pytest.fixture
def url(new_url: NewUrl) -> str:
    return new_url()


def put(store: Store, keyspace: Keyspace, *entries: tuple[bytes, bytes], sync: bool = False) -> None:
    batch = Batch()
    for key, value in entries:
        batch.put(keyspace, key, value)
    store.write(batch, sync=sync)


def test_new_store_holds_its_format_and_nothing_else(url: str) -> None:
    store = open_store(url)
    assert store.url == url
    assert not store.read_only
    assert list(store.scan(Keyspace.META)) == [(FORMAT_KEY, b"%d" % FORMAT)]
    assert list(store.scan(Keyspace.LOG)) == []
    assert list(store.scan(Keyspace.SNAPSHOT)) == []
    store.close()


@pytest.mark.parametrize("sync", [True, False])
def test_what_was_written_is_there_after_reopening(url: str, sync: bool) -> None:
    store = open_store(url)
    put(store, Keyspace.LOG, (b"a", b"1"), (b"b", b"2"), sync=sync)
    put(store, Keyspace.LOG, (b"a", b"3"), sync=sync)
    store.close()
    store = open_store(url, create=False)
    assert store.get(Keyspace.LOG, b"a") == b"3"
    assert store.get(Keyspace.LOG, b"b") == b"2"
    assert store.get(Keyspace.LOG, b"c") is None
    assert store.get(Keyspace.SNAPSHOT, b"a") is None
    store.close()


def test_a_batch_is_applied_in_order_over_all_keyspaces(url: str) -> None:
    store = open_store(url)
    batch = Batch()
    batch.put(Keyspace.LOG, b"k", b"first")
    batch.put(Keyspace.LOG, b"k", b"second")
    batch.put(Keyspace.META, b"k", b"gone")
    batch.delete(Keyspace.META, b"k")
    batch.delete(Keyspace.SNAPSHOT, b"k")
    batch.put(Keyspace.SNAPSHOT, b"k", b"kept")
    batch.delete(Keyspace.SNAPSHOT, b"never there")
    assert len(batch) == 7
    store.write(batch, sync=True)
    assert store.get(Keyspace.LOG, b"k") == b"second"
    assert store.get(Keyspace.META, b"k") is None
    assert store.get(Keyspace.SNAPSHOT, b"k") == b"kept"
    store.write(Batch(), sync=True)
    store.write(Batch(), sync=False)
    store.close()


def test_empty_keys_and_values(url: str) -> None:
    store = open_store(url)
    put(store, Keyspace.LOG, (b"", b""), (b"\0", b""), (b"x", b""))
    assert store.get(Keyspace.LOG, b"") == b""
    assert list(store.scan(Keyspace.LOG)) == [(b"", b""), (b"\0", b""), (b"x", b"")]
    store.close()
    store = open_store(url)
    assert store.get(Keyspace.LOG, b"") == b""
    store.close()


def test_huge_values(url: str) -> None:
    store = open_store(url)
    value = bytes(range(256)) * (64 << 12)  # 64 MiB, more than any buffer
    put(store, Keyspace.SNAPSHOT, (b"huge", value), (b"small", b"s"), sync=True)
    assert store.get(Keyspace.SNAPSHOT, b"huge") == value
    store.close()
    store = open_store(url)
    assert dict(store.scan(Keyspace.SNAPSHOT)) == {b"huge": value, b"small": b"s"}
    store.close()


def test_scans_ascend_by_bytes_and_keep_to_their_prefix(url: str) -> None:
    store = open_store(url)
    keys = [
        b"",
        b"\0",
        b"a",
        b"a\0",
        b"a\xff",
        b"a\xff\xff",
        b"ab",
        b"b",
        b"\xc3\xa9",
        b"\xff",
        b"\xff\xff",
        b"\xff\xff\0",
    ]
    put(store, Keyspace.LOG, *((key, key[::-1]) for key in reversed(keys)))
    assert [key for key, _ in store.scan(Keyspace.LOG)] == sorted(keys)
    for prefix in [b"", b"a", b"a\xff", b"b", b"c", b"\xff", b"\xff\xff", b"\xff\xff\xff", b"\0\0"]:
        expected = [(key, key[::-1]) for key in sorted(keys) if key.startswith(prefix)]
        assert list(store.scan(Keyspace.LOG, prefix)) == expected
    store.close()


def test_a_scan_shows_the_moment_it_was_asked_for(url: str) -> None:
    store = open_store(url)
    entries = [(b"%03d" % n, b"old") for n in range(100)]
    put(store, Keyspace.LOG, *entries)
    untouched = store.scan(Keyspace.LOG)
    started = store.scan(Keyspace.LOG)
    assert next(started) == entries[0]
    batch = Batch()
    for n in range(0, 100, 2):
        batch.delete(Keyspace.LOG, b"%03d" % n)
        batch.put(Keyspace.LOG, b"%03d" % (n + 1), b"new")
        batch.put(Keyspace.LOG, b"%03d+" % n, b"between")
    store.write(batch, sync=False)
    assert list(started) == entries[1:]
    assert list(untouched) == entries
    assert next(started, None) is None
    assert len(list(store.scan(Keyspace.LOG))) == 100
    store.close()


_keys = st.binary(max_size=3)
_operations = st.tuples(st.sampled_from(Keyspace), _keys, st.none() | st.binary(max_size=4))


@settings(max_examples=25, deadline=None)
@given(batches=st.lists(st.tuples(st.lists(_operations, max_size=8), st.booleans()), max_size=6), prefix=_keys)
def test_any_batches_leave_what_plain_dictionaries_would(
    batches: list[tuple[list[tuple[Keyspace, bytes, bytes | None]], bool]],
    prefix: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    for kind in ("memory", "rocksdb", "sqlite"):
        url = f"{kind}:{tmp_path_factory.getbasetemp() / f'model-{next(_serial)}'}"
        model: dict[Keyspace, dict[bytes, bytes]] = {keyspace: {} for keyspace in Keyspace}
        model[Keyspace.META][FORMAT_KEY] = b"%d" % FORMAT
        store = open_store(url)
        for operations, reopen in batches:
            batch = Batch()
            batch.operations.extend(operations)
            store.write(batch, sync=False)
            for keyspace, key, value in operations:
                model[keyspace].pop(key, None)
                if value is not None:
                    model[keyspace][key] = value
            if reopen:
                store.close()
                store = open_store(url, create=False)
        for keyspace, entries in model.items():
            assert list(store.scan(keyspace)) == sorted(entries.items())
            assert list(store.scan(keyspace, prefix)) == [e for e in sorted(entries.items()) if e[0].startswith(prefix)]
        store.close()


def test_close_is_idempotent_and_use_after_it_is_a_clear_error(url: str) -> None:
    store = open_store(url)
    put(store, Keyspace.LOG, (b"a", b"1"), (b"b", b"2"))
    scan = store.scan(Keyspace.LOG)
    assert next(scan) == (b"a", b"1")
    store.close()
    store.close()
    uses: list[Callable[[], object]] = [
        lambda: store.get(Keyspace.LOG, b"a"),
        lambda: store.scan(Keyspace.LOG),
        lambda: store.write(Batch(), sync=True),
        lambda: store.write(Batch(), sync=False),
        store.sync,
        lambda: next(scan),
    ]
    for use in uses:
        with pytest.raises(LocalError, match="closed") as caught:
            use()
        assert url in str(caught.value)
        assert caught.value.hint
    open_store(url).close()


def test_an_unfinished_scan_does_not_keep_the_store_locked(url: str) -> None:
    store = open_store(url)
    put(store, Keyspace.LOG, (b"a", b"1"))
    scan = store.scan(Keyspace.LOG)
    store.close()
    again = open_store(url)
    assert again.get(Keyspace.LOG, b"a") == b"1"
    again.close()
    del scan


def test_a_second_writer_is_refused_and_the_first_goes_on(url: str) -> None:
    store = open_store(url)
    with pytest.raises(StoreLockedError, match="this process") as caught:
        open_store(url)
    assert url.partition(":")[2] in str(caught.value)
    assert caught.value.hint
    put(store, Keyspace.LOG, (b"a", b"1"), sync=True)
    store.close()
    store = open_store(url)
    assert store.get(Keyspace.LOG, b"a") == b"1"
    store.close()


def test_read_only_shows_the_state_of_its_opening_beside_a_writer(url: str) -> None:
    writer = open_store(url)
    put(writer, Keyspace.LOG, (b"a", b"1"))
    reader = open_store(url, read_only=True)
    assert reader.read_only
    put(writer, Keyspace.LOG, (b"a", b"2"), (b"b", b"2"))
    assert list(reader.scan(Keyspace.LOG)) == [(b"a", b"1")]
    assert reader.get(Keyspace.LOG, b"b") is None
    later = open_store(url, read_only=True)
    assert list(later.scan(Keyspace.LOG)) == [(b"a", b"2"), (b"b", b"2")]
    with pytest.raises(LocalError, match="read-only"):
        put(reader, Keyspace.LOG, (b"c", b"3"))
    reader.sync()
    reader.close()
    reader.close()
    put(writer, Keyspace.LOG, (b"c", b"3"))
    writer.close()
    assert later.get(Keyspace.LOG, b"a") == b"2"
    later.close()
    closed = open_store(url, read_only=True)
    assert closed.get(Keyspace.LOG, b"c") == b"3"
    closed.close()


def test_an_absent_store_is_not_created_unasked(url: str) -> None:
    for create, read_only in [(False, False), (False, True), (True, True)]:
        with pytest.raises(NotAStoreError) as caught:
            open_store(url, create=create, read_only=read_only)
        assert isinstance(caught.value, NotFoundError)
        assert caught.value.hint
    assert not Path(url.partition(":")[2]).exists()


def test_a_newer_format_is_refused_and_left_alone(url: str) -> None:
    store = open_store(url)
    put(store, Keyspace.META, (FORMAT_KEY, b"%d" % (FORMAT + 1)))
    store.close()
    for read_only in (False, True, False):
        with pytest.raises(StoreVersionError, match=f"format {FORMAT + 1}") as caught:
            open_store(url, read_only=read_only)
        assert "upgrade" in caught.value.hint


@pytest.mark.parametrize("value", [None, b"", b"one", b"0", b"-1"])
def test_a_store_without_a_valid_format_is_corrupt(url: str, value: bytes | None) -> None:
    store = open_store(url)
    batch = Batch()
    batch.operations.append((Keyspace.META, FORMAT_KEY, value))
    store.write(batch, sync=False)
    store.close()
    for read_only in (False, True):
        with pytest.raises(StoreCorruptError, match="format version"):
            open_store(url, read_only=read_only)


def test_sync_from_another_thread_while_writing_and_closing(url: str) -> None:
    store = open_store(url)
    syncs = 0
    failures: list[Exception] = []

    def sync_until_closed() -> None:
        nonlocal syncs
        try:
            while True:
                store.sync()
                syncs += 1
        except LocalError:
            pass
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=sync_until_closed)
    thread.start()
    written = 0
    while syncs < 20:
        put(store, Keyspace.LOG, (b"%08d" % written, b"v" * 100))
        written += 1
    store.close()
    thread.join()
    assert failures == []
    store = open_store(url)
    assert len(list(store.scan(Keyspace.LOG))) == written
    store.close()


@pytest.mark.parametrize("kind", ["rocksdb", "sqlite"])
def test_sync_lets_other_threads_run(tmp_path: Path, kind: str) -> None:
    store = open_store(f"{kind}:{tmp_path / 'store'}")
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0)  # lets go of the interpreter lock

    # With so long an interval the interpreter lock changes hands only when somebody lets go of it.
    interval = sys.getswitchinterval()
    thread = threading.Thread(target=tick)
    thread.start()
    sys.setswitchinterval(1000)
    try:
        ran = False
        for _ in range(100):
            put(store, Keyspace.LOG, (b"k", bytes(1 << 20)))
            before = ticks
            store.sync()
            ran = ran or ticks > before
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        thread.join()
    assert ran
    store.close()
