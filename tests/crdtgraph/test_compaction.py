"""Compaction is done in small steps, touches only what is small, and keeps the disk from filling with what is dead."""

from __future__ import annotations

from pathlib import Path

import crdtgraph
from crdtgraph import LEDGER, Graph
from crdtgraph.planes import SMALL_SEGMENTS_MAX
from crdtgraph.segment import RECORDS_MAX
from crdtgraph.store import Keyspace


def commit_critically(graph: Graph, count: int) -> None:
    for number in range(count):
        graph.commit(message=str(number), ref="main")


def log_bytes(graph: Graph) -> int:
    return sum(len(value) for space in (Keyspace.LOG, Keyspace.SNAPSHOT) for _, value in graph.store.scan(space))


def test_a_node_is_told_to_compact_when_enough_small_segments_lie_about_and_not_again() -> None:
    with crdtgraph.open("memory:") as graph:
        commit_critically(graph, SMALL_SEGMENTS_MAX - 1)
        assert not graph.needs_compaction()
        commit_critically(graph, 1)
        assert graph.needs_compaction()
        before = graph.digest()
        assert graph.compact()
        assert not graph.needs_compaction()
        assert graph.digest() == before
        assert graph.status().segments == 1


def test_full_segments_are_neither_read_nor_written_again(monkeypatch) -> None:
    with crdtgraph.open("memory:") as graph:
        chain = [crdtgraph.Commit((), "a", number, "") for number in range(3 * RECORDS_MAX)]
        graph.commit_many(chain)
        commit_critically(graph, 3)
        plane = graph._planes[LEDGER]
        loaded = []
        load = plane._load_segment
        monkeypatch.setattr(plane, "_load_segment", lambda key: loaded.append(key) or load(key))
        assert graph.compact()
        assert len(loaded) == 3
        assert graph.status().segments == 4


def test_each_step_makes_one_segment_that_is_at_most_full() -> None:
    with crdtgraph.open("memory:") as graph:
        for _ in range(12):
            graph.commit_many([crdtgraph.Commit((), "a", graph.now_us(), str(n)) for n in range(400)])
            graph.flush()
        before = graph.status().segments
        steps = sum(1 for _ in graph.compact_steps())
        assert steps == before // 2
        assert graph.status().segments == before // 2


def test_the_log_does_not_grow_with_what_was_compacted_away(tmp_path: Path) -> None:
    with crdtgraph.open(str(tmp_path / "store")) as graph:
        for _ in range(8):
            commit_critically(graph, SMALL_SEGMENTS_MAX)
            graph.compact()
            held = graph._planes[LEDGER].document.bytes
            assert log_bytes(graph) <= 2 * held + 4_096
        digest = graph.digest()
    with crdtgraph.open(str(tmp_path / "store"), create=False) as graph:
        assert graph.digest() == digest


def test_a_large_history_is_not_written_anew_for_a_few_small_segments(monkeypatch) -> None:
    with crdtgraph.open("memory:") as graph:
        graph.commit_many([crdtgraph.Commit((), "a", number, f"{number * 7919:x}" * 9) for number in range(20_000)])
        replaced = []
        monkeypatch.setattr(graph._planes[LEDGER].log, "replace", replaced.append)
        commit_critically(graph, SMALL_SEGMENTS_MAX)
        assert graph.compact()
        assert not replaced


def test_what_is_written_between_the_steps_is_in_the_snapshot_or_the_log(tmp_path: Path) -> None:
    with crdtgraph.open(str(tmp_path / "store")) as graph:
        commit_critically(graph, SMALL_SEGMENTS_MAX)
        steps = graph.compact_steps()
        next(steps)
        commit = graph.commit(message="meanwhile")
        written = graph.write_behind()
        replaced = log_bytes(graph)
        assert list(steps) == []
        assert log_bytes(graph) < replaced, "the log was not replaced, and the test shows nothing"
        graph.store.sync()
        graph.settle(written)
    with crdtgraph.open(str(tmp_path / "store"), create=False) as graph:
        assert commit in graph


def test_a_compaction_between_the_steps_of_another_leaves_alone_what_that_one_joins() -> None:
    with crdtgraph.open("memory:") as graph:
        for number in range(60):
            graph.count(graph.commit(changes={name: bytes([number]) * 10_000 for name in ("blob", "more")}), [1])
            graph.flush()
        steps = graph.compact_steps()
        next(steps)
        commit_critically(graph, 2)
        digest = graph.digest()
        assert graph.compact()
        assert len(list(steps)) > 1
        assert graph.digest() == digest
        assert not [finding for finding in graph.fsck() if finding.problem]
