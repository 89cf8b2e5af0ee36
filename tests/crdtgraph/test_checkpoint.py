"""Checkpoints: whatever a replica lived through, opening with one is opening without. One that is no good is none."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
import crdtgraph.graph
from crdtgraph import CheckpointUse, CorruptError, Graph, LastStop, LocalError, StoreError, checkpoint, checkpointing
from crdtgraph import projection as projections
from crdtgraph.document import item_update
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.log import MANIFEST_NAME, CheckpointLog
from crdtgraph.opening import attach
from crdtgraph.steps import run
from crdtgraph.store import Batch, Keyspace, Store, open_store
from crdtgraph.union import unite
from crdtgraph.update import Item, Update, decode_update
from simulations.disk import Disk
from tests.sync.replicas import grow, host, replica

HOUR_US = 3_600_000_000
MANIFEST = b"ledger\0\0"


@pytest.fixture(autouse=True)
def _always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every close leaves a checkpoint, of many small pieces."""
    monkeypatch.setattr(crdtgraph.graph, "CLOSING_WEIGHT_MIN", 1)
    monkeypatch.setattr(checkpointing, "GROWTH_DIVISOR", 1 << 30)
    monkeypatch.setattr(checkpointing, "PART_ENTRIES", 3)
    monkeypatch.setattr(checkpointing, "PART_ASSIGNS", 2)
    monkeypatch.setattr(checkpointing, "MARKS_PART_BYTES", 5)
    monkeypatch.setattr(checkpointing, "BLOCK_ROWS", 4)
    monkeypatch.setattr(projections, "BLOCK_ROWS", 4)


def covered(graph: Graph) -> int:
    """How many commits of this graph were not folded."""
    return graph.recovery.covered


def stored(path: str) -> dict[bytes, bytes]:
    """All pieces of checkpoints that lie in a store."""
    store = open_store(path, read_only=True)
    found = dict(store.scan(Keyspace.CHECKPOINTS))
    store.close()
    return found


def change(path: str, pieces: dict[bytes, bytes | None]) -> None:
    """Put pieces of checkpoints into a store, or None to remove them."""
    store = open_store(path)
    batch = Batch()
    for key, value in pieces.items():
        batch.operations.append((Keyspace.CHECKPOINTS, key, value))
    store.write(batch, sync=True)
    store.close()


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


def rich(path: str) -> object:
    """A store whose checkpoint has pieces of every kind; what a reader of it sees."""
    source, early, late = replica("source"), replica("early"), replica("late")
    [root] = grow(early, 1)
    unite(early, late)
    [waiting] = grow(late, 1)
    late.set_ref("waiting", waiting)
    late.count(waiting, [7])
    late.discard(waiting)
    late.flush()
    with crdtgraph.open(path, cluster="test") as graph:
        first, *_, last = grow(graph, 9)
        graph.set_ref("main", last)
        graph.set_ref("main", graph.commit(parents=[last], message="more"))
        for commit in (first, last):
            graph.count(commit, [1, -2])
        graph.set_meta("a", b"b")
        graph.discard(last)
        graph.flush()
        for _ in range(3):
            source.set_meta("c", b"d")
            source.flush()
        source.compact()
        unite(source, graph)
        # What was said about a commit whose parent has not come.
        for key in sorted(map(SegmentKey.parse, set(late.segment_keys("ledger")) - set(early.segment_keys("ledger")))):
            [data] = late.segments_of("ledger", key.text)
            graph.receive("ledger", item_update(key, data).encode())
        assert graph.status().pending == 4
        assert root not in graph
        return seen(graph)


def test_every_damaged_or_missing_piece_makes_it_ignored_with_the_reason_and_the_next_one_is_good(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "s")
    before = rich(path)
    whole = stored(path)
    assert len(whole) > 10
    with crdtgraph.open(path, read_only=True) as graph:
        assert graph.recovery.checkpoint is CheckpointUse.USED
        assert seen(graph) == before
    rng = random.Random(1)
    for key, value in whole.items():
        for damaged in (None, b"", value[:-1], value + b"x", *(flip(value, rng) for _ in range(5))):
            if (key, damaged) == (MANIFEST, None):
                continue
            change(path, {**whole, key: damaged})
            with crdtgraph.open(path, read_only=True) as graph:
                assert graph.recovery.checkpoint is CheckpointUse.IGNORED
                assert (graph.recovery.covered, graph.recovery.folded) == (0, len(graph))
                assert seen(graph) == before
                [warning] = graph.recovery.warnings()
                assert warning.startswith("the checkpoint was ignored, and all ")
    with crdtgraph.open(path):
        pass
    assert len(stored(path)) == len(whole)
    with crdtgraph.open(path, read_only=True) as graph:
        assert graph.recovery.checkpoint is CheckpointUse.USED
        assert graph.recovery.warnings() == []
        sound(graph)


