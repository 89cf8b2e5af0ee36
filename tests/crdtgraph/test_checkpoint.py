"""Checkpoints: whatever a replica lived through, opening with one is opening without. One that is no good is none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import Graph, StoreError, checkpoint
from crdtgraph.document import item_update
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.log import PlaneLog
from crdtgraph.recovery import keep_checkpoint
from crdtgraph.store import Batch, Keyspace
from crdtgraph.union import unite
from tests.sync.replicas import grow, host, replica

HOUR_US = 3_600_000_000
KEY = b"checkpoint\0ledger\0"


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every close leaves a checkpoint."""
    monkeypatch.setattr(checkpoint, "COMMITS_MIN", 1)
    monkeypatch.setattr(checkpoint, "GROWTH_DIVISOR", 1 << 30)


def covered(graph: Graph) -> int:
    """How many commits of this graph were not folded."""
    return graph._planes["ledger"].covered


def sound(graph: Graph) -> None:
    """A fold of everything from scratch, and the way from every id to its content, say the same."""
    assert [finding.problem for finding in graph.fsck() if finding.problem] == []


def seen(graph: Graph) -> object:
    """What a reader can ask for."""
    return (
        graph.digest(),
        graph.status().pending,
        {name: graph.refs[name].targets for name in graph.refs},
        sorted((commit, graph.get(commit).message, graph.counters(commit)) for commit in graph.topological()),
        dict(graph.meta()),
        sorted(graph.heads()),
        sorted(graph.state_vector("ledger").items()),
    )


def live(graph: Graph, rng: random.Random) -> None:
    """A few things at random."""
    for _ in range(rng.randrange(1, 12)):
        known = sorted(graph.topological())
        some = rng.sample(known, min(len(known), rng.randrange(3)))
        match rng.randrange(8):
            case 0 | 1 | 2:
                ref = rng.choice(["main", "side"])
                changes = {f"p{rng.randrange(4)}": rng.randbytes(5)}
                if ref in graph.refs and rng.random() < 0.5:
                    graph.commit(message=f"{rng.random()}", changes=changes, ref=ref)
                else:
                    new = None if ref in graph.refs else ref
                    graph.commit(parents=some, message=f"{rng.random()}", changes=changes, ref=new)
            case 3 if known:
                graph.count(rng.choice(known), [rng.randrange(-9, 9), rng.randrange(1 << 40)])
            case 4 if known:
                graph.set_meta(rng.choice("ab"), rng.randbytes(3))
            case 5 if known:
                graph.set_meta("note", rng.choice([b"x", None]), commit=rng.choice(known))
            case 6 if known and rng.random() < 0.3:
                graph.discard(rng.choice(known))
            case _:
                graph.flush()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32))
def test_whatever_a_replica_lives_through_it_opens_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    rng = random.Random(seed)
    path = str(tmp_path_factory.mktemp("s") / "s")
    other = replica("other")
    for name in ("first", "second", "third", "fourth"):
        with crdtgraph.open(path, cluster="test", host=host(name)) as graph:
            live(graph, rng)
            live(other, rng)
            if rng.random() < 0.5:
                other.flush()
                unite(other, graph)
            if rng.random() < 0.5:
                graph.flush()
                unite(graph, other)
            if rng.random() < 0.4:
                graph.compact()
            graph.flush()
            before = seen(graph)
            sound(graph)
        with crdtgraph.open(path, read_only=True) as again:
            assert seen(again) == before
            assert covered(again) == len(again)
            sound(again)


