"""fsck finds what was changed behind the graph's back, and nothing in a sound store."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import CommitId, CorruptError, Graph
from crdtgraph.ids import SegmentKey
from crdtgraph.signing import Identity
from crdtgraph.store import Batch, Keyspace, open_store
from crdtgraph.update import Item, Update, decode_update

PLANE = "ledger"


def make_store(path: str, *, compact: bool = False) -> bytes:
    with crdtgraph.open(path) as graph, crdtgraph.open("memory:") as other:
        for number in range(6):
            parent = graph.commit(ref="main", changes={"n": b"%d" % number})
            graph.count(parent, [number])
            other.commit(message=str(number), durability=crdtgraph.Durability.CRITICAL)
        graph.set_meta("k", b"v")
        graph.discard(graph.topological()[3])
        if compact:
            graph.compact()
        for delta in other.deltas(PLANE, {}):
            graph.receive(PLANE, delta.update)
        return graph.digest()


def problems(path: str, *, read_only: bool = False) -> list[str]:
    with crdtgraph.open(path, read_only=read_only) as graph:
        findings = list(graph.fsck())
        assert findings[-1].checked == findings[-1].total == graph.status().segments
        assert [finding.checked for finding in findings] == sorted(finding.checked for finding in findings)
        return [finding.problem for finding in findings if finding.problem]


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("read_only", [False, True])
def test_a_sound_store_has_no_problems(tmp_path: Path, compact: bool, read_only: bool) -> None:
    path = str(tmp_path / "s")
    digest = make_store(path, compact=compact)
    assert problems(path, read_only=read_only) == []
    with crdtgraph.open(path) as graph:
        assert graph.digest() == digest
        assert [finding.commits for finding in graph.fsck()][-1] == 12


def test_an_empty_graph_has_no_problems(tmp_path: Path) -> None:
    crdtgraph.open(str(tmp_path / "s")).close()
    assert problems(str(tmp_path / "s")) == []


def rewrite(path: str, change: Callable[[bytes], bytes]) -> str:
    """Change the bytes of the first segment in the log, past all of the graph's checks; its key."""
    store = open_store(path)
    try:
        for place, value in store.scan(Keyspace.LOG):
            update = decode_update(value)
            item = update.items[0]
            assert item.value is not None
            batch = Batch()
            changed = Item(item.key, change(item.value))
            batch.put(Keyspace.LOG, place, Update((changed, *update.items[1:]), update.deletes).encode())
            store.write(batch, sync=True)
            return item.key.text
    finally:
        store.close()
    raise AssertionError("the log is empty")


def flip(data: bytes, place: int) -> bytes:
    copy = bytearray(data)
    copy[place] ^= 1
    return bytes(copy)


@pytest.mark.parametrize("place", [-1, -30, -64])
def test_a_changed_signature_is_found(tmp_path: Path, place: int) -> None:
    path = str(tmp_path / "s")
    make_store(path)
    key = rewrite(path, lambda data: flip(data, place))
    found = problems(path)
    assert any(key in problem and "signature" in problem for problem in found)


def test_any_changed_byte_is_found_by_fsck_or_already_at_opening(tmp_path: Path) -> None:
    path = f"memory:{tmp_path}"
    make_store(path)
    original: list[bytes] = []

    def remember(data: bytes) -> bytes:
        original.append(data)
        return data

    rewrite(path, remember)
    size = len(original[0])
    for place in random.Random(1).sample(range(size), 40):
        rewrite(path, lambda _, place=place: flip(original[0], place))
        try:
            found = problems(path)
        except CorruptError as error:
            found = [str(error)]
            assert "log entry 0" in found[0]
        assert found, f"byte {place} of {size}"
    rewrite(path, lambda _: original[0])
    assert problems(path) == []


