"""What can lie at a path: a store in use, other things, another program's database, one from the future."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import rocksdict

from crdtgraph.errors import NotAStoreError, StoreCorruptError, StoreLockedError, StoreVersionError
from crdtgraph.store import FORMAT, FORMAT_KEY, Batch, Keyspace, open_store
from crdtgraph.store.base import FIRST_KEYSPACES, Measured
from crdtgraph.store.engine import engine_options
from crdtgraph.store.rocksdb import RocksStore

CHILDREN = Path(__file__).with_name("children.py")


def listing(path: Path) -> dict[str, int]:
    """Return the names and sizes of everything at `path`."""
    return {entry.name: entry.stat().st_size for entry in path.iterdir()}


def test_a_store_open_elsewhere_is_locked_readable_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with subprocess.Popen([sys.executable, CHILDREN, "hold", path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        before = listing(path)
        for create in (True, False):
            with pytest.raises(StoreLockedError) as caught:
                open_store(path, create=create)
            assert str(path) in str(caught.value)
            assert f"process {process.pid}" in str(caught.value)
            assert "read-only" in caught.value.hint
        assert listing(path) == before
        with socket.socket(socket.AF_UNIX) as control:
            control.bind(str(path / "control"))
            with pytest.raises(StoreLockedError) as caught:
                open_store(path)
            assert str(path / "control") in caught.value.hint
        store = open_store(path, read_only=True)
        assert len(list(store.scan(Keyspace.LOG))) == 4
        store.close()
        process.send_signal(signal.SIGKILL)
    store = open_store(path)
    assert len(list(store.scan(Keyspace.LOG))) == 4
    store.close()


def test_the_engines_own_lock_is_understood_too(tmp_path: Path) -> None:
    path = tmp_path / "store"
    open_store(path).close()
    options = rocksdict.Options(raw_mode=True)
    other = rocksdict.Rdict(str(path), options, dict.fromkeys(Keyspace, options))
    (path / "crdtgraph.closed").unlink()
    with pytest.raises(StoreLockedError):
        open_store(path)
    other.close()


@pytest.fixture(params=["a folder of ours", "a folder that may be read only"])
def as_reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run as root too, who may write to every folder."""
    if request.param != "a folder of ours":
        monkeypatch.setattr("crdtgraph.store.rocksdb.is_writable", lambda _: False)


@pytest.mark.parametrize("clean", [True, False])
def test_reading_a_folder_that_may_be_read_only_writes_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, clean: bool
) -> None:
    path, temporary = tmp_path / "store", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    writer = open_store(path)
    batch = Batch()
    batch.put(Keyspace.LOG, b"k", b"v")
    writer.write(batch, sync=True)
    if clean:
        writer.close()
    monkeypatch.setattr("os.access", lambda *_: False)
    before = {entry.name: (entry.stat().st_size, entry.stat().st_mtime_ns) for entry in path.iterdir()}
    reader = open_store(path, read_only=True)
    assert list(temporary.iterdir()) == []
    assert reader.get(Keyspace.LOG, b"k") == b"v"
    assert list(reader.scan(Keyspace.LOG)) == [(b"k", b"v")]
    reader.close()
    assert before == {entry.name: (entry.stat().st_size, entry.stat().st_mtime_ns) for entry in path.iterdir()}
    assert list(temporary.iterdir()) == []
    writer.close()


@pytest.mark.usefixtures("as_reader")
def test_a_reader_outlives_the_files_it_reads(tmp_path: Path) -> None:
    path = tmp_path / "store"
    writer = open_store(path)
    value = bytes(1000)

    def write_everything() -> None:
        for n in range(0, 12_000, 1000):
            batch = Batch()
            for m in range(n, n + 1000):
                batch.put(Keyspace.LOG, b"%05d" % m, value)
            writer.write(batch, sync=False)

    write_everything()
    reader = open_store(path, read_only=True)
    before = {entry.name for entry in path.glob("*.sst")}
    assert before
    for _ in range(5):
        write_everything()
    writer.close()
    open_store(path).close()
    assert not before <= {entry.name for entry in path.glob("*.sst")}
    assert sum(value == bytes(1000) for _, value in reader.scan(Keyspace.LOG)) == 12_000
    reader.close()