def test_what_came_after_it_is_folded_on_top(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        grow(graph, 20)
    graph = crdtgraph.open(path)
    assert covered(graph) == 20
    grow(graph, 5)
    graph.store.close()  # As a kill leaves it: what was flushed is there, and no new checkpoint.
    with crdtgraph.open(path, read_only=True) as again:
        assert (covered(again), len(again)) == (20, 25)
        sound(again)


def test_a_reader_and_a_small_change_write_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "COMMITS_MIN", 10)
    path = str(tmp_path / "s")
    kept = []
    monkeypatch.setattr(PlaneLog, "keep_checkpoint", lambda _, data: kept.append(data))
    with crdtgraph.open(path) as graph:
        grow(graph, 9)
    with crdtgraph.open(path, read_only=True):
        pass
    assert kept == []
    with crdtgraph.open(path) as graph:
        grow(graph, 1)
    assert len(kept) == 1


def test_a_compaction_that_replaces_the_log_makes_it_useless_and_the_next_one_is_good(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        grow(graph, 70)
    with crdtgraph.open(path) as graph:
        grow(graph, 100)
        graph.compact()
        before = seen(graph)
    with crdtgraph.open(path, read_only=True) as again:
        assert covered(again) == 170
        assert seen(again) == before
        sound(again)


def test_counts_that_a_compaction_takes_back_are_taken_back_once(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    graph = crdtgraph.open(path)
    [root] = grow(graph, 1)
    for _ in range(80):
        graph.count(root, [1])
        graph.flush()
    # A checkpoint of the small segments, while the log still has them.
    keep_checkpoint(graph._planes["ledger"], graph._clock.last)
    grow(graph, 1)
    graph.compact()
    assert graph.counters(root) == (80,)
    graph.store.close()
    with crdtgraph.open(path, read_only=True) as again:
        assert again.counters(root) == (80,)
        sound(again)


@pytest.mark.parametrize("at", [0, 5, 22, 30, 60, 200, -1])
def test_a_damaged_one_is_passed_over(tmp_path: Path, at: int) -> None:
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        grow(graph, 30)
        before = seen(graph)
    with crdtgraph.open(path) as graph:
        data = bytearray(graph.store.get(Keyspace.META, KEY) or b"")
        data[at] ^= 1
        batch = Batch()
        batch.put(Keyspace.META, KEY, bytes(data))
        graph.store.write(batch, sync=True)
        graph.store.close()
    with crdtgraph.open(path) as graph:
        assert covered(graph) == 0
        assert seen(graph) == before
    with crdtgraph.open(path, read_only=True) as graph:
        assert covered(graph) == 30


@given(st.binary(max_size=200))
def test_other_bytes_are_unusable_and_nothing_worse(data: bytes) -> None:
    import hashlib

    for each in (data, checkpoint.MAGIC + data, checkpoint.MAGIC + hashlib.sha256(data).digest() + data):
        with pytest.raises(checkpoint.UnusableError):
            checkpoint.unpack(each)


def test_one_of_another_store_is_passed_over(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    with crdtgraph.open(one) as graph:
        grow(graph, 30)
    with crdtgraph.open(one, read_only=True) as graph:
        data = graph.store.get(Keyspace.META, KEY) or b""
    graph = crdtgraph.open(two)
    grow(graph, 40)
    before = graph.digest()
    batch = Batch()
    batch.put(Keyspace.META, KEY, data)
    graph.store.write(batch, sync=True)
    graph.store.close()
    with crdtgraph.open(two, read_only=True) as graph:
        assert (covered(graph), graph.digest()) == (0, before)


def test_none_is_kept_while_something_is_pending_or_a_counter_is_huge(tmp_path: Path) -> None:
    source = replica("source")
    grow(source, 2)
    _, last = source.segment_keys("ledger")
    path = str(tmp_path / "s")
    with crdtgraph.open(path, cluster="test") as graph:
        grow(graph, 3)
        graph.adopt("ledger", source.segments_of("ledger", last))
        assert graph.status().pending == 1
    with crdtgraph.open(path, read_only=True) as graph:
        assert (covered(graph), graph.status().pending) == (0, 1)
    path = str(tmp_path / "t")
    with crdtgraph.open(path) as graph:
        [root] = grow(graph, 1)
        for _ in range(3):
            graph.count(root, [(1 << 63) - 1])
        before = graph.counters(root)
    with crdtgraph.open(path, read_only=True) as graph:
        assert (covered(graph), graph.counters(root)) == (0, before)


def test_stamps_go_on_after_a_clock_that_was_set_back(tmp_path: Path) -> None:
    now_us = 1_700_000_000_000_000
    machine = crdtgraph.Host(lambda: now_us, random.Random(1).randbytes)
    path = str(tmp_path / "s")
    with crdtgraph.open(path, host=machine) as graph:
        first = graph.commit(message="first")
    now_us -= HOUR_US
    with crdtgraph.open(path, host=machine) as graph:
        assert covered(graph) == 1
        second = graph.commit(parents=[first], message="second")
        assert graph.get(second).time > graph.get(first).time


def test_a_disk_that_refuses_it_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_log: PlaneLog, _data: bytes) -> None:
        raise StoreError("no space left on device")

    monkeypatch.setattr(PlaneLog, "keep_checkpoint", refuse)
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        grow(graph, 30)
        before = graph.digest()
    with crdtgraph.open(path, read_only=True) as graph:
        assert (covered(graph), graph.digest()) == (0, before)


def test_what_was_superseded_before_it_came_stays_so(tmp_path: Path) -> None:
    first, second = replica("first"), replica("second")
    first.set_meta("owner", b"ann")
    first.flush()
    unite(first, second)
    second.set_meta("owner", b"bob")
    second.flush()
    path = str(tmp_path / "s")
    with crdtgraph.open(path, cluster="test") as graph:
        grow(graph, 1)
        [key] = set(second.segment_keys("ledger")) - set(first.segment_keys("ledger"))
        [data] = second.segments_of("ledger", key)
        graph.receive("ledger", item_update(SegmentKey.parse(key), data).encode())
    with crdtgraph.open(path, cluster="test") as graph:
        assert covered(graph) == 1
        unite(first, graph)
        assert graph.meta() == {"owner": b"bob"}
        sound(graph)


def counted(path: str) -> tuple[CommitId, Graph]:
    """A replica with a root and small segments that count 5 on it, flushed one by one; the second in a store."""
    source = replica("source")
    [root] = grow(source, 1)
    for _ in range(5):
        source.count(root, [1])
        source.flush()
    with crdtgraph.open(path, cluster="test") as graph:
        unite(source, graph)
        assert graph.counters(root) == (5,)
    source.compact()
    return root, source


def joined_segment(source: Graph) -> tuple[SegmentKey, bytes]:
    key = max(map(SegmentKey.parse, source.segment_keys("ledger")))
    [data] = source.segments_of("ledger", key.text)
    return key, data


def test_a_snapshot_that_has_both_what_was_joined_and_what_it_was_joined_to(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    root, source = counted(path)
    graph = crdtgraph.open(path, cluster="test")
    assert covered(graph) == 1
    key, data = joined_segment(source)
    # The deletions that go with it have not come yet.
    graph.receive("ledger", item_update(key, data).encode())
    plane = graph._planes["ledger"]
    plane.log.replace(plane.document.snapshot(), set())
    graph.store.close()
    with crdtgraph.open(path, read_only=True) as again:
        assert covered(again) == 1
        assert again.counters(root) == (5,)
        sound(again)


@pytest.mark.parametrize("with_checkpoint", [False, True])
def test_a_joined_segment_that_was_adopted(tmp_path: Path, with_checkpoint: bool) -> None:
    path = str(tmp_path / "s")
    root, source = counted(path)
    graph = crdtgraph.open(path, cluster="test")
    if not with_checkpoint:
        graph._planes["ledger"].log.keep_checkpoint(b"")
    graph.adopt("ledger", [joined_segment(source)[1]])
    before = graph.counters(root)
    graph.close()
    with crdtgraph.open(path, read_only=True) as again:
        assert again.counters(root) == before == (5,)
        sound(again)
