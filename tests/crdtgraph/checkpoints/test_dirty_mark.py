"""The dirty mark: a clean stop is told from a kill, and what is read with all checks after one."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import crdtgraph
import crdtgraph.graph
from crdtgraph import CheckpointUse, CorruptError, LastStop, StoreError
from crdtgraph.opening import attach
from crdtgraph.store import Keyspace
from crdtgraph.update import Item, Update, decode_update
from simulations.disk import Disk
from tests.sync.replicas import grow, host


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