def test_a_reader_starts_again_when_a_log_vanishes_while_it_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store"
    writer = open_store(path)
    opened: list[rocksdict.Rdict] = []
    original = RocksStore._start_to_read

    def start_and_be_overtaken(self: RocksStore, options: rocksdict.Options) -> rocksdict.Rdict:
        engine = original(self, options)
        opened.append(engine)
        if len(opened) == 1:
            batch = Batch()
            batch.put(Keyspace.LOG, b"new", b"entry")
            writer.write(batch, sync=True)
            writer.close()
            open_store(path).close()  # replaces the log by tables
        return engine

    monkeypatch.setattr(RocksStore, "_start_to_read", start_and_be_overtaken)
    reader = open_store(path, read_only=True)
    assert len(opened) == 2
    assert reader.get(Keyspace.LOG, b"new") == b"entry"
    reader.close()


def test_closing_waits_for_a_sync_in_another_thread(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store")
    assert isinstance(store, RocksStore)
    entered, release = threading.Event(), threading.Event()

    class SlowEngine:
        def __init__(self, engine: rocksdict.Rdict) -> None:
            self.engine = engine

        def flush_wal(self, sync: bool) -> None:
            if not entered.is_set():
                entered.set()
                release.wait()
            self.engine.flush_wal(sync)

        def close(self) -> None:
            self.engine.close()

    assert store._engine is not None
    store._engine = SlowEngine(store._engine)  # type: ignore[assignment]
    syncing = threading.Thread(target=store.sync)
    closing = threading.Thread(target=store.close)
    syncing.start()
    entered.wait()
    closing.start()
    closing.join(0.1)
    waited = closing.is_alive()
    release.set()
    syncing.join()
    closing.join()
    assert waited
    open_store(tmp_path / "store").close()


def test_a_refused_version_leaves_the_mark_of_a_clean_close(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    batch = Batch()
    batch.put(Keyspace.META, FORMAT_KEY, b"%d" % (FORMAT + 1))
    store.write(batch, sync=True)
    store.close()
    for _ in range(2):
        with pytest.raises(StoreVersionError):
            open_store(tmp_path)
        assert (tmp_path / "crdtgraph.closed").exists()


@pytest.mark.parametrize("use", ["sync", "write"])
def test_promises_of_durability_sync_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str) -> None:
    kept: list[rocksdict.Options] = []

    def counting_options(*arguments: rocksdict.DBRecoveryMode, **chosen: bool) -> rocksdict.Options:
        options = engine_options(*arguments, **chosen)
        options.enable_statistics()
        kept.append(options)
        return options

    def syncs() -> int:
        found = re.search(r"rocksdb.wal.synced COUNT : (\d+)", kept[-1].get_statistics() or "")
        assert found
        return int(found[1])

    monkeypatch.setattr("crdtgraph.store.rocksdb.engine_options", counting_options)
    store = open_store(tmp_path / "store")
    batch = Batch()
    batch.put(Keyspace.LOG, b"k", b"v")
    store.write(batch, sync=False)
    before = syncs()
    store.write(batch, sync=False)
    assert syncs() == before
    if use == "sync":
        store.sync()
    else:
        store.write(batch, sync=True)
    assert syncs() == before + 1
    store.write(batch, sync=False)
    store.write(Batch(), sync=True)
    assert syncs() == before + 2, "an empty batch with sync covers the writes before it"
    store.close()


def test_what_is_no_store_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("mine")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    (folder / "app.log").write_text("mine")
    for path in (file, folder):
        for create, read_only in [(True, False), (False, False), (True, True)]:
            with pytest.raises(NotAStoreError) as caught:
                open_store(path, create=create, read_only=read_only)
            assert str(path) in str(caught.value)
            assert caught.value.hint
    assert file.read_text() == "mine"
    assert listing(folder) == {"notes.txt": 4, "app.log": 4}


def test_an_empty_folder_becomes_a_store_only_if_asked(tmp_path: Path) -> None:
    with pytest.raises(NotAStoreError, match="empty folder"):
        open_store(tmp_path, create=False)
    assert list(tmp_path.iterdir()) == []
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(str(tmp_path / "control"))
        open_store(tmp_path).close()
    open_store(tmp_path, create=False).close()


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other"
    other = rocksdict.Rdict(str(path))
    other["key"] = "value"
    other.close()
    before = listing(path)
    for read_only in (False, True):
        with pytest.raises(NotAStoreError, match="not one of crdtgraph"):
            open_store(path, read_only=read_only)
    assert listing(path) == before
    other = rocksdict.Rdict(str(path))
    assert other["key"] == "value"
    other.close()


@pytest.mark.parametrize("version", [FORMAT, FORMAT + 1])
def test_a_store_with_unknown_keyspaces(tmp_path: Path, version: int) -> None:
    path = tmp_path / "store"
    store = open_store(path)
    batch = Batch()
    batch.put(Keyspace.META, FORMAT_KEY, b"%d" % version)
    store.write(batch, sync=True)
    store.close()
    options = rocksdict.Options(raw_mode=True)
    engine = rocksdict.Rdict(str(path), options, dict.fromkeys(Keyspace, options))
    engine.create_column_family("hologram", options).close()
    engine.close()
    (path / "crdtgraph.closed").unlink()
    before = listing(path)
    for read_only in (False, True):
        if version > FORMAT:
            with pytest.raises(StoreVersionError, match=f"format {version}"):
                open_store(path, read_only=read_only)
        else:
            with pytest.raises(StoreCorruptError, match="hologram"):
                open_store(path, read_only=read_only)
    after = listing(path)
    assert {name for name in before if name.endswith((".sst", ".log"))} <= set(after)


def test_a_store_of_format_1_is_read_as_it_is_and_raised_when_written(tmp_path: Path) -> None:
    path = tmp_path / "store"
    options = engine_options(create=True)
    engine = rocksdict.Rdict(str(path), options, dict.fromkeys(sorted(FIRST_KEYSPACES), options))
    engine.get_column_family(Keyspace.META).put(FORMAT_KEY, b"1")
    engine.get_column_family(Keyspace.LOG).put(b"old", b"entry")
    engine.close()
    store = open_store(path, read_only=True)
    assert list(store.scan(Keyspace.LOG)) == [(b"old", b"entry")]
    assert store.get(Keyspace.META, FORMAT_KEY) == b"1"
    assert store.get(Keyspace.STATES, b"any") is None
    assert list(store.scan(Keyspace.OBJECTS)) == []
    store.close()
    store = open_store(path)
    batch = Batch()
    batch.put(Keyspace.STATES, b"new", b"row")
    store.write(batch, sync=True)
    store.close()
    for read_only in (True, False):
        store = open_store(path, read_only=read_only)
        assert store.get(Keyspace.META, FORMAT_KEY) == b"%d" % FORMAT
        assert store.get(Keyspace.LOG, b"old") == b"entry"
        assert store.get(Keyspace.STATES, b"new") == b"row"
        store.close()


def test_the_engine_stays_small_on_disk_and_in_files(tmp_path: Path) -> None:
    path = tmp_path / "store"
    for n in range(12):
        store = open_store(path)
        batch = Batch()
        batch.put(Keyspace.LOG, b"%d" % n, b"v")
        store.write(batch, sync=True)
        store.close()
    sizes = listing(path)
    assert sum(sizes.values()) < 400_000
    assert len(sizes) < 30


def test_traffic_is_what_the_system_was_given_over_all_openings(tmp_path: Path) -> None:
    def given() -> int:
        return int(re.search(r"wchar: (\d+)", Path("/proc/self/io").read_text())[1])  # type: ignore[index]

    before = given()
    for round_ in range(2):
        store = open_store(tmp_path / "store")
        for n in range(1_200):
            batch = Batch()
            batch.put(Keyspace.LOG, b"%d-%06d" % (round_, n), os.urandom(10_000))
            batch.put(Keyspace.SNAPSHOT, b"derived", bytes(100))
            store.write(batch, sync=False)
        store.close()
    after = given()
    store = open_store(tmp_path / "store", read_only=True)
    assert isinstance(store, Measured)
    traffic = store.traffic()
    store.close()
    assert traffic.records == 2 * 1_200 * (8 + 10_000)
    assert traffic.disk == pytest.approx(after - before, rel=0.02)
    (tmp_path / "store" / "crdtgraph.written").write_text("nonsense")
    store = open_store(tmp_path / "store", read_only=True)
    assert isinstance(store, Measured)
    assert store.traffic() == (0, 0)
    assert store.traffic().amplification is None
    store.close()
