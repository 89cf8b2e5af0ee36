"""What only the store in one file has: its files, its locks beside another program's, its log, its checksums."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from crdtgraph.errors import NotAStoreError, StoreCorruptError, StoreError, StoreLockedError
from crdtgraph.store import Batch, Keyspace, Store, open_store
from crdtgraph.store.base import FIRST_KEYSPACES, Measured
from crdtgraph.store.sqlite import SqliteStore
from crdtgraph.store.wal import written_by_thread

from .test_crash import child, promises

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store"


def fill(store: Store, entries: int, size: int = 1000, *, first: int = 0, sync: bool = False) -> None:
    for n in range(first, first + entries):
        batch = Batch()
        batch.put(Keyspace.LOG, b"%06d" % n, bytes([n % 251]) * size)
        store.write(batch, sync=sync)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


# The files


def test_a_closed_store_is_one_file_and_a_lock(path: Path) -> None:
    store = open_store(f"sqlite:{path}")
    fill(store, 10)
    assert names(path.parent) == ["store", "store-shm", "store-wal", "store.lock"]
    store.close()
    assert names(path.parent) == ["store", "store.lock"]
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    store = open_store(f"sqlite:{copy}", create=False)
    assert len(list(store.scan(Keyspace.LOG))) == 10
    store.close()


def test_what_an_interrupted_creation_left_is_removed_by_the_next(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(f"store.creating{suffix}").write_bytes(b"half")
    with pytest.raises(NotAStoreError):
        open_store(f"sqlite:{path}", create=False)
    open_store(f"sqlite:{path}").close()
    assert names(path.parent) == ["store", "store.lock"]


def test_other_files_are_no_stores_and_stay_as_they_are(path: Path) -> None:
    text, empty, other = (path.with_name(name) for name in ("text", "empty", "other"))
    text.write_text("not a database at all, and long enough to have a header " * 10)
    empty.write_bytes(b"")
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE meta (key, value)")
    connection.close()
    path.mkdir()
    before = {file: file.read_bytes() for file in (text, empty, other)}
    for file in (text, empty, other, path):
        for create, read_only in ((True, False), (False, False), (False, True)):
            with pytest.raises(NotAStoreError) as caught:
                open_store(f"sqlite:{file}", create=create, read_only=read_only)
            assert str(file) in str(caught.value)
            assert caught.value.hint
    assert {file: file.read_bytes() for file in before} == before
    assert names(path.parent) == ["empty", "other", "store", "text"]


def test_each_backend_points_to_the_other(path: Path) -> None:
    open_store(f"sqlite:{path}").close()
    with pytest.raises(NotAStoreError) as caught:
        open_store(str(path))
    assert f"sqlite:{path}" in caught.value.hint
    folder = path.with_name("folder")
    open_store(str(folder)).close()
    with pytest.raises(NotAStoreError) as caught:
        open_store(f"sqlite:{folder}")
    assert f"rocksdb:{folder}" in caught.value.hint


def test_a_log_without_its_file_is_damage_and_no_reason_to_start_afresh(path: Path) -> None:
    with child("append", f"sqlite:{path}", "write") as process:
        promises(process, 3)
    path.unlink()
    for read_only in (True, False):
        with pytest.raises(StoreCorruptError, match="missing"):
            open_store(f"sqlite:{path}", read_only=read_only)
    assert path.with_name("store-wal").stat().st_size > 0


def test_keyspaces_that_an_older_file_lacks_are_added_when_it_is_written(path: Path) -> None:
    open_store(f"sqlite:{path}").close()
    with sqlite3.connect(path) as connection:
        for keyspace in set(Keyspace) - FIRST_KEYSPACES:
            connection.execute(f"DROP TABLE {keyspace}")
    connection.close()
    reader = open_store(f"sqlite:{path}", read_only=True)
    assert reader.get(Keyspace.OBJECTS, b"k") is None
    assert list(reader.scan(Keyspace.OBJECTS)) == []
    reader.close()
    store = open_store(f"sqlite:{path}")
    batch = Batch()
    batch.put(Keyspace.OBJECTS, b"k", b"v")
    store.write(batch, sync=True)
    assert store.get(Keyspace.OBJECTS, b"k") == b"v"
    store.close()


# Who has it open


def test_a_second_process_is_told_who_writes_and_where_to_ask(path: Path) -> None:
    url = f"sqlite:{path}"
    with child("hold", url) as process, socket.socket(socket.AF_UNIX) as control:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(StoreLockedError, match=f"process {process.pid}"):
            open_store(url)
        control.bind(f"{path}.control")
        with pytest.raises(StoreLockedError) as caught:
            open_store(url)
        assert f"--node {path}.control" in caught.value.hint
        reader = open_store(url, read_only=True)
        assert len(list(reader.scan(Keyspace.LOG))) == 4
        reader.close()
    store = open_store(url)
    assert len(list(store.scan(Keyspace.LOG))) == 4
    store.close()


def test_what_the_system_forbids_is_said_and_reading_a_file_in_a_closed_folder_goes_on(path: Path) -> None:
    code = (
        "import os, sys; from crdtgraph.store import *; from crdtgraph.errors import *; import crdtgraph.store.sqlite\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "print(len(list(open_store(sys.argv[1], read_only=True).scan(Keyspace.LOG))))\n"
        "for url in sys.argv[1:]:\n"
        "  try: open_store(url)\n"
        "  except StoreError as error: print(type(error).__name__, error, '|', error.hint)\n"
    )
    # A folder that others may enter: pytest's own are for their owner alone.
    with tempfile.TemporaryDirectory() as folder:
        closed, new = Path(folder) / "store", Path(folder) / "new"
        store = open_store(f"sqlite:{closed}")
        fill(store, 3)
        store.close()
        os.chmod(closed, 0o444)
        os.chmod(folder, 0o555)
        command = [sys.executable, "-c", code, f"sqlite:{closed}", f"sqlite:{new}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        os.chmod(folder, 0o755)
    assert done.returncode == 0, done.stderr
    count, *refused = done.stdout.splitlines()
    assert count == "3"
    assert len(refused) == 2
    assert all(line.startswith("StoreError") and "ermission" in line for line in refused), refused


# The log


def test_the_log_is_put_into_the_file_before_it_is_long(path: Path) -> None:
    store = open_store(f"sqlite:{path}")
    fill(store, 3_000, 4_000)
    wal = path.with_name("store-wal").stat().st_size
    assert wal < 8 << 20
    assert path.stat().st_size > 8 << 20
    # While somebody reads it has to grow; later it is cut back.
    scan = store.scan(Keyspace.LOG)
    fill(store, 6_000, 4_000, first=3_000)
    grown = path.with_name("store-wal").stat().st_size
    assert grown > 16 << 20
    assert len(list(scan)) == 3_000
    fill(store, 3_000, 4_000, first=9_000)
    assert path.with_name("store-wal").stat().st_size <= 16 << 20
    store.close()


@pytest.mark.parametrize("size", [10, 3_000, 300_000])
def test_traffic_is_what_the_system_was_given(path: Path, size: int) -> None:
    store = open_store(f"sqlite:{path}")
    assert isinstance(store, Measured)
    count = 6_000_000 // (size + 3_000)
    began, before = written_by_thread(), store.traffic()
    fill(store, count, size)
    batch = Batch()
    batch.put(Keyspace.STATES, b"derived", bytes(10_000))
    store.write(batch, sync=False)
    after, ended = store.traffic(), written_by_thread()
    assert began is not None
    assert ended is not None
    assert before.disk is not None
    assert after.disk is not None
    assert after.records - before.records == count * (6 + size)
    assert after.disk - before.disk == pytest.approx(ended - began, rel=0.01)
    assert after.amplification is not None
    assert after.amplification > 1
    store.close()
    store = open_store(f"sqlite:{path}")
    assert isinstance(store, Measured)
    again = store.traffic()
    assert again.records == after.records
    assert again.disk is not None
    assert after.disk <= again.disk < after.disk + 100_000
    store.close()


def test_a_log_torn_at_any_byte_loses_only_the_last_commit(path: Path) -> None:
    with child("append", f"sqlite:{path}", "write") as process:
        promises(process, 3)
    wal = path.with_name("store-wal")
    whole = wal.read_bytes()
    file = path.read_bytes()
    counts = []
    for cut in (0, 1, 100, 4_100, 20_000, 60_000):
        path.write_bytes(file)
        wal.write_bytes(whole[: len(whole) - cut])
        path.with_name("store-shm").unlink(missing_ok=True)
        store = open_store(f"sqlite:{path}")
        entries = list(store.scan(Keyspace.LOG))
        assert entries == list(store.scan(Keyspace.SNAPSHOT))
        assert len(entries) % 4 == 0
        counts.append(len(entries) // 4)
        store.close()
    assert counts[0] - 1 <= min(counts) <= max(counts) == counts[0]


# Damage


def test_any_flipped_bit_is_found_or_does_no_harm_to_what_is_read(path: Path) -> None:
    store = open_store(f"sqlite:{path}")
    for n in range(60):
        batch = Batch()
        batch.put(Keyspace.LOG, b"%02d" % n, os.urandom(500))
        store.write(batch, sync=False)
    store.close()
    whole = path.read_bytes()
    expected = None
    silent = []
    for offset in [*range(0, 100, 7), *range(100, len(whole), 211)]:
        damaged = bytearray(whole)
        damaged[offset] ^= 0x10
        path.write_bytes(damaged if expected is not None else whole)
        try:
            store = open_store(f"sqlite:{path}", read_only=True)
            found = {keyspace: list(store.scan(keyspace)) for keyspace in Keyspace}
            store.close()
        except StoreError:
            continue
        expected = expected or found
        if found != expected:
            silent.append(offset)
    # The structure of the tree has no checksum: rows may go missing. What is read was written.
    assert len(silent) <= 2, silent


def test_a_damaged_value_is_an_error_and_the_rest_can_be_read(path: Path) -> None:
    store = open_store(f"sqlite:{path}")
    fill(store, 20, 2_000)
    store.close()
    data = path.read_bytes()
    place = data.index(bytes([7]) * 900) + 100
    path.write_bytes(data[:place] + b"\x08" + data[place + 1 :])
    store = open_store(f"sqlite:{path}")
    with pytest.raises(StoreCorruptError, match="checksum") as caught:
        store.get(Keyspace.LOG, b"000007")
    assert "peer" in caught.value.hint
    with pytest.raises(StoreCorruptError):
        list(store.scan(Keyspace.LOG))
    assert store.get(Keyspace.LOG, b"000006") is not None
    store.close()


def test_a_file_that_was_cut_or_overwritten_is_damaged_and_not_another_program_s(path: Path) -> None:
    store = open_store(f"sqlite:{path}")
    fill(store, 100)
    store.close()
    whole = path.read_bytes()
    for damaged in (b"", whole[:50], whole[: len(whole) // 2], bytes(len(whole)), os.urandom(len(whole))):
        path.write_bytes(damaged)
        for read_only in (True, False):
            with pytest.raises(StoreCorruptError):
                list(open_store(f"sqlite:{path}", read_only=read_only).scan(Keyspace.LOG))
        assert path.read_bytes() == damaged


# Durability against a power cut: what is asked of the system


def test_a_synced_write_and_a_sync_ask_the_system_to_put_the_log_on_disk(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: synced.append(_name(descriptor)) or real(descriptor))
    store = SqliteStore(str(path))
    assert store._connection is not None
    for sync, level in ((True, 2), (False, 1), (True, 2)):
        fill(store, 3, sync=sync)
        # SQLite's own fsync of the log at each commit is what FULL means; NORMAL leaves it to checkpoints and to us.
        assert store._connection.execute("PRAGMA synchronous").fetchone() == (level,)
    assert synced == []
    store.sync()
    store.write(Batch(), sync=True)
    assert synced == ["store-wal", "store-wal"]
    store.close()
    assert len(synced) == 3


def test_after_a_failed_sync_nothing_is_written_or_promised_until_it_is_opened_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    store = open_store(f"sqlite:{path}")
    fill(store, 3)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreError, match="Input/output error"):
            store.sync()
    for refused in (store.sync, lambda: fill(store, 1, sync=True), lambda: fill(store, 1)):
        with pytest.raises(StoreError, match="an earlier write failed") as caught:
            refused()
        assert "open the store again" in caught.value.hint
    assert len(list(store.scan(Keyspace.LOG))) == 3
    store.close()
    store = open_store(f"sqlite:{path}", create=False)
    fill(store, 3, first=3, sync=True)
    assert len(list(store.scan(Keyspace.LOG))) == 6
    store.close()


def test_after_a_failed_write_there_is_no_other_until_it_is_opened_anew(path: Path) -> None:
    store = SqliteStore(str(path))
    fill(store, 3)
    assert store._connection is not None
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(StoreError, match="full"):
        fill(store, 1, 100_000, first=3)
    store._connection.execute("PRAGMA max_page_count = 1000000")
    with pytest.raises(StoreError, match="an earlier write failed"):
        fill(store, 1, first=4)
    assert [key for key, _ in store.scan(Keyspace.LOG)] == [b"000000", b"000001", b"000002"]
    store.close()
    store = SqliteStore(str(path))
    fill(store, 1, first=4)
    assert len(list(store.scan(Keyspace.LOG))) == 4
    store.close()


def _name(descriptor: int) -> str:
    return os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
