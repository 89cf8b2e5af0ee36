"""Large values: what names them, that they come back, that damage is noticed, and that nothing needed is collected."""

from __future__ import annotations

import io
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import CommitId, Durability, Graph, LocalError, NotFoundError, Reference, StoreError
from crdtgraph.objects import (
    BLOCK_BYTES_MAX,
    CHUNK_BYTES,
    INLINE_BYTES_MAX,
    OBJECT_BYTES_MAX,
    Builder,
    ObjectCorruptError,
    ObjectMissingError,
    ObjectStore,
    RemoteObjectError,
    Root,
    chunks_of,
    format,
    hash_of,
    read_root,
    reference_of,
)
from crdtgraph.opening import attach
from crdtgraph.store import Batch, Keyspace, Store, open_store
from crdtgraph.union import unite

PINNED_EMPTY = "15d72e3cef9708106651e38e5c300c0a1be9e9e59803574b775fb3eac1904b50"
PINNED = "4506b25ba643fd72e276467eb96d1356d3b30df4d6d08fc6e073c1bbc1c37bba"
LARGE = random.Random(1).randbytes(3 * CHUNK_BYTES + 5)


@pytest.fixture
def graph() -> Iterator[Graph]:
    with crdtgraph.open("memory:") as opened:
        yield opened


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of 64 bytes and two hashes a block, so that a few hundred bytes are a tree of two levels."""
    monkeypatch.setattr(format, "CHUNK_BYTES", 64)
    monkeypatch.setattr(format, "FANOUT", 2)


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


# Names


def test_the_name_of_an_object_is_pinned() -> None:
    # What other replicas hold under these names stays there for ever.
    assert reference_of(b"").digest.hex() == PINNED_EMPTY
    assert reference_of(bytes(range(256)) * 1024).digest.hex() == PINNED


@given(st.binary(max_size=64 * 9), st.lists(st.integers(0, 130), max_size=12))
def test_an_object_is_named_by_its_bytes_however_they_come(data: bytes, cuts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(format, "CHUNK_BYTES", 64)
        patch.setattr(format, "FANOUT", 3)
        pieces, at = [], 0
        for cut in cuts:
            pieces.append(data[at : at + cut])
            at += cut
        pieces.append(data[at:])
        objects = ObjectStore(open_store("memory:"))
        references = {objects.put(data), objects.put(iter(pieces)), objects.put(io.BytesIO(data)), reference_of(data)}
        assert len(references) == 1
        [reference] = references
        assert objects.get(reference) == data
        assert reference.size == len(data)


def test_a_tree_of_two_levels_lists_its_lists(small_blocks: None) -> None:
    objects = ObjectStore(open_store("memory:"))
    data = bytes(range(4)) * 50
    reference = objects.put(data)
    root = read_root(objects.block(reference.digest) or b"")
    assert root.has_lists
    assert (root.size, root.chunks, len(root.hashes)) == (200, 4, 2)
    assert objects.get(reference) == data
    assert sorted(set(objects.blocks_of(reference.digest))) == sorted(set(names_of(data)))


def test_a_root_is_refused_cut_short_or_with_anything_more() -> None:
    data = Root(CHUNK_BYTES + 1, (bytes(32), bytes(32))).encode()
    assert read_root(data).size == CHUNK_BYTES + 1
    for end in range(len(data)):
        with pytest.raises(RemoteObjectError):
            read_root(data[:end])
    with pytest.raises(RemoteObjectError):
        read_root(data + b"\0")


@pytest.mark.parametrize(
    "root",
    [
        Root(CHUNK_BYTES, (bytes(32), bytes(32))),
        Root(CHUNK_BYTES + 1, (bytes(32),)),
        Root(0, (bytes(32),)),
        Root(1, (bytes(31),)),
        Root(OBJECT_BYTES_MAX + 1, ()),
    ],
)
def test_a_root_whose_size_does_not_fit_its_hashes_is_refused(root: Root) -> None:
    with pytest.raises(RemoteObjectError):
        read_root(root.encode())


def test_an_object_that_is_too_large_is_refused(small_blocks: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(format, "OBJECT_BYTES_MAX", 256)
    with pytest.raises(LocalError, match="at most 256"):
        reference_of(bytes(257))


# In a graph


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


# Garbage


def collected(graph: Graph) -> None:
    """Collect until nothing is fresh any more."""
    for _ in range(3):
        graph.collect_garbage()


def test_what_no_live_commit_names_is_collected(graph: Graph) -> None:
    kept = graph.commit(changes={"a": LARGE})
    dead = graph.commit(parents=[kept], changes={"a": LARGE[:-1], "b": LARGE})
    graph.put_object(b"never named" * 10_000)
    collected(graph)
    assert graph.read(dead, "a") == LARGE[:-1]
    assert not graph.has_object(reference_of(b"never named" * 10_000))
    graph.discard(dead)
    assert graph.collect_garbage(dry_run=True).objects == 1
    result = graph.collect_garbage()
    assert (result.objects, result.blocks, result.kept_objects, result.missing) == (1, 2, 1, 0)
    assert result.bytes > 4
    assert graph.read(kept, "a") == LARGE
    with pytest.raises(ObjectMissingError):
        graph.read(dead, "a")
    assert len(block_keys(graph.store)) == 5


def test_what_was_put_lately_outlives_a_collection_and_may_be_named_then(graph: Graph) -> None:
    reference = graph.put_object(LARGE)
    assert graph.collect_garbage().objects == 0
    assert graph.object(reference) == LARGE
    assert graph.collect_garbage().objects == 0
    assert graph.collect_garbage().objects == 1


def test_a_search_keeps_its_large_values_until_it_is_over_and_those_promoted_for_ever(graph: Graph) -> None:
    kept, lost = reference_of(LARGE), reference_of(LARGE[1:])
    with graph.search("s") as search:
        promoted = search.commit(parents=[], changes={"a": LARGE})
        search.commit(parents=[promoted], changes={"a": LARGE[1:]})
        collected(graph)
        assert graph.object(kept) == LARGE
        assert graph.object(lost) == LARGE[1:]
        search.promote(promoted, ref="main")
    collected(graph)
    assert graph.read(promoted, "a") == LARGE
    assert not graph.has_object(lost)


def test_one_collection_at_a_time(graph: Graph) -> None:
    graph.commit(changes={"a": LARGE})
    steps = graph.collect_steps()
    next(steps)
    with pytest.raises(LocalError, match="already"):
        graph.collect_garbage()
    assert graph.collect_garbage(dry_run=True).kept_objects == 1
    steps.close()
    assert graph.collect_garbage().kept_objects == 1


def test_a_process_that_starts_anew_collects_what_the_last_one_left(tmp_path: Path) -> None:
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        graph.put_object(LARGE)
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        assert graph.collect_garbage().objects == 1
        assert block_keys(graph.store) == []


def test_a_missing_object_of_a_discarded_commit_is_wanted_no_longer(graph: Graph) -> None:
    with crdtgraph.open("memory:") as other:
        commit = other.commit(changes={"a": LARGE}, ref="main")
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
    collected(graph)
    assert graph.objects.missing == 1
    graph.discard(commit)
    collected(graph)
    assert (graph.objects.missing, graph.objects.missing_bytes) == (0, 0)


VALUES = [random.Random(each).randbytes(INLINE_BYTES_MAX + 1 + 40_000 * each) for each in range(5)]
VALUES.append(VALUES[3][:CHUNK_BYTES] + VALUES[4])


@given(st.lists(st.tuples(st.sampled_from("cccdpgss"), st.integers(0, 30)), max_size=30))
def test_a_collection_never_removes_what_a_live_commit_names(actions: list[tuple[str, int]]) -> None:
    with crdtgraph.open("memory:") as graph:
        under_way: Iterator[None] | None = None
        reference = None
        for action, number in actions:
            commits = graph.topological()
            if action == "c":
                parents = [commits[number % len(commits)]] if commits else []
                value = reference if reference is not None and number % 3 == 0 else VALUES[number % len(VALUES)]
                reference = None
                graph.commit(
                    parents=parents,
                    changes={f"p{number % 3}": value},
                    durability=Durability.CRITICAL if number % 2 else None,
                )
            elif action == "d" and commits:
                graph.discard(commits[number % len(commits)])
            elif action == "p":
                reference = graph.put_object(VALUES[number % len(VALUES)])
            elif action == "g":
                under_way = graph.collect_steps()
            elif under_way is not None:
                next(under_way, None)
        for _ in under_way or ():
            pass
        for commit in graph.topological():
            if graph.is_live(commit):
                for value in graph.state(commit).values():
                    assert isinstance(value, Reference)
                    assert graph.object(value) in VALUES
        assert graph.objects.missing == 0
        collected(graph)
        live = [value for each in graph.topological() if graph.is_live(each) for _, value in graph.get(each).changes]
        named = {value.digest for value in live if isinstance(value, Reference)}
        assert {each for each, _ in graph.objects.whole()} == named


def test_a_union_brings_large_values_along(graph: Graph) -> None:
    with crdtgraph.open("memory:") as other:
        commit = other.commit(changes={"a": LARGE}, ref="main")
        unite(other, graph)
    assert graph.read(commit, "a") == LARGE
    assert graph.objects.missing == 0
