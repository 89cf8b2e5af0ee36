"""Compaction: replicas that joined, and those that did not, go on exchanging."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtgraph import (
    Delta,
    Graph,
    RemoteGapError,
)
from crdtgraph.update import Update, decode_update
from tests.crdtgraph.exchange.exchanging import PLANE, assert_equal, exchange, fill, pull, updates_of
from tests.crdtgraph.exchange.replicas import open_replica


def test_a_compaction_changes_no_digest_and_nothing_twice(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, three = trio_of
    ids = fill(one, 20)
    one.commit(parents=[ids[-1]], ref="main")
    one.set_meta("k", b"v")
    one.discard(ids[5])
    exchange(one, two)
    digest = one.digest()
    contents = one.get_many(ids)
    assert one.compact()
    assert one.digest() == digest
    assert one.status().segments < 3
    assert one.get_many(ids) == contents
    assert one.counters(ids[7]) == (1, 7)
    pull(two, one)
    assert two.digest() == digest
    assert two.status().segments == one.status().segments
    assert two.get_many(ids) == contents
    assert two.counters(ids[7]) == (1, 7)
    pull(three, two)
    assert_equal(one, two, three)
    assert not one.compact()
    fill(one, 20)
    assert one.compact()
    exchange(*trio_of)
    assert_equal(*trio_of)
    assert one.counters(ids[7]) == (1, 7)


def test_only_the_incarnation_that_wrote_them_joins_segments(tmp_path: Path) -> None:
    with open_replica(1, str(tmp_path / "s")) as one:
        fill(one, 5)
    with open_replica(2, str(tmp_path / "s")) as one:
        assert one.status().segments == 5
        assert not one.compact()
        fill(one, 5)
        assert one.compact()
        assert one.status().segments == 6


def test_a_compacted_store_reopens_the_same(tmp_path: Path) -> None:
    with open_replica(9) as other, open_replica(1, str(tmp_path / "s")) as one:
        fill(other, 5)
        pull(one, other)
        ids = fill(one, 10)
        one.compact()
        fill(one, 3)
        before = one.digest(), one.set_digest(PLANE), one.get_many(ids)
    with open_replica(2, str(tmp_path / "s")) as one:
        assert (one.digest(), one.set_digest(PLANE), one.get_many(ids)) == before
        assert [finding.problem for finding in one.fsck() if finding.problem] == []


def test_compaction_and_its_predecessors_meet_in_any_order(trio_of: tuple[Graph, Graph, Graph]) -> None:
    """Late delivery: who has the joined segment ignores the parts, also after a second and third compaction."""
    one, two, three = trio_of
    ids = fill(one, 6)
    old = updates_of(one)
    for round_number in range(3):
        fill(one, 4)
        assert one.compact()
        pull(two, one)
        for update in old:
            assert two.receive(PLANE, update).segments == ()
        parts = [item.value for update in old for item in decode_update(update).items if item.value is not None]
        assert two.adopt(PLANE, parts) == 0, "nor does the fall-back bring them back"
        assert two.counters(ids[2]) == (1, 2), f"round {round_number}"
        assert_equal(one, two)
    with open_replica(9) as late:
        pull(late, one)
        assert late.adopt(PLANE, parts) == 0
        assert late.counters(ids[2]) == (1, 2)
        assert_equal(one, two, late)
    three.receive(PLANE, old[0])
    three.receive(PLANE, old[1])
    pull(three, one)
    assert three.counters(ids[1]) == (1, 1)
    assert_equal(one, two, three)


def test_a_diff_with_a_compaction_that_breaks_off_before_the_deletions(tmp_path: Path) -> None:
    """The joined segment is here and so are its parts; own compactions and restarts in that state count once."""
    path = str(tmp_path / "s")
    with open_replica(1) as one:
        ids = fill(one, 6)
        with open_replica(2, path) as two:
            pull(two, one)
            one.compact()
            (delta,) = one.deltas(PLANE, two.state_vector(PLANE))
            update = decode_update(delta.update)
            assert update.deletes
            two.receive(PLANE, Update(update.items).encode())
            assert two.counters(ids[3]) == (1, 3)
            fill(two, 4)
            assert two.compact(), "which writes a snapshot"
            digest = two.digest()
        with open_replica(3, path) as two:
            assert two.counters(ids[3]) == (1, 3)
            assert two.digest() == digest
            exchange(one, two)
            assert_equal(one, two)


def test_a_deletion_of_segments_that_are_not_here_is_a_gap(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    fill(one, 3)
    told: list[Delta] = []
    one.on_durable(told.append)
    one.compact()
    with pytest.raises(RemoteGapError):
        two.receive(PLANE, told[-1].update)
    with pytest.raises(RemoteGapError):
        two.receive(PLANE, Update((), ((one.writer, 0, 3),)).encode())
    pull(two, one)
    assert_equal(one, two)


def test_a_deletion_that_nobody_signed_for_is_left_out_and_not_relayed(trio_of: tuple[Graph, Graph, Graph]) -> None:
    """Deletions bear no signature: of a run of them, only what a segment of the same writer supersedes goes."""
    one, two, three = trio_of
    ids = fill(one, 4)
    pull(two, one)
    before = two.digest(), two.set_digest(PLANE), two.segment_keys(PLANE)
    for runs in (((one.writer, 0, 1),), ((one.writer, 0, 4),), ((one.writer, 1, 1), (one.writer, 3, 1))):
        received = two.receive(PLANE, Update((), runs).encode())
        assert (received.segments, received.delta) == ((), None)
        assert (two.digest(), two.set_digest(PLANE), two.segment_keys(PLANE)) == before
    one.compact()
    late = fill(one, 1)
    (delta,) = one.deltas(PLANE, two.state_vector(PLANE))
    items = decode_update(delta.update).items
    received = two.receive(PLANE, Update(items, ((one.writer, 0, 4 + len(items)),)).encode())
    assert received.delta is not None
    assert decode_update(received.delta.update).deletes == ((one.writer, 0, 4),)
    assert two.counters(ids[2]) == (1, 2)
    assert late[0] in two
    pull(three, two)
    assert_equal(one, two, three)
