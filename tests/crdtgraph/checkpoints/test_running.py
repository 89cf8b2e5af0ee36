"""Checkpoints that are under way: written in steps, in blocks, dropped and refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import crdtgraph
import crdtgraph.graph
from crdtgraph import CheckpointUse, Graph, LastStop
from crdtgraph import projection as projections
from crdtgraph.checkpoints import checkpoint, checkpointing
from crdtgraph.ids import CommitId
from crdtgraph.steps import run
from crdtgraph.store import Keyspace
from tests.crdtgraph.checkpoints.test_checkpoint import MANIFEST, covered, sound, stored
from tests.sync.replicas import grow


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
