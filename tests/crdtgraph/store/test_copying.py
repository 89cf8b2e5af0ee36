"""Copies of whole stores: equal whatever the engine, there whole or not at all, never over something else."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.errors import LocalError, StoreCorruptError, StoreError, StoreLockedError
from crdtgraph.store import Batch, Keyspace, Store, open_store
from crdtgraph.store.copying import Sum, Summing, building, entries, fill, sum_of, verify

ROOT = Path(__file__).parents[3]
KINDS = ("rocksdb", "sqlite")
both = pytest.mark.parametrize("kind", KINDS)
_serial = itertools.count()


def put(store: Store, *written: tuple[Keyspace, bytes, bytes]) -> None:
    batch = Batch()
    for each in written:
        batch.put(*each)
    store.write(batch, sync=True)


def copy(source: Store, url: str) -> Sum:
    with building(url) as store:
        summing = Summing(entries(source))
        fill(store, summing)
        verify(store, summing.sum())
    return summing.sum()


_written = st.lists(st.tuples(st.sampled_from(Keyspace), st.binary(max_size=4), st.binary(max_size=40)), max_size=20)


@settings(max_examples=8, deadline=None)
@given(written=_written, kinds=st.permutations([*KINDS, "memory"]))
def test_copies_from_engine_to_engine_are_equal(
    written: list[tuple[Keyspace, bytes, bytes]], kinds: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("law")
    first = open_store(f"{kinds[0]}:{folder / 'first'}")
    put(first, *written)
    expected = sum_of(first)
    for n, kind in enumerate([kind for kind in kinds[1:] if kind != "memory"] * 2):
        url = f"{kind}:{folder / str(n)}"
        assert copy(first, url) == expected
        first.close()
        first = open_store(url, create=False)
        assert sum_of(first) == expected
        assert list(entries(first)) == [
            (each, *entry) for each in Keyspace for entry in first.scan(each) if entry[0] != b"format"
        ]
    first.close()


def test_the_sum_tells_contents_apart(tmp_path: Path) -> None:
    contents: list[list[tuple[Keyspace, bytes, bytes]]] = [
        [],
        [(Keyspace.LOG, b"a", b"bc")],
        [(Keyspace.LOG, b"ab", b"c")],
        [(Keyspace.STRAYS, b"a", b"bc")],
        [(Keyspace.LOG, b"a", b""), (Keyspace.LOG, b"bc", b"")],
    ]
    sums = set()
    for content in contents:
        store = open_store("memory:")
        put(store, *content)
        sums.add(sum_of(store))
    assert len(sums) == len(contents)


@both
def test_an_error_leaves_nothing(tmp_path: Path, kind: str) -> None:
    def fail() -> None:
        with building(f"{kind}:{tmp_path / 'store'}") as store:
            put(store, (Keyspace.LOG, b"k", b"v"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


@both
def test_a_copy_that_reads_back_otherwise_is_refused(tmp_path: Path, kind: str) -> None:
    source = open_store("memory:")
    put(source, (Keyspace.LOG, b"k", b"v"))

    def copy_wrongly() -> None:
        with building(f"{kind}:{tmp_path / 's'}") as store:
            summing = Summing(entries(source))
            fill(store, summing)
            put(store, (Keyspace.LOG, b"k2", b"v"))
            verify(store, summing.sum())

    with pytest.raises(StoreCorruptError, match="the copy has 2 entries"):
        copy_wrongly()
    assert list(tmp_path.iterdir()) == []


@both
def test_a_place_that_is_taken_is_left_alone(tmp_path: Path, kind: str) -> None:
    store = open_store(f"{kind}:{tmp_path / 'store'}")
    put(store, (Keyspace.LOG, b"k", b"v"))
    store.close()
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "note").write_text("mine")
    before = set(tmp_path.rglob("*"))
    for name in ("store", "file", "folder"):
        with pytest.raises(LocalError, match="not empty") as caught, building(f"{kind}:{tmp_path / name}"):
            pytest.fail("the block was entered")
        assert caught.value.hint
    # Looking at a store of SQLite leaves two files beside it, which the next to write removes.
    assert {each for each in tmp_path.rglob("*") if not each.name.endswith(("-wal", "-shm"))} == before
    with pytest.raises(LocalError, match="gone"), building("memory:"):
        pytest.fail("the block was entered")


@both
def test_what_comes_to_be_at_the_place_meanwhile_is_not_replaced(tmp_path: Path, kind: str) -> None:
    def build_where_another_does() -> None:
        with building(f"{kind}:{tmp_path / 'store'}"):
            other = open_store(f"{kind}:{tmp_path / 'store'}")
            put(other, (Keyspace.LOG, b"k", b"v"))
            other.close()

    with pytest.raises(StoreError, match="created"):
        build_where_another_does()
    store = open_store(f"{kind}:{tmp_path / 'store'}", create=False)
    assert store.get(Keyspace.LOG, b"k") == b"v"
    store.close()
    assert not [each for each in tmp_path.iterdir() if "unfinished" in each.name]


@both
def test_two_at_once_for_one_place_and_one_over_an_old_store(tmp_path: Path, kind: str) -> None:
    url = f"{kind}:{tmp_path / 'store'}"
    with building(url) as store:
        put(store, (Keyspace.LOG, b"k", b"old"))
        with pytest.raises(StoreLockedError), building(url):
            pytest.fail("the block was entered")
    with building(url, replacing=True) as store:
        put(store, (Keyspace.LOG, b"k", b"new"))
    opened = open_store(url, create=False)
    assert opened.get(Keyspace.LOG, b"k") == b"new"
    with pytest.raises(StoreLockedError), building(url, replacing=True) as store:
        put(store, (Keyspace.LOG, b"k", b"newer"))
    assert opened.get(Keyspace.LOG, b"k") == b"new"
    opened.close()
    assert {each.name for each in tmp_path.iterdir()} <= {"store", "store.lock"}


@both
@pytest.mark.parametrize("count", [0, 1, 1_500])
def test_a_kill_in_the_middle_leaves_no_store_and_no_obstacle(tmp_path: Path, kind: str, count: int) -> None:
    url = f"{kind}:{tmp_path / 'store'}"
    code = (
        "import sys, signal; from crdtgraph.store import *; from crdtgraph.store.copying import *\n"
        "with building(sys.argv[1]) as store:\n"
        "  fill(store, ((Keyspace.LOG, b'%d' % n, bytes(100)) for n in range(int(sys.argv[2]))))\n"
        "  print('filled', flush=True); signal.pause()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, url, str(count)], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"filled\n"
        process.send_signal(signal.SIGKILL)
    finally:
        process.kill()
        process.communicate()
    assert not os.path.lexists(tmp_path / "store")
    with building(url) as store:
        assert list(entries(store)) == []
        put(store, (Keyspace.LOG, b"k", b"v"))
    opened = open_store(url, create=False)
    assert list(entries(opened)) == [(Keyspace.LOG, b"k", b"v")]
    opened.close()
    assert {each.name for each in tmp_path.iterdir()} <= {"store", "store.lock"}


def test_a_store_that_somebody_reads_is_not_replaced_under_their_eyes(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'store'}"
    for value in (b"old", b"new"):
        store = open_store(url)
        put(store, (Keyspace.LOG, b"k", value))
        reader = open_store(url, read_only=True)
        put(store, (Keyspace.LOG, b"k", value + b"er"))
        store.close()

        def replace() -> None:
            with building(url, replacing=True) as store:
                put(store, (Keyspace.LOG, b"k", b"another"))

        with pytest.raises(StoreLockedError, match="reads"):
            replace()
        assert reader.get(Keyspace.LOG, b"k") == value
        reader.close()
    replace()
    store = open_store(url)
    assert list(entries(store)) == [(Keyspace.LOG, b"k", b"another")]
    store.close()


def test_the_log_of_a_store_that_is_gone_is_not_taken_for_that_of_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "store-wal").write_bytes(b"frames")
    with pytest.raises(LocalError, match="store-wal"), building(f"sqlite:{tmp_path / 'store'}"):
        pytest.fail("the block was entered")
