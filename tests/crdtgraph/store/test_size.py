"""How much of a disk a store takes."""

from __future__ import annotations

from pathlib import Path

import pytest

import crdtgraph
from crdtgraph.store import disk_bytes


def test_a_store_on_disk_takes_what_its_files_take(tmp_path: Path) -> None:
    with crdtgraph.open(tmp_path.joinpath("store").as_posix()) as graph:
        before = disk_bytes(graph.url)
        assert before is not None
        graph.commit(message="x" * 100_000, changes={"noise": bytes(range(256)) * 64})
        graph.flush()
        after = disk_bytes(graph.url)
    files = [each for each in (tmp_path / "store").iterdir() if each.is_file()]
    assert after is not None
    assert 0 < before < after
    assert disk_bytes(graph.url) == sum(each.stat().st_size for each in files)


def test_a_store_in_a_file_takes_what_lies_beside_it_too(tmp_path: Path) -> None:
    with crdtgraph.open(f"sqlite:{tmp_path / 'store'}") as graph:
        graph.commit(message="start", changes={"noise": bytes(range(256)) * 64})
        graph.flush()
        files = [tmp_path / name for name in ("store", "store-wal", "store-shm")]
        assert disk_bytes(graph.url) == sum(each.stat().st_size for each in files) > 10_000
        (tmp_path / "unrelated").write_bytes(bytes(100))
        assert disk_bytes(graph.url) == sum(each.stat().st_size for each in files)


def test_a_store_in_memory_takes_nothing_of_a_disk() -> None:
    assert disk_bytes("memory:") is None
    assert disk_bytes("memory:rocksdb:") is None


def test_a_folder_that_is_gone_is_the_callers_to_deal_with(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        disk_bytes(f"rocksdb:{tmp_path / 'gone'}")
    with pytest.raises(FileNotFoundError):
        disk_bytes(f"sqlite:{tmp_path / 'gone'}")
