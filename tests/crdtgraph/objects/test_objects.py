"""Large values: what names them, that they come back, that damage is noticed, and that nothing needed is collected."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import CommitId, Graph, LocalError, NotFoundError, Reference, StoreError
from crdtgraph.objects import (
    BLOCK_BYTES_MAX,
    CHUNK_BYTES,
    INLINE_BYTES_MAX,
    Builder,
    ObjectCorruptError,
    ObjectMissingError,
    ObjectStore,
    RemoteObjectError,
    chunks_of,
    hash_of,
    reference_of,
)
from crdtgraph.opening import attach
from crdtgraph.store import Batch, Keyspace, Store, open_store
from crdtgraph.store.memory import MemoryStore
from crdtgraph.union import unite

LARGE = random.Random(1).randbytes(3 * CHUNK_BYTES + 5)


def block_keys(store: Store) -> list[bytes]:
    return [key for key, _ in store.scan(Keyspace.OBJECTS, b"b")]


def damage(store: Store, name: bytes, data: bytes | None) -> None:
    batch = Batch()
    batch.put(Keyspace.OBJECTS, b"b" + name, data) if data is not None else batch.delete(Keyspace.OBJECTS, b"b" + name)
    store.write(batch, sync=True)


def names_of(data: bytes) -> list[bytes]:
    """The names of an object's blocks, the root last."""
    builder = Builder()
    names = [name for chunk in chunks_of(data) for name, _ in builder.add(chunk)]
    return names + [name for name, _ in builder.finish()[1]]


def test_a_large_value_is_an_object_and_a_small_one_is_not(graph: Graph) -> None:
    commit = graph.commit(
        changes={"small": bytes(INLINE_BYTES_MAX), "large": bytes(INLINE_BYTES_MAX + 1), "gone": None}
    )
    state = graph.state(commit)
    assert state["small"] == bytes(INLINE_BYTES_MAX)
    assert state["large"] == reference_of(bytes(INLINE_BYTES_MAX + 1))
    assert graph.read(commit, "large") == bytes(INLINE_BYTES_MAX + 1)
    assert graph.read(commit, "small") == bytes(INLINE_BYTES_MAX)
    with pytest.raises(NotFoundError, match="no path 'gone'"):
        graph.read(commit, "gone")


def test_equal_values_and_equal_parts_are_kept_once(graph: Graph) -> None:
    one = graph.put_object(LARGE)
    before = len(block_keys(graph.store))
    assert graph.put_object([LARGE[:1000], LARGE[1000:]]) == one
    assert len(block_keys(graph.store)) == before == 5
    graph.put_object(LARGE + b"more")
    assert len(block_keys(graph.store)) == before + 2  # A last chunk and a root.


def test_an_object_may_be_put_first_and_named_afterwards(graph: Graph) -> None:
    reference = graph.put_object(io.BytesIO(LARGE))
    commit = graph.commit(changes={"a": reference}, ref="main")
    assert graph.read(commit, "a") == LARGE
    assert b"".join(graph.object_chunks(reference)) == graph.object(reference) == LARGE
    assert graph.has_object(reference)


def test_what_was_put_is_on_disk_after_a_flush() -> None:
    syncs: list[str] = []

    class Counting(MemoryStore):
        def sync(self) -> None:
            syncs.append("sync")
            super().sync()

    with attach(Counting()) as graph:
        graph.flush()
        before = len(syncs)
        graph.put_object(LARGE)
        graph.flush()
        assert len(syncs) == before + 1
        graph.flush()
        assert len(syncs) == before + 1


def test_a_commit_cannot_name_an_object_that_is_not_here(graph: Graph) -> None:
    digest = graph.digest()
    with pytest.raises(LocalError, match="not here") as caught:
        graph.commit(changes={"a": reference_of(LARGE)})
    assert "put_object" in caught.value.hint
    assert graph.digest() == digest


@pytest.mark.parametrize("source", [5, None, ["text"], io.StringIO("text")])
def test_what_is_no_object_is_refused(graph: Graph, source: object) -> None:
    with pytest.raises(LocalError):
        graph.put_object(source)  # type: ignore[arg-type]


def test_a_reference_to_elsewhere_is_not_kept_here(graph: Graph) -> None:
    commit = graph.commit(changes={"a": Reference("git-blob", bytes(20), 5)})
    with pytest.raises(ObjectMissingError, match="git-blob"):
        graph.read(commit, "a")


