"""Checkpoints and compactions: what was joined counts once, whatever was kept when."""

from __future__ import annotations

from pathlib import Path

import pytest

import crdtgraph
import crdtgraph.graph
from crdtgraph import Graph
from crdtgraph.document import item_update
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.log import MANIFEST_NAME
from crdtgraph.store import Batch, Keyspace
from crdtgraph.union import unite
from tests.crdtgraph.checkpoints.test_checkpoint import covered, sound
from tests.crdtgraph.checkpoints.test_running import stored_now
from tests.sync.replicas import grow, replica


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