def test_a_segment_under_the_key_of_another_is_found(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    make_store(path)
    store = open_store(path)
    (place, value), *_ = store.scan(Keyspace.LOG)
    batch = Batch()
    item = decode_update(value).items[0]
    batch.put(Keyspace.LOG, place, Update((Item(SegmentKey(item.key.writer + 1, 0), item.value),)).encode())
    store.write(batch, sync=True)
    store.close()
    try:
        found = problems(path)
    except CorruptError as error:
        found = [str(error)]
    assert found, "whether at opening or later: never a clean bill"


def test_a_lost_log_entry_is_found(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    make_store(path)
    store = open_store(path)
    entries = list(store.scan(Keyspace.LOG))
    batch = Batch()
    batch.delete(Keyspace.LOG, entries[1][0])
    store.write(batch, sync=True)
    store.close()
    try:
        found = problems(path)
    except CorruptError as error:
        found = [str(error)]
    assert found


def test_a_changed_stray_is_found(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with crdtgraph.open(path) as graph, crdtgraph.open("memory:") as other:
        other.commit(ref="main")
        (key,) = other.segment_keys(PLANE)
        graph.adopt(PLANE, other.segments_of(PLANE, key))
    assert problems(path) == []
    store = open_store(path)
    ((place, value),) = store.scan(Keyspace.STRAYS)
    batch = Batch()
    batch.put(Keyspace.STRAYS, place, flip(value, -1))
    store.write(batch, sync=True)
    store.close()
    with crdtgraph.open(path) as graph:
        assert any("signature" in finding.problem for finding in graph.fsck())
    store = open_store(path)
    batch = Batch()
    batch.put(Keyspace.STRAYS, place, value[:-9])
    store.write(batch, sync=True)
    store.close()
    with pytest.raises(CorruptError):
        crdtgraph.open(path)


# An index that went wrong in memory: bugs that the store knows nothing of


def forget_a_count(graph: Graph) -> None:
    counters = graph._planes[PLANE].projection.counters
    commit, vector = next(iter(counters))
    counters.add(commit, vector, live=True, sign=-1)


def forget_a_commit(graph: Graph) -> None:
    nodes = graph._planes[PLANE].projection.nodes
    del nodes[graph.heads()[0]]


def misplace_a_commit(graph: Graph) -> None:
    locations = graph._planes[PLANE].projection.locations
    locations[0], locations[1] = locations[1], locations[0]


def lose_a_location(graph: Graph) -> None:
    graph._planes[PLANE].projection.locations[0] += 900


def revive_an_assignment(graph: Graph) -> None:
    registers = graph._planes[PLANE].projection.registers
    live = registers.live("ref", "main")[0]
    registers.apply(live._replace(dot=live.dot._replace(counter=99)))


def mistake_a_segment(graph: Graph) -> None:
    present = graph._planes[PLANE].document._present
    key = next(iter(present))
    present[key] = bytes(32), present[key][1]


@pytest.mark.parametrize(
    "break_it, hint",
    [
        (forget_a_count, "counters"),
        (mistake_a_segment, "its digest is made of"),
        (forget_a_commit, "not in the index"),
        (misplace_a_commit, "should be"),
        (lose_a_location, "cannot be read"),
        (revive_an_assignment, "assignments"),
    ],
)
def test_an_index_that_is_wrong_is_found(break_it: Callable[[Graph], None], hint: str) -> None:
    with crdtgraph.open("memory:") as graph:
        ids: list[CommitId] = []
        for number in range(3):
            ids.append(graph.commit(ref="main", message=str(number)))
            graph.count(ids[-1], [1])
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []
        break_it(graph)
        assert any(hint in finding.problem for finding in graph.fsck())


def test_the_identity_of_a_store_is_not_on_trial(tmp_path: Path) -> None:
    """Segments of any signer are sound: whom to trust is not what fsck asks."""
    path = str(tmp_path / "s")
    make_store(path)
    store = open_store(path)
    batch = Batch()
    batch.put(Keyspace.META, b"replica-seed", b"\x09" * 32)
    store.write(batch, sync=True)
    store.close()
    assert problems(path) == []
    with crdtgraph.open(path) as graph:
        assert graph.replica_id == Identity(b"\x09" * 32, bytes(16)).replica_id