@pytest.mark.parametrize("scheme", ["rocksdb", "sqlite"])
def test_objects_survive_the_process(tmp_path: Path, scheme: str) -> None:
    with crdtgraph.open(f"{scheme}:{tmp_path / 's'}") as graph:
        commit = graph.commit(changes={"a": LARGE}, ref="main")
    with crdtgraph.open(f"{scheme}:{tmp_path / 's'}", read_only=True) as graph:
        assert graph.read(commit, "a") == LARGE
        with pytest.raises(LocalError, match="reading only"):
            graph.put_object(b"")


def test_a_merge_compares_references(graph: Graph) -> None:
    root = graph.commit(changes={"a": b"", "b": b""}, ref="main")
    ours = graph.commit(parents=[root], changes={"a": LARGE})
    theirs = graph.commit(parents=[root], changes={"a": LARGE, "b": LARGE[1:]})
    graph.set_ref("main", ours)
    graph.set_ref("main", theirs, keep_others=True)
    result = graph.merge("main")
    assert result.conflicts == ()
    assert graph.read(result.commit, "a") == LARGE
    assert graph.read(result.commit, "b") == LARGE[1:]


def test_what_a_peers_commits_name_is_wanted(graph: Graph) -> None:
    with crdtgraph.open("memory:") as other:
        other.commit(changes={"a": LARGE, "b": LARGE[1:]}, ref="main")
        other.commit(changes={"a": LARGE}, ref="main")
        woken: list[int] = []
        graph.objects.on_wanted = lambda: woken.append(1)
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
        assert (graph.objects.missing, graph.objects.missing_bytes) == (2, 2 * len(LARGE) - 1)
        assert dict(graph.objects.wanted()) == {reference_of(each).digest: len(each) for each in (LARGE, LARGE[1:])}
        assert woken
        with pytest.raises(ObjectMissingError, match="not here"):
            graph.read(graph.refs["main"], "a")
        copy_object(other, graph, reference_of(LARGE))
        assert graph.read(graph.refs["main"], "a") == LARGE
        assert (graph.objects.missing, graph.objects.missing_bytes) == (1, len(LARGE) - 1)


def copy_object(source: Graph, target: Graph, reference: Reference) -> None:
    for name in source.objects.blocks_of(reference.digest):
        target.objects.put_block(name, source.objects.block(name) or b"")
    target.objects.complete(reference.digest, reference.size)


def test_what_imported_commits_name_is_wanted(graph: Graph) -> None:
    with crdtgraph.open("memory:") as other:
        commit = other.get(other.commit(changes={"a": LARGE}))
    graph.commit_many([commit])
    assert graph.objects.missing == 1


def test_what_is_missing_is_known_after_a_restart_without_looking_through_commits(tmp_path: Path) -> None:
    with crdtgraph.open("memory:") as other, crdtgraph.open(str(tmp_path / "s")) as graph:
        other.commit(changes={"a": LARGE}, ref="main")
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        assert graph.objects.is_scanned
        assert (graph.objects.missing, graph.objects.missing_bytes) == (1, len(LARGE))


def test_commits_of_an_older_store_are_looked_through_once(graph: Graph) -> None:
    commit = graph.commit(changes={"a": LARGE})
    graph.objects.remove(objects=[reference_of(LARGE).digest])
    batch = Batch()
    batch.delete(Keyspace.OBJECTS, b"scanned")
    graph.store.write(batch, sync=False)
    assert not graph.objects.is_scanned
    assert graph.objects.missing == 0
    for _ in graph.look_for_objects_steps():
        pass
    assert graph.objects.missing == 1
    assert graph.objects.is_scanned
    assert commit in graph


# Damage


@pytest.mark.parametrize("place", [0, 2, -1], ids=["first chunk", "another chunk", "root"])
@pytest.mark.parametrize("data", [b"rot", None], ids=["rotten", "gone"])
def test_a_corrupted_object_is_noticed_removed_and_wanted_again(graph: Graph, place: int, data: bytes | None) -> None:
    commit = graph.commit(changes={"a": LARGE})
    name = names_of(LARGE)[place]
    damage(graph.store, name, data)
    with pytest.raises(ObjectCorruptError, match="damaged on the disk"):
        graph.read(commit, "a")
    assert graph.objects.missing == 1
    assert name not in [key[1:] for key in block_keys(graph.store)]
    with pytest.raises(ObjectMissingError):
        graph.read(commit, "a")
    with crdtgraph.open("memory:") as other:
        other.put_object(LARGE)
        copy_object(other, graph, reference_of(LARGE))
    assert graph.read(commit, "a") == LARGE
    assert graph.objects.missing == 0


