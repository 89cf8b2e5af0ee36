"""Real processes, really killed, and a real limit on the size of files."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from crdtgraph.errors import NotAStoreError, StoreError
from crdtgraph.store import FORMAT_KEY, Batch, Keyspace, Store, open_store
from crdtgraph.store.base import Measured

CHILDREN = Path(__file__).with_name("children.py")


on_disk = pytest.mark.parametrize("kind", ["rocksdb", "sqlite"])


@contextmanager
def child(*arguments: object) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, str(CHILDREN), *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.close()


def promises(process: "subprocess.Popen[bytes]", count: int) -> list[bytes]:
    """Read `count` promises, kill the process in the middle of whatever it does, and read the rest."""
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(count)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.read().splitlines(keepends=True)
    assert process.wait() == -signal.SIGKILL
    return [line.strip() for line in lines if line.endswith(b"\n")]


def check_whole_batches(store: Store) -> int:
    """Check that both keyspaces hold whole batches, numbered without a gap; return how many."""
    entries = list(store.scan(Keyspace.LOG))
    assert entries == list(store.scan(Keyspace.SNAPSHOT))
    count = len(entries) // 4
    keys = [b"%08d-%d" % (n, part) for n in range(count) for part in range(4)]
    assert [key for key, _ in entries] == keys
    assert all(value == key[:8] * 2000 for key, value in entries)
    return count


@on_disk
@pytest.mark.parametrize("mode", ["write", "sync"])
def test_sigkill_in_mid_write_loses_nothing_promised_and_tears_no_batch(tmp_path: Path, mode: str, kind: str) -> None:
    path = f"{kind}:{tmp_path / 'store'}"
    promised = -1
    for round_ in range(4):
        with child("append", path, mode) as process:
            promised = max(promised, *map(int, promises(process, 3 + 7 * round_)))
        with open_store_closing(path) as store:
            assert check_whole_batches(store) > promised
    assert promised > 20


@contextmanager
def open_store_closing(path: Path | str, *, read_only: bool = False) -> Iterator[Store]:
    store = open_store(path, create=False, read_only=read_only)
    try:
        yield store
    finally:
        store.close()


@on_disk
def test_sigkill_twice_without_a_clean_close_between(tmp_path: Path, kind: str) -> None:
    url = f"{kind}:{tmp_path / 'store'}"
    promised = -1
    for _ in range(3):
        with child("append", url, "write") as process:
            promised = max(map(int, promises(process, 5)))
    with open_store_closing(url, read_only=True) as store:
        assert check_whole_batches(store) > promised
    with open_store_closing(url) as store:
        assert check_whole_batches(store) > promised


@on_disk
def test_sigkill_loses_little_of_what_was_counted(tmp_path: Path, kind: str) -> None:
    url = f"{kind}:{tmp_path / 'store'}"
    with child("append", url, "sync") as process:
        count = max(map(int, promises(process, 21)))
    with open_store_closing(url, read_only=True) as store:
        assert isinstance(store, Measured)
        records, disk = store.traffic()
    given = count * 64_000  # In the log alone, of which each batch has four entries.
    assert given - (9 << 20) < records <= given + 100 * 64_100
    assert disk is not None
    assert disk > records > 0


def test_a_last_write_torn_at_any_byte_is_dropped_in_silence(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with child("append", path, "write") as process:
        promises(process, 3)
    (wal,) = path.glob("*.log")
    size = wal.stat().st_size
    with open_store_closing(path, read_only=True) as store:
        count = check_whole_batches(store)
    last = count - 1
    for cut in [1, 2, 6, 7, 8, 100, 5000, 40_000, 70_000]:
        os.truncate(wal, size - cut)
        with open_store_closing(path, read_only=True) as store:
            assert last - 1 <= check_whole_batches(store) <= count
    with open_store_closing(path) as store:
        kept = check_whole_batches(store)
        batch = Batch()
        batch.put(Keyspace.META, b"after", b"")
        store.write(batch, sync=True)
    with open_store_closing(path) as store:
        assert check_whole_batches(store) == kept
        assert store.get(Keyspace.META, b"after") == b""


@pytest.mark.parametrize("kind", ["rocksdb", "rocksdb in another's folder", "sqlite"])
def test_a_reader_beside_a_busy_writer_sees_whole_batches(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, is_others = kind.split()[0], " " in kind
    if is_others:
        monkeypatch.setattr("crdtgraph.store.rocksdb.is_writable", lambda _: False)
    path = f"{kind}:{tmp_path / 'store'}"
    with child("churn", path) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        for round_ in range(15):
            promised = int(process.stdout.readline())
            process.stdin.write(b"go on\n")
            process.stdin.flush()
            for _ in range(3 if round_ else 0):
                with open_store_closing(path, read_only=True) as store:
                    entries = [(key, value[:8]) for key, value in store.scan(Keyspace.LOG)]
                    assert entries == [(key, value[:8]) for key, value in store.scan(Keyspace.SNAPSHOT)]
                numbers = sorted(int(number) for _, number in entries)
                assert numbers == list(range(numbers[0], numbers[-1] + 1))
                assert numbers[-1] >= promised


@on_disk
def test_sigkill_in_mid_creation_leaves_what_opens_or_can_be_created_again(tmp_path: Path, kind: str) -> None:
    rng = random.Random(2)
    for n in range(10):
        path = f"{kind}:{tmp_path / f'store-{n}' / 'store'}"
        with child("create", path) as process:
            # Wait for the first thing that is made, then strike at some moment of the creation.
            while not (tmp_path / f"store-{n}").exists():
                assert process.poll() is None
            time.sleep(rng.uniform(0, 0.02))
            process.send_signal(signal.SIGKILL)
            process.wait()
        with suppress(NotAStoreError):
            open_store(path, create=False, read_only=True).close()
        store = open_store(path)
        assert [key for key, _ in store.scan(Keyspace.META)] == [FORMAT_KEY]
        store.close()
        open_store(path, create=False).close()


def test_an_interrupted_creation_is_wiped_but_not_what_others_put_there(tmp_path: Path) -> None:
    path = tmp_path / "store"
    open_store(path).close()
    (path / "crdtgraph.closed").unlink()
    (path / "crdtgraph.creating").touch()
    (manifest,) = path.glob("MANIFEST-*")
    os.truncate(manifest, 50)
    (path / "notes.txt").write_text("mine")
    for read_only in (False, True):
        with pytest.raises(NotAStoreError, match="interrupted"):
            open_store(path, create=False, read_only=read_only)
    open_store(path).close()
    open_store(path, create=False).close()
    assert (path / "notes.txt").read_text() == "mine"


@on_disk
def test_a_full_disk_fails_the_write_and_nothing_else(tmp_path: Path, kind: str) -> None:
    path = f"{kind}:{tmp_path / 'store'}"
    with child("fill", path, 3_000_000) as process:
        out, _ = process.communicate()
    failure, count, *again, reopened, entries, readable, closed = out.decode().splitlines()
    assert failure.startswith(f"StoreError: the store {path} can't be written: ")
    assert "free space" in failure
    assert int(count) > 5
    assert len(again) == 2, "no write may succeed behind a failed one"
    # SQLite makes room in its log by copying that into the file, which has not grown so far yet.
    refused = f"StoreError: the store {tmp_path / 'store'} can't be written: File too large"
    assert reopened == (refused if kind == "rocksdb" else "reopened without room")
    assert int(entries) == int(count) * 4
    assert readable == "True"
    assert closed == "closed" or closed.startswith("StoreError: ")
    with open_store_closing(path, read_only=True) as store:
        assert check_whole_batches(store) >= int(count)
    with open_store_closing(path) as store:
        kept = check_whole_batches(store)
        assert kept >= int(count)
        batch = Batch()
        batch.put(Keyspace.META, b"after", b"")
        store.write(batch, sync=True)
    with open_store_closing(path) as store:
        assert check_whole_batches(store) == kept
        assert store.get(Keyspace.META, b"after") == b""


@on_disk
def test_a_store_goes_on_where_it_is_when_there_is_room_again(tmp_path: Path, kind: str) -> None:
    path = f"{kind}:{tmp_path / 'store'}"
    with child("refill", path, 3_000_000) as process:
        assert process.stdout is not None
        count, went_on = (process.stdout.readline().decode().strip() for _ in range(2))
        assert went_on == "went on"
        process.kill()
    assert int(count) > 5
    with open_store_closing(path) as store:
        assert check_whole_batches(store) >= int(count) + 10
    assert not list(tmp_path.rglob("*.room"))


@on_disk
def test_a_scan_across_a_reopening_ends_whole_or_with_an_error(tmp_path: Path, kind: str) -> None:
    path = f"{kind}:{tmp_path / 'store'}"
    open_store(path).close()
    with open_store_closing(path) as store:
        batch = Batch()
        for n in range(9):
            batch.put(Keyspace.LOG, b"%d" % n, b"")
        store.write(batch, sync=True)
        entries = sum(1 for _ in store.scan(Keyspace.LOG))
        scan = store.scan(Keyspace.LOG)
        next(scan)
        store.reopen()
        if kind == "sqlite":
            assert 1 + sum(1 for _ in scan) == entries
        else:
            with pytest.raises(StoreError, match="opened anew"):
                next(scan)
        assert sum(1 for _ in store.scan(Keyspace.LOG)) == entries


@on_disk
def test_a_full_disk_fails_the_creation_and_leaves_room_for_another(tmp_path: Path, kind: str) -> None:
    code = (
        "import resource, signal, sys; from crdtgraph.store import open_store; "
        "from crdtgraph.errors import StoreError; "
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); import crdtgraph.store.rocksdb, crdtgraph.store.sqlite; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "try: open_store(sys.argv[1]); sys.exit(4)\n"
        "except StoreError as error: sys.exit(3 if error.hint else 5)\n"
    )
    root = Path(__file__).parents[3]
    for limit in (0, 10, 100, 700, *((5_000, 30_000) if kind == "sqlite" else ())):
        path = f"{kind}:{tmp_path / f'store-{limit}'}"
        command = [sys.executable, "-c", code, path, str(limit)]
        assert subprocess.run(command, cwd=root, check=False).returncode == 3, limit
        open_store(path).close()
        open_store(path, create=False).close()
