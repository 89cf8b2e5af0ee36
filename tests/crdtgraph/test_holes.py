"""Places whose segments were compacted elsewhere and whose records did not come: known as such, filled, closed."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import Graph, Host
from crdtgraph.ids import SegmentKey
from crdtgraph.store import Keyspace
from crdtgraph.update import Item, Update, decode_update

PLANE = "ledger"


def open_replica(seed: int, url: str = "memory:") -> Graph:
    clock = itertools.count(1_700_000_000_000_000 + 1000 * seed)
    return crdtgraph.open(url, host=Host(now_us=lambda: next(clock), random_bytes=random.Random(seed).randbytes))


def grow(graph: Graph, count: int) -> None:
    """Commits with counts, each in a segment of its own."""
    for number in range(count):
        commit = graph.commit(parents=graph.heads()[:1], message=str(number))
        graph.count(commit, [1, number])
        graph.flush()


def items_of(graph: Graph) -> tuple[Item, ...]:
    """Everything that it would give to an empty replica."""
    return tuple(item for delta in graph.deltas(PLANE, {}) for item in decode_update(delta.update).items)


def receive(graph: Graph, items: tuple[Item, ...]) -> None:
    for item in items:
        graph.receive(PLANE, Update((item,)).encode())


def compacted_twice(seed: int) -> Graph:
    """Deleted places, a full segment, more of them, and what some were joined into, itself joined again."""
    graph = open_replica(seed)
    grow(graph, 3)
    graph.compact()
    graph.commit_many([crdtgraph.Commit((), "a", number, "") for number in range(600)])
    graph.flush()
    grow(graph, 2)
    graph.compact()
    grow(graph, 1)
    return graph


def holes_by_hand(graph: Graph) -> list[SegmentKey]:
    """What the vector covers without any segment, and no segment held supersedes."""
    held = {SegmentKey.parse(text) for text in graph.segment_keys(PLANE)}
    parts = [data for key in held for data in graph.segments_of(PLANE, key.text)]
    dead = {key for data in parts for key in crdtgraph.segment.unpack(data).supersedes}
    vector = graph.state_vector(PLANE)
    return sorted({SegmentKey(writer, seq) for writer in vector for seq in range(vector[writer])} - held - dead)


def test_whoever_is_cut_off_anywhere_in_a_diff_knows_its_holes_also_after_a_restart(tmp_path: Path) -> None:
    source = compacted_twice(1)
    items = items_of(source)
    assert sum(item.value is None for item in items) > 3
    hollow = 0
    for cut in range(len(items) + 1):
        url = str(tmp_path / str(cut))
        with open_replica(2, url) as graph:
            receive(graph, items[:cut])
            expected = graph.holes(PLANE)
            assert expected == holes_by_hand(graph)
            hollow += bool(expected)
        with open_replica(3, url) as graph:
            assert graph.holes(PLANE) == expected
            receive(graph, items[cut:])
            assert graph.holes(PLANE) == []
            assert graph.digest() == source.digest()
    assert 3 < hollow < len(items)


def test_a_hole_in_a_snapshot_is_a_hole(tmp_path: Path) -> None:
    items = items_of(compacted_twice(1))
    with open_replica(2, str(tmp_path / "s")) as graph:
        receive(graph, items[:2])
        grow(graph, 70)
        assert graph.compact()
        assert list(graph.store.scan(Keyspace.SNAPSHOT)), "the log was replaced"
        assert len(graph.holes(PLANE)) == 2
    with open_replica(3, str(tmp_path / "s")) as graph:
        assert len(graph.holes(PLANE)) == 2


def test_a_hole_is_filled_by_key_and_what_filled_it_goes_when_the_superseding_segment_comes(tmp_path: Path) -> None:
    one, two = open_replica(1), open_replica(2)
    grow(one, 4)
    for delta in one.deltas(PLANE, {}):
        two.receive(PLANE, delta.update)
    one.compact()
    items = items_of(one)
    url = str(tmp_path / "s")
    with open_replica(3, url) as graph:
        receive(graph, items[:4])
        holes = graph.holes(PLANE)
        assert len(holes) == 4
        assert graph.adopt(PLANE, two.segments_of(PLANE, holes[0].text)) == 1
        assert graph.holes(PLANE) == holes[1:]
        for hole in holes[1:]:
            graph.adopt(PLANE, two.segments_of(PLANE, hole.text))
        assert graph.digest() == two.digest()
        assert graph.set_digest(PLANE) == two.set_digest(PLANE)
    with open_replica(4, url) as graph:
        assert graph.holes(PLANE) == []
        assert graph.set_digest(PLANE) == two.set_digest(PLANE)
        receive(graph, items[4:])
        assert graph.set_digest(PLANE) == one.set_digest(PLANE)
        assert graph.digest() == one.digest()
        assert not graph.segments_of(PLANE, holes[0].text)
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []
        before = graph.digest()
        grow(graph, 70)
        assert len(list(graph.store.scan(Keyspace.STRAYS))) == 4
        assert graph.compact()
        assert not list(graph.store.scan(Keyspace.STRAYS)), "what is superseded is not kept on disk for ever"
        digest = graph.digest()
    with open_replica(5, url) as graph:
        assert graph.digest() == digest != before
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_filling_and_closing_in_any_order_ends_the_same(order: tuple[int, ...]) -> None:
    one = open_replica(1)
    grow(one, 2)
    parts = [data for key in one.segment_keys(PLANE) for data in one.segments_of(PLANE, key)]
    one.compact()
    items = items_of(one)
    graph = open_replica(2)
    receive(graph, items[:2])
    steps = [
        lambda: graph.adopt(PLANE, parts[:1]),
        lambda: graph.adopt(PLANE, parts[1:]),
        lambda: receive(graph, items[2:]),
    ]
    for step in order:
        steps[step]()
    assert graph.holes(PLANE) == []
    assert graph.digest() == one.digest()
    assert graph.set_digest(PLANE) == one.set_digest(PLANE)
    assert graph.segment_keys(PLANE) == one.segment_keys(PLANE)


def test_what_is_adopted_deletes_what_it_supersedes() -> None:
    # The deletions came with the empty place of the segment that calls for them, and had no reason then.
    writer, reader = open_replica(1), open_replica(2)
    grow(writer, 3)
    receive(reader, items_of(writer))
    writer.compact()
    joined = SegmentKey(writer.writer, max(writer.state_vector(PLANE).values()) - 1)
    reader.receive(PLANE, Update((Item(joined, None),), ((writer.writer, 0, joined.seq),)).encode())
    assert len(reader.segment_keys(PLANE)) == joined.seq
    assert reader.adopt(PLANE, writer.segments_of(PLANE, joined.text)) == 1
    assert reader.set_digest(PLANE) == writer.set_digest(PLANE)
    assert reader.digest() == writer.digest()
