"""Checkpoints: whatever a replica lived through, opening with one is opening without. One that is no good is none."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
import crdtgraph.graph
from crdtgraph import CheckpointUse, Graph, LastStop, LocalError, StoreError
from crdtgraph.checkpoints import checkpoint
from crdtgraph.document import item_update
from crdtgraph.ids import SegmentKey
from crdtgraph.log import CheckpointLog
from crdtgraph.opening import attach
from crdtgraph.store import Batch, Keyspace, Store, open_store
from crdtgraph.union import unite
from simulations.disk import Disk
from tests.sync.replicas import grow, host, replica

HOUR_US = 3_600_000_000
MANIFEST = b"ledger\0\0"


def covered(graph: Graph) -> int:
    """How many commits of this graph were not folded."""
    return graph.recovery.covered


def stored(path: str) -> dict[bytes, bytes]:
    """All pieces of checkpoints that lie in a store."""
    store = open_store(path, read_only=True)
    found = dict(store.scan(Keyspace.CHECKPOINTS))
    store.close()
    return found


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


def fold_everything(store: Store) -> object:
    """What a reader sees who opens a store without its checkpoint."""
    batch = Batch()
    for key, _ in store.scan(Keyspace.CHECKPOINTS):
        batch.delete(Keyspace.CHECKPOINTS, key)
    store.write(batch, sync=True)
    graph = attach(store, cluster="test", host=host("again"))
    assert graph.recovery.checkpoint is CheckpointUse.NONE
    return seen(graph)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 1 << 32))
def test_killed_at_any_step_it_opens_as_a_fold_of_everything_does(seed: int) -> None:
    rng = random.Random(seed)
    disk = Disk("d", random.Random(seed))
    other = replica("other")
    uses = set()
    for number in range(4):
        graph = attach(disk.open(), cluster="test", host=host(f"life {number}"))
        assert graph.recovery.last_stop is (LastStop.UNCLEAN if number else LastStop.CLEAN)
        if number:
            uses.add(graph.recovery.checkpoint)
        sound(graph)
        live(graph, rng)
        for _ in range(rng.randrange(4)):
            if rng.random() < 0.4:
                # Something to join for a compaction, which moves contents that the last one has.
                grow(graph, rng.randrange(4))
            if rng.random() < 0.4:
                graph.compact()
            steps, busy = graph.checkpoint_steps(), rng.choice([0.0, 0.02, 0.2])
            for _ in range(rng.choice([1, 10, 1_000, 1_000])):
                if next(steps, 1) is not None:
                    break
                if rng.random() < busy:
                    live(graph, rng)
                if rng.random() < busy / 2:
                    live(other, rng)
                    other.flush()
                    if rng.random() < 0.3:
                        other.compact()
                    unite(other, graph)
                if rng.random() < busy / 2:
                    graph.flush()
                    unite(graph, other)
                if rng.random() < busy / 2:
                    graph.compact()
            if rng.random() < 0.3:
                live(graph, rng)
            if rng.random() < 0.5:
                graph.flush()
        if rng.random() < 0.5:
            disk.release()
        else:
            disk.lose_power()
        copied = disk.copy()
        graph = attach(disk.open(), cluster="test", host=host("again"))
        with_it = seen(graph)
        sound(graph)
        disk.release()
        assert fold_everything(disk.open()) == with_it
        disk.release()
        disk.restore(copied)
    assert CheckpointUse.IGNORED not in uses


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
    monkeypatch.setattr(crdtgraph.graph, "CLOSING_WEIGHT_MIN", 60)
    path = str(tmp_path / "s")
    kept = []
    monkeypatch.setattr(CheckpointLog, "replace", lambda _, data, __: kept.append(data))
    with crdtgraph.open(path) as graph:
        grow(graph, 9)
    with crdtgraph.open(path, read_only=True) as graph, pytest.raises(LocalError, match="open for reading only"):
        graph.checkpoint()
    assert kept == []
    with crdtgraph.open(path) as graph:
        grow(graph, 11)
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
    assert graph.checkpoint()
    grow(graph, 1)
    graph.compact()
    assert graph.counters(root) == (80,)
    graph.store.close()
    with crdtgraph.open(path, read_only=True) as again:
        assert again.counters(root) == (80,)
        sound(again)


def test_a_full_block_is_written_once_until_a_compaction_moves_something_in_it(tmp_path: Path) -> None:
    path = str(tmp_path / "s")

    def generations() -> list[int]:
        return [block.generation for block in checkpoint.Manifest.from_bytes(stored(path)[MANIFEST]).blocks]

    for expected in ([1, 1, 1], [1, 1, 2, 2, 2], [1, 1, 2, 2, 2, 3, 3, 3]):
        with crdtgraph.open(path) as graph:
            grow(graph, 10)
        assert generations() == expected
    with crdtgraph.open(path) as graph:
        grow(graph, 10)
        assert graph.checkpoint()
        graph.compact()
        # 30 commits came before; the ten new ones are in blocks 7 to 9.
        assert graph._planes["ledger"].projection.moved == {7, 8, 9}
        assert graph.checkpoint()
        graph.close()
    assert generations() == [1, 1, 2, 2, 2, 3, 3, 5, 5, 5]


def test_what_a_compaction_moved_is_not_forgotten_with_a_checkpoint_that_comes_to_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    graph = crdtgraph.open(path)
    grow(graph, 10)
    assert graph.checkpoint()
    graph.compact()
    moved = set(graph._planes["ledger"].projection.moved)
    assert moved == {0, 1, 2}
    steps = graph.checkpoint_steps()
    for _ in range(5):
        next(steps)
    assert graph._planes["ledger"].projection.moved == set()
    assert graph.checkpoint(), "which drops the one that is under way"
    graph.store.close()
    with crdtgraph.open(path, read_only=True) as graph:
        assert (graph.recovery.covered, graph.recovery.folded) == (10, 0)
        sound(graph)


def test_none_is_kept_while_something_is_kept_beside_the_document_or_a_counter_is_huge(tmp_path: Path) -> None:
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
    def refuse(_log: CheckpointLog, _name: bytes, _data: bytes) -> None:
        raise StoreError("no space left on device")

    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        grow(graph, 30)
        before = graph.digest()
        monkeypatch.setattr(CheckpointLog, "put", refuse)
        with pytest.raises(StoreError):
            graph.checkpoint()
        parents = graph.heads()
        for number in range(600):
            graph.commit(parents=parents, message=f"{number}")
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
