"""Clocks that were used twice: clones of a process, and liars."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from crdtgraph import (
    Durability,
    Graph,
    RemoteError,
)
from crdtgraph.ids import SegmentKey
from crdtgraph.segment import unpack
from tests.crdtgraph.exchange.exchanging import (
    PLANE,
    assert_equal,
    fill,
    pull,
)
from tests.crdtgraph.exchange.forging import changed, forged_segment, item
from tests.crdtgraph.exchange.replicas import open_replica


def adopt_all(target: Graph, source: Graph) -> int:
    """The fall-back: ask for whatever differs by key."""
    ours, theirs = target.segment_keys(PLANE), source.segment_keys(PLANE)
    wanted = [key for key, digest in theirs.items() if ours.get(key) != digest]
    return target.adopt(PLANE, [data for key in wanted for data in source.segments_of(PLANE, key)])


def open_clones(tmp_path: Path) -> tuple[Graph, Graph]:
    """Two processes that are one: the same key, the same incarnation, as after restoring a virtual machine twice."""
    return open_replica(7, str(tmp_path / "clone-a")), open_replica(7, str(tmp_path / "clone-b"))


def test_clones_diverge_with_equal_state_vectors_until_they_adopt(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"clone-{letter}") for letter in "ab"]
    a, b = open_clones(tmp_path)
    with a, b:
        assert a.writer == b.writer
        (in_a,) = fill(a, 1)
        in_b = b.commit(message="only b", ref="main")
        b.count(in_b, [4])
        b.flush()
        a.commit(message="a again", ref="main")
        a.flush()
        assert dict(a.state_vector(PLANE)) == dict(b.state_vector(PLANE))
        assert a.set_digest(PLANE) != b.set_digest(PLANE)
        pull(a, b)
        pull(b, a)
        assert a.digest() != b.digest(), "an exchange by clocks cannot mend this"
        with open_replica(8) as third:
            pull(third, a)
            pull(third, b)
            assert third.digest() == a.digest()
            for target, source in itertools.permutations((a, b, third), 2):
                adopt_all(target, source)
            assert adopt_all(a, b) == adopt_all(b, a) == 0
            assert_equal(a, b, third)
            assert {in_a, in_b} <= set(third.topological())
            assert third.counters(in_b) == (4,)
            assert third.get(in_b) == b.get(in_b) == a.get(in_b)
        before = a.digest(), a.set_digest(PLANE)
    for path in paths:
        with open_replica(20, path) as graph:
            assert (graph.digest(), graph.set_digest(PLANE)) == before
            assert graph.counters(in_b) == (4,)
            assert graph.get(in_b).message == "only b"
            assert [finding.problem for finding in graph.fsck() if finding.problem] == []


def test_a_compaction_spares_clocks_that_were_used_twice(tmp_path: Path) -> None:
    a, b = open_clones(tmp_path)
    with a, b:
        ours = fill(a, 6)
        theirs = [b.commit(message=f"b {number}", durability=Durability.CRITICAL) for number in range(2)]
        b.count(theirs[0], [9])
        b.flush()
        adopt_all(a, b)
        digest = a.digest()
        a.compact()
        assert a.digest() == digest
        assert a.counters(theirs[0]) == (9,)
    with open_replica(20, str(tmp_path / "clone-a")) as graph:
        assert graph.digest() == digest
        assert set(ours + theirs) <= set(graph.topological())
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []


def test_a_stray_that_the_document_gets_after_all_counts_once(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, three = trio_of
    ids = fill(one, 3)
    keys = list(one.segment_keys(PLANE))
    last = one.segments_of(PLANE, keys[2])
    assert two.adopt(PLANE, last) == 1
    assert two.adopt(PLANE, last) == 0
    assert sorted(waiting.kind for waiting in two.pending()) == ["commit", "count"]
    pull(two, one)
    assert two.counters(ids[2]) == (1, 2)
    pull(three, two)
    assert_equal(one, two, three)
    one.compact()
    pull(two, one)
    pull(three, two)
    assert two.counters(ids[2]) == (1, 2)
    assert_equal(one, two, three)


def test_forged_segments_are_not_adopted(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, _, _ = trio_of
    key, data = forged_segment()
    for bad in (b"", b"x", changed(data, -1), data + b"\0", data[:-1]):
        with pytest.raises(RemoteError):
            one.adopt(PLANE, [data, bad])
    assert one.segment_keys(PLANE) == {}
    assert len(one) == 0
    assert one.adopt(PLANE, [data]) == 1
    assert list(one.segment_keys(PLANE)) == [key.text]
    assert unpack(one.segments_of(PLANE, key.text)[0]).ids[0] in one


def test_what_a_liar_calls_deleted_comes_back_through_the_fall_back(trio_of: tuple[Graph, Graph, Graph]) -> None:
    """A deleted item looks the same whether or not a later segment will replace it, so it cannot be refused at once."""
    one, two, three = trio_of
    ids = fill(one, 3)
    keys = [SegmentKey.parse(text) for text in one.segment_keys(PLANE)]
    two.receive(PLANE, item(keys[0], None))
    pull(two, one)
    assert dict(two.state_vector(PLANE)) == dict(one.state_vector(PLANE))
    assert two.set_digest(PLANE) != one.set_digest(PLANE)
    assert len(two) == 0
    assert adopt_all(two, one) == 1
    assert two.digest() == one.digest()
    assert two.set_digest(PLANE) == one.set_digest(PLANE)
    assert two.counters(ids[0]) == (1,)
    pull(three, two)
    adopt_all(three, two)
    assert three.digest() == one.digest()
