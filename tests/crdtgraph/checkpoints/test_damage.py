"""Checkpoints that are damaged, of another version or of another store are passed over, and say why."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crdtgraph
import crdtgraph.graph
from crdtgraph import CheckpointUse
from crdtgraph.checkpoints import checkpoint
from crdtgraph.document import item_update
from crdtgraph.ids import SegmentKey
from crdtgraph.store import Batch, Keyspace, open_store
from crdtgraph.union import unite
from tests.crdtgraph.checkpoints.test_checkpoint import MANIFEST, covered, seen, sound, stored
from tests.sync.replicas import grow, replica


def change(path: str, pieces: dict[bytes, bytes | None]) -> None:
    """Put pieces of checkpoints into a store, or None to remove them."""
    store = open_store(path)
    batch = Batch()
    for key, value in pieces.items():
        batch.operations.append((Keyspace.CHECKPOINTS, key, value))
    store.write(batch, sync=True)
    store.close()


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


@pytest.mark.slow
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
