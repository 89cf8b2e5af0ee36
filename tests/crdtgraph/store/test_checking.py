"""What `fsck` finds in the store itself."""

from __future__ import annotations

from pathlib import Path

import pytest

import crdtgraph
from crdtgraph.store import Batch, Keyspace, open_store
from crdtgraph.store.checking import problems


@pytest.mark.parametrize("kind", ["memory", "rocksdb", "sqlite"])
def test_nothing_is_wrong_with_a_good_store(tmp_path: Path, kind: str) -> None:
    store = open_store(f"{kind}:{tmp_path / 'store'}")
    batch = Batch()
    for n in range(5_000):
        batch.put(Keyspace.LOG, b"%d" % n, bytes(10))
    store.write(batch, sync=False)
    found = list(problems(store))
    assert set(found) == {""}
    assert len(found) >= 2, "it is done in steps"
    store.close()


@pytest.mark.parametrize("kind", ["rocksdb", "sqlite"])
def test_a_damaged_value_that_opening_does_not_read_is_found(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "store"
    with crdtgraph.open(f"{kind}:{path}") as graph:
        graph.commit(message="start", ref="main")
        batch = Batch()
        batch.put(Keyspace.OBJECTS, b"large", b"object " * 1_000)
        graph.store.write(batch, sync=True)
    (file,) = (
        [path] if kind == "sqlite" else [each for each in path.glob("*.sst") if b"object object" in each.read_bytes()]
    )
    data = file.read_bytes()
    file.write_bytes(data.replace(b"object object", b"object subject"[:13], 1))
    with crdtgraph.open(f"{kind}:{path}", read_only=True) as graph:
        found = [finding for finding in graph.fsck() if finding.problem]
    assert [finding.plane for finding in found] == ["store"]
    assert "checksum" in found[0].problem


def test_a_row_that_is_in_the_wrong_place_is_found(tmp_path: Path) -> None:
    path = tmp_path / "store"
    store = open_store(f"sqlite:{path}")
    batch = Batch()
    for key in (b"aaaa", b"bbbb", b"cccc"):
        batch.put(Keyspace.OBJECTS, key, b"")
    store.write(batch, sync=False)
    store.close()
    data = bytearray(path.read_bytes())
    page = data.rindex(b"cccc") // 4096 * 4096
    assert data[page] == 10, "a leaf of an index, whose cell pointers begin after 8 bytes"
    data[page + 8 : page + 12] = data[page + 10 : page + 12] + data[page + 8 : page + 10]
    path.write_bytes(data)
    store = open_store(f"sqlite:{path}", read_only=True)
    assert sorted(key for key, _ in store.scan(Keyspace.OBJECTS)) == [b"aaaa", b"bbbb", b"cccc"]
    found = [each for each in problems(store) if each]
    assert found
    assert all("objects" in each for each in found)
    store.close()
