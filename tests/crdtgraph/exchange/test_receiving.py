"""What a replica receives from others: every order, repetition, gap and interruption between them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from crdtgraph import Graph, RemoteGapError
from crdtgraph.ids import SegmentKey
from crdtgraph.opening import attach
from crdtgraph.store import Batch, MemoryStore
from crdtgraph.update import decode_update
from tests.crdtgraph.exchange.exchanging import PLANE, assert_equal, exchange, fill, finish, pull, updates_of
from tests.crdtgraph.exchange.replicas import host, open_replica


def test_any_order_of_writers_and_any_repetition_converges(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, three = trio_of
    roots = fill(one, 6)
    pull(two, one)
    two.commit(parents=[roots[-1]], ref="main")
    two.count(roots[0], [5])
    two.discard(roots[3])
    fill(two, 6)
    exchange(one, two)
    updates = updates_of(one)
    by_writer = {writer: [u for u in updates if decode_update(u).items[0].key.writer == writer] for writer in
                 {decode_update(u).items[0].key.writer for u in updates}}  # fmt: skip
    for seed in range(20):
        rng = random.Random(seed)
        with open_replica(50 + seed) as fresh:
            queues = [list(queue) for queue in by_writer.values()]
            while any(queues):
                queue = rng.choice([queue for queue in queues if queue])
                update = queue.pop(0)
                assert len(fresh.receive(PLANE, update).segments) == 1
                again = fresh.receive(PLANE, rng.choice([update, update]))
                assert (again.segments, again.delta) == ((), None)
            assert_equal(one, two, fresh)
            assert fresh.counters(roots[0]) == one.counters(roots[0]) == (6,)
    pull(three, two)
    assert_equal(one, two, three)


def test_three_in_a_line_agree(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, three = trio_of
    for number, graph in enumerate(trio_of):
        graph.commit(ref="main", message=str(number))
        fill(graph, 4)
    for _ in range(2):
        exchange(one, two)
        exchange(two, three)
    exchange(one, two)
    assert_equal(*trio_of)
    assert len(one.refs["main"].targets) == 3


def test_a_gap_is_refused_and_changes_nothing(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    fill(one, 4)
    updates = updates_of(one)
    two.receive(PLANE, updates[0])
    before = two.digest(), two.set_digest(PLANE), dict(two.state_vector(PLANE))
    for update in updates[2:]:
        with pytest.raises(RemoteGapError):
            two.receive(PLANE, update)
    assert (two.digest(), two.set_digest(PLANE), dict(two.state_vector(PLANE))) == before
    for update in updates:
        two.receive(PLANE, update)
    assert_equal(one, two)


def test_an_interrupted_receipt_keeps_whole_segments(tmp_path: Path) -> None:
    with open_replica(1) as one:
        ids = fill(one, 8)
        (delta,) = one.deltas(PLANE, {})
        with open_replica(2, str(tmp_path / "s")) as two:
            steps = two.receive_steps(PLANE, delta.update)
            for _ in range(3):
                next(steps)
            steps.close()
            assert len(two) == 3
            assert two.get(ids[2]) == one.get(ids[2])
        with open_replica(3, str(tmp_path / "s")) as two:
            assert len(two) == 3
            pull(two, one)
            assert_equal(one, two)
            assert two.counters(ids[1]) == (1, 1)


def test_receipts_from_two_peers_may_interleave(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    fill(one, 6)
    fill(two, 6)
    exchange(one, two)
    for seed in range(20):
        rng = random.Random(seed)
        with open_replica(100 + seed) as target, open_replica(200 + seed) as third:
            running = []
            for source in (one, two):
                (delta,) = source.deltas(PLANE, {})
                running.append(target.receive_steps(PLANE, delta.update))
            news: list[SegmentKey] = []
            while running:
                steps = rng.choice(running)
                try:
                    next(steps)
                except StopIteration as done:
                    running.remove(steps)
                    news += done.value.segments
                    delta = done.value.delta
                    if delta is None:
                        continue
                    known = third.state_vector(PLANE)
                    if all(clock <= known.get(writer, 0) for writer, clock in delta.base.items()):
                        third.receive(PLANE, delta.update)
                    else:
                        with pytest.raises(RemoteGapError):
                            third.receive(PLANE, delta.update)
            assert sorted(news) == sorted(set(news)), "each segment is somebody's news once"
            assert len(news) == 12
            pull(third, target)
            assert_equal(one, target, third)


def test_news_that_somebody_else_brought_in_between_leave_no_gap_in_the_relay(
    trio_of: tuple[Graph, Graph, Graph],
) -> None:
    one, two, three = trio_of
    fill(one, 4)
    (delta,) = one.deltas(PLANE, {})
    steps = two.receive_steps(PLANE, delta.update)
    next(steps)
    two.receive(PLANE, updates_of(one)[1])
    received = finish(steps)
    assert [key.seq for key in received.segments] == [0, 2, 3]
    assert received.delta.base == {one.writer: 0}
    three.receive(PLANE, received.delta.update)
    assert_equal(one, two, three)


def test_what_is_received_is_written_by_the_next_flush() -> None:
    """flush() returns when everything is on disk, and that includes what peers sent."""

    class Counting(MemoryStore):
        synced = True

        def write(self, batch: Batch, *, sync: bool) -> None:
            super().write(batch, sync=sync)
            self.synced = sync

        def sync(self) -> None:
            super().sync()
            self.synced = True

    with open_replica(1) as one:
        fill(one, 3)
        store = Counting()
        with attach(store, host=host(2)) as two:
            pull(two, one)
            assert not store.synced
            two.flush()
            assert store.synced
