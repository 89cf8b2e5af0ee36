"""What a replica gives to another: diffs in pieces, and nothing that its disk does not have."""

from __future__ import annotations

import random

import pytest

from crdtgraph import Delta, Durability, Graph, RemoteGapError
from crdtgraph.update import decode_update
from tests.crdtgraph.exchange.exchanging import PLANE, assert_equal, exchange, fill, pull

# What is given


def test_nothing_to_give_is_one_empty_delta(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    for vector in ({}, {5: 17}):
        (delta,) = one.deltas(PLANE, vector)
        assert delta == Delta(PLANE, {}, delta.update, last=True)
        received = two.receive(PLANE, delta.update)
        assert (received.segments, received.delta) == ((), None)


def test_a_large_diff_comes_in_pieces_that_build_on_each_other(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, three = trio_of
    rng = random.Random(1)
    for _ in range(8):
        one.commit(
            changes={f"noise/{place:02}": rng.randbytes(16_000) for place in range(12)}, durability=Durability.CRITICAL
        )
    fill(two, 5)
    exchange(one, two)
    deltas = list(one.deltas(PLANE, three.state_vector(PLANE)))
    assert len(deltas) > 4
    assert [delta.last for delta in deltas] == [False] * (len(deltas) - 1) + [True]
    with pytest.raises(RemoteGapError):
        three.receive(PLANE, deltas[-1].update if deltas[-1].base else deltas[-2].update)
    for delta in deltas:
        assert all(three.state_vector(PLANE).get(writer, 0) == clock for writer, clock in delta.base.items())
        three.receive(PLANE, delta.update)
    assert_equal(one, two, three)


def test_a_diff_comes_in_pieces_of_the_size_asked_for(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, *_ = trio_of
    fill(one, 20)
    [whole] = one.deltas(PLANE, {})
    for bytes_max in (1, 1_000):
        deltas = list(one.deltas(PLANE, {}, bytes_max))
        assert all(len(decode_update(each.update).items) == 1 or len(each.update) <= bytes_max for each in deltas)
        assert [item for each in deltas for item in decode_update(each.update).items] == [
            *decode_update(whole.update).items
        ]
    assert len(list(one.deltas(PLANE, {}, 1))) == 20


def test_a_vector_that_is_ahead_of_ours_or_unknown_is_served(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    fill(one, 3)
    (delta,) = one.deltas(PLANE, {one.writer: 1000, 77: 3})
    assert decode_update(delta.update).items == ()
    pull(two, one)
    assert_equal(one, two)


def test_a_diff_is_taken_at_its_first_step(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    fill(one, 3)
    deltas = one.deltas(PLANE, {})
    first = next(deltas)
    fill(one, 2)
    for delta in [first, *deltas]:
        two.receive(PLANE, delta.update)
    assert two.state_vector(PLANE)[one.writer] == 3
    pull(two, one)
    assert_equal(one, two)


# Durability decides what peers see


def test_nothing_that_is_not_on_disk_is_shown_to_peers(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    one.commit()
    written = one.write_behind()
    one.commit()
    for _ in range(2):
        assert one.state_vector(PLANE) == {}
        assert one.segment_keys(PLANE) == {}
        assert one.set_digest(PLANE) == bytes(32)
        (delta,) = one.deltas(PLANE, {})
        assert decode_update(delta.update).items == ()
        one.write_behind()
    one.settle(written)
    assert one.state_vector(PLANE) == {one.writer: 1}
    pull(two, one)
    assert len(two) == 1
    one.flush()
    assert one.state_vector(PLANE) == {one.writer: 2}
    pull(two, one)
    assert_equal(one, two)


def test_on_durable_tells_of_own_segments_after_the_disk_has_them(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, three = trio_of
    told: list[Delta] = []
    stop = one.on_durable(told.append)
    one.commit()
    one.write_behind()
    assert told == []
    one.flush()
    assert [delta.base for delta in told] == [{one.writer: 0}]
    one.commit(ref="main")
    assert [delta.base for delta in told] == [{one.writer: 0}, {one.writer: 1}]
    fill(two, 3)
    pull(one, two)
    assert len(told) == 2, "what came from others is no news of ours"
    for delta in told:
        three.receive(PLANE, delta.update)
    assert three.refs["main"] == one.refs["main"]
    stop()
    one.commit(ref="main")
    assert len(told) == 2


def test_segments_are_told_of_in_order(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    one.on_durable(lambda delta: two.receive(PLANE, delta.update))
    for number in range(5):
        one.commit(message=str(number))
        one.write_behind()
    one.commit(ref="main")
    assert_equal(one, two)