def flip(value: bytes, rng: random.Random) -> bytes:
    """The same bytes with one bit changed."""
    changed = bytearray(value)
    changed[rng.randrange(len(value))] ^= 1 << rng.randrange(8)
    return bytes(changed)


@pytest.mark.parametrize(
    "change_of, reason",
    [
        (lambda manifest: replace(manifest, digest=bytes(32)), "its sums are not those of its digest"),
        (
            lambda manifest: replace(manifest, sums=(manifest.sums[0] ^ 1, *manifest.sums[1:])),
            "its commits are not those of its digest",
        ),
        (lambda manifest: replace(manifest, blocks=manifest.blocks[:-1]), "its commits are not those of its digest"),
        (lambda manifest: replace(manifest, generation=manifest.generation + 1), "pieces are missing"),
    ],
)
def test_one_that_contradicts_itself_is_ignored(
    tmp_path: Path, change_of: Callable[[checkpoint.Manifest], checkpoint.Manifest], reason: str
) -> None:
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        grow(graph, 10)
        before = seen(graph)
    manifest = checkpoint.Manifest.from_bytes(stored(path)[MANIFEST])
    change(path, {MANIFEST: change_of(manifest).to_bytes()})
    with crdtgraph.open(path, read_only=True) as graph:
        assert graph.recovery.checkpoint is CheckpointUse.IGNORED
        assert reason in graph.recovery.reason
        assert seen(graph) == before