def test_a_block_that_the_engine_cannot_read_is_removed() -> None:
    class Rotten:
        """A store whose blocks cannot be read."""

        def __init__(self, store: Store) -> None:
            self._store = store

        def __getattr__(self, name: str) -> object:
            return getattr(self._store, name)

        def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
            data = self._store.get(keyspace, key)
            if keyspace is Keyspace.OBJECTS and key[:1] == b"b" and data is not None:
                raise crdtgraph.StoreCorruptError("block checksum mismatch")
            return data

    store = open_store("memory:")
    reference = ObjectStore(store).put(LARGE)
    objects = ObjectStore(Rotten(store))  # type: ignore[arg-type]
    with pytest.raises(ObjectCorruptError):
        objects.get(reference)
    assert objects.missing == 1


def test_fsck_checks_objects(graph: Graph) -> None:
    graph.commit(changes={"a": LARGE, "b": LARGE[1:]})
    assert [finding.problem for finding in graph.fsck() if finding.plane == "objects"] == ["", ""]
    damage(graph.store, names_of(LARGE[1:])[0], b"rot")
    problems = [finding.problem for finding in graph.fsck() if finding.problem]
    assert len(problems) == 1
    assert reference_of(LARGE[1:]).digest.hex()[:16] in problems[0]
    assert graph.objects.missing == 1


def test_a_block_of_another_name_is_not_taken(graph: Graph) -> None:
    with pytest.raises(RemoteObjectError):
        graph.objects.put_block(bytes(32), b"something")
    too_long = bytes(BLOCK_BYTES_MAX + 1)
    with pytest.raises(RemoteObjectError):
        graph.objects.put_block(hash_of(too_long), too_long)
    assert block_keys(graph.store) == []


def test_a_commit_that_names_a_wrong_size_says_so(graph: Graph) -> None:
    graph.put_object(LARGE)
    lie = Reference("object", reference_of(LARGE).digest, 5)
    assert not graph.has_object(lie)
    with pytest.raises(ObjectCorruptError, match=f"has {len(LARGE)} bytes") as caught:
        graph.object(lie)
    assert "wrong size" in caught.value.hint
    assert graph.object(reference_of(LARGE)) == LARGE


class Full:
    """A store whose disk is full after so many writes."""

    def __init__(self, store: Store, writes: int) -> None:
        self.writes = writes
        self._store = store

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def write(self, batch: Batch, *, sync: bool) -> None:
        if self.writes <= 0:
            raise StoreError("no space left on device")
        self.writes -= 1
        self._store.write(batch, sync=sync)


@pytest.mark.parametrize("writes", range(4))
def test_a_full_disk_leaves_no_commit_and_half_an_object_is_collected(writes: int) -> None:
    large = random.Random(2).randbytes(3 << 20)
    store = Full(open_store("memory:"), 10)
    with attach(store) as graph:  # type: ignore[arg-type]
        digest = graph.digest()
        store.writes = writes
        with pytest.raises(StoreError, match="no space"):
            graph.commit(changes={"a": large}, ref="main")
        assert graph.digest() == digest
        assert not graph.has_object(reference_of(large))
        assert bool(block_keys(graph.store)) is (writes > 0)
        store.writes = 10_000
        for _ in range(3):
            graph.collect_garbage()
        assert block_keys(graph.store) == []
        commit = graph.commit(changes={"a": large}, ref="main")
        assert graph.read(commit, "a") == large


CHILD = """
import random, sys, crdtgraph
with crdtgraph.open(sys.argv[1]) as graph:
    for number in range(10_000):
        data = random.Random(number).randbytes(200_000)
        commit = graph.commit(changes={"a": data}, ref="main")
        print(commit.hex(), number, flush=True)
"""


def test_an_acknowledged_commit_of_a_killed_process_has_its_objects(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "s")], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        said = [child.stdout.readline().split() for _ in range(7)]
        os.kill(child.pid, signal.SIGKILL)
        said += [line.split() for line in child.stdout.read().splitlines(keepends=True) if line.endswith("\n")]
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        assert graph.objects.missing == 0
        for commit, number in said:
            data = random.Random(int(number)).randbytes(200_000)
            assert graph.read(CommitId(bytes.fromhex(commit)), "a") == data
        assert not [finding.problem for finding in graph.fsck() if finding.problem]


def test_a_union_brings_large_values_along(graph: Graph) -> None:
    with crdtgraph.open("memory:") as other:
        commit = other.commit(changes={"a": LARGE}, ref="main")
        unite(other, graph)
    assert graph.read(commit, "a") == LARGE
    assert graph.objects.missing == 0