def test_one_of_another_version_is_ignored(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        grow(graph, 10)
    data = stored(path)[MANIFEST]
    change(path, {MANIFEST: data.replace(b"checkpoint 2", b"checkpoint 9")})
    with crdtgraph.open(path, read_only=True) as graph:
        assert graph.recovery.reason == "it is of another version, or damaged"


@given(st.binary(max_size=200))
def test_other_bytes_are_unusable_and_nothing_worse(data: bytes) -> None:
    import hashlib

    for each in (data, checkpoint.MAGIC + data, checkpoint.MAGIC + hashlib.sha256(data).digest() + data):
        with pytest.raises(checkpoint.UnusableError):
            checkpoint.Manifest.from_bytes(each)
    manifest = checkpoint.Manifest(1, (), (), 0, 0, (0, 0), (0, 0, 0), bytes(32))
    with pytest.raises(checkpoint.UnusableError):
        checkpoint.Checkpoint(manifest).add_part(data, hashlib.sha256(data).digest())


def test_one_of_another_store_is_ignored(tmp_path: Path) -> None:
    one, two = str(tmp_path / "one"), str(tmp_path / "two")
    with crdtgraph.open(one) as graph:
        grow(graph, 30)
    graph = crdtgraph.open(two)
    grow(graph, 40)
    before = graph.digest()
    graph.store.close()
    change(two, {**stored(one)})
    with crdtgraph.open(two, read_only=True) as graph:
        assert (covered(graph), graph.digest()) == (0, before)
        assert "which the store does not hold" in graph.recovery.reason


def test_what_is_left_of_an_unfinished_one_goes_with_the_next(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        grow(graph, 9)
    whole = stored(path)
    graph = crdtgraph.open(path)
    grow(graph, 9)
    steps = graph.checkpoint_steps()
    for _ in range(4):
        next(steps)
    graph.store.close()
    assert len(stored(path)) > len(whole)
    graph = crdtgraph.open(path)
    assert graph.recovery.checkpoint is CheckpointUse.USED
    assert (graph.recovery.covered, graph.recovery.folded) == (9, 9)
    assert graph.checkpoint()
    graph.store.close()
    left = stored(path)
    manifest = checkpoint.Manifest.from_bytes(left[MANIFEST])
    assert len(left) == 1 + len(manifest.blocks) + len(manifest.parts)
    with crdtgraph.open(path, read_only=True) as graph:
        assert covered(graph) == 18
        sound(graph)


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


def test_commits_write_one_in_steps_as_they_go_and_a_kill_costs_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointing, "GROWTH_DIVISOR", 10)
    monkeypatch.setattr(checkpointing, "PART_ENTRIES", 4_096)
    monkeypatch.setattr(checkpointing, "BLOCK_ROWS", 4_096)
    monkeypatch.setattr(projections, "BLOCK_ROWS", 4_096)
    graph = crdtgraph.open("memory:killed")
    parents: tuple[CommitId, ...] = ()
    for number in range(25_000):
        parents = (graph.commit(parents=parents, message=f"{number}"),)
    graph.flush()
    before = graph.digest()
    graph.store.close()
    with crdtgraph.open("memory:killed") as again:
        assert again.digest() == before
        assert again.recovery.last_stop is LastStop.UNCLEAN
        assert 16_000 <= covered(again) < 20_000
        assert again.recovery.covered + again.recovery.folded == 25_000
        assert again.recovery.verified > 10


def test_a_snapshot_in_the_place_of_the_log_ends_one_that_is_under_way(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    graph = crdtgraph.open(path)
    grow(graph, 20)
    steps = graph.checkpoint_steps()
    while not stored_now(graph):
        next(steps)
    plane = graph._planes["ledger"]
    graph.compact()
    plane.log.replace(plane.document.snapshot(), set())
    assert run(steps) is False
    assert MANIFEST not in stored_now(graph)
    assert graph.checkpoint()
    assert MANIFEST in stored_now(graph)


def stored_now(graph: Graph) -> set[bytes]:
    return {key for key, _ in graph.store.scan(Keyspace.CHECKPOINTS)}


# The dirty mark


def test_a_clean_close_is_told_from_a_kill(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph:
        assert graph.recovery == crdtgraph.Recovery()
        assert graph.recovery.warnings() == []
        with crdtgraph.open(path, read_only=True) as reader:
            assert reader.recovery.last_stop is LastStop.UNKNOWN
            assert reader.recovery.warnings() == []
        grow(graph, 3)
    graph = crdtgraph.open(path)
    assert graph.recovery.last_stop is LastStop.CLEAN
    grow(graph, 2)
    graph.store.close()
    graph = crdtgraph.open(path)
    assert graph.recovery == crdtgraph.Recovery(LastStop.UNCLEAN, CheckpointUse.USED, "", 3, 2, 2)
    assert graph.recovery.warnings() == ["the last stop was not clean: 2 commits folded, 2 segments verified"]
    graph.close()
    with crdtgraph.open(path) as graph:
        assert graph.recovery.last_stop is LastStop.CLEAN


def test_a_close_that_could_not_flush_is_not_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreError("no space left on device")

    path = str(tmp_path / "s")
    graph = crdtgraph.open(path)
    graph.commit(message="lost")
    monkeypatch.setattr(graph._planes["ledger"].log, "append", refuse)
    with pytest.raises(StoreError):
        graph.close()
    with crdtgraph.open(path) as graph:
        assert graph.recovery.last_stop is LastStop.UNCLEAN
        assert len(graph) == 0


def test_after_an_unclean_stop_a_forged_segment_at_the_end_is_found_and_after_a_clean_one_left_to_fsck() -> None:
    disk = Disk("d", random.Random(1))
    graph = attach(disk.open(), cluster="test", host=host("a"))
    grow(graph, 3)
    disk.release()
    data = disk.copy()
    key = max(data[Keyspace.LOG])
    [(segment, value)] = decode_update(data[Keyspace.LOG][key]).items
    assert value is not None
    # The last byte is one of the signature: nothing but a look at that can tell.
    data[Keyspace.LOG][key] = Update((Item(segment, flip_last(value)),)).encode()
    disk.restore(data)
    with pytest.raises(CorruptError, match=r"log entry 2 of plane 'ledger' .* the signature of segment"):
        attach(disk.open(), cluster="test", host=host("b"))
    disk.release()
    del data[Keyspace.META][b"dirty"]
    disk.restore(data)
    graph = attach(disk.open(), cluster="test", host=host("b"))
    assert [finding.problem for finding in graph.fsck() if finding.problem]


def flip_last(value: bytes) -> bytes:
    return value[:-1] + bytes([value[-1] ^ 1])


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


def change_here(graph: Graph) -> None:
    """Take the checkpoint away that lies in the store of an open graph."""
    batch = Batch()
    for key in stored_now(graph):
        batch.delete(Keyspace.CHECKPOINTS, key)
    graph.store.write(batch, sync=True)


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
    [manifest] = [data for name, data in plane.checkpoints.log.pieces() if name == MANIFEST_NAME]
    plane.log.replace(plane.document.snapshot(), set())
    # The snapshot still has all that the checkpoint is the fold of.
    plane.checkpoints.log.put(MANIFEST_NAME, manifest)
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
        change_here(graph)
    graph.adopt("ledger", [joined_segment(source)[1]])
    before = graph.counters(root)
    graph.close()
    with crdtgraph.open(path, read_only=True) as again:
        assert again.counters(root) == before == (5,)
        sound(again)
