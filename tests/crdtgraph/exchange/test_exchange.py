"""Replicas that exchange segments, without a network: every order, repetition, gap and forgery between them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import (
    Commit,
    CommitId,
    Delta,
    Durability,
    Graph,
    LocalError,
    Received,
    RemoteError,
    RemoteGapError,
)
from crdtgraph.ids import SegmentKey
from crdtgraph.opening import attach
from crdtgraph.records import Count
from crdtgraph.replica import RemotePlaneError
from crdtgraph.segment import Records, RemoteSegmentError, pack
from crdtgraph.signing import Identity
from crdtgraph.store import Batch, MemoryStore
from crdtgraph.update import Item, RemoteUpdateError, Update, decode_update
from tests.crdtgraph.exchange.replicas import host, open_replica

PLANE = "ledger"


def pull(target: Graph, source: Graph) -> None:
    for delta in source.deltas(PLANE, target.state_vector(PLANE)):
        target.receive(PLANE, delta.update)


def exchange(*graphs: Graph) -> None:
    for _ in graphs:
        for target, source in itertools.permutations(graphs, 2):
            source.flush()
            pull(target, source)


def finish(steps: Generator[None, None, Received]) -> Received:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            received: Received = done.value
            return received


def fill(graph: Graph, commits: int, *, flush_every: int = 1) -> list[CommitId]:
    """A chain with counts, in segments of `flush_every` commits."""
    made: list[CommitId] = []
    for number in range(commits):
        made.append(graph.commit(parents=made[-1:], changes={"n": b"%d" % number}))
        graph.count(made[-1], [1, number])
        if (number + 1) % flush_every == 0:
            graph.flush()
    graph.flush()
    return made


def assert_equal(*graphs: Graph) -> None:
    assert len({graph.digest() for graph in graphs}) == 1
    assert len({graph.set_digest(PLANE) for graph in graphs}) == 1
    assert all(graph.state_vector(PLANE) == graphs[0].state_vector(PLANE) for graph in graphs)
    assert all(graph.segment_keys(PLANE) == graphs[0].segment_keys(PLANE) for graph in graphs)
    for graph in graphs:
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []


def updates_of(graph: Graph) -> list[bytes]:
    """One update for every segment, in order by writer."""
    items = [item for delta in graph.deltas(PLANE, {}) for item in decode_update(delta.update).items]
    return [Update((item,)).encode() for item in items]


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


# What is received


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


# Forgeries

STRANGER = Identity(b"\x05" * 32, b"\x06" * 16)


def forged_segment(
    identity: Identity = STRANGER, seq: int = 0, plane: str = PLANE, supersedes: tuple[int, ...] = (), text: str = "x"
) -> tuple[SegmentKey, bytes]:
    commit = Commit((), "a", seq, text)
    records = Records([commit.id], [commit], [1], [], [Count(commit.id, (1,), 1)])
    data = pack(records, plane=plane, identity=identity, seq=seq, supersedes=supersedes)
    return SegmentKey(identity.writer, seq), data


def item(key: SegmentKey, data: bytes | None) -> bytes:
    return Update((Item(key, data),)).encode()


def changed(data: bytes, place: int) -> bytes:
    copy = bytearray(data)
    copy[place] ^= 1
    return bytes(copy)


FORGERIES: dict[str, tuple[Callable[[Graph], bytes], type[RemoteError]]] = {
    "empty": (lambda graph: b"", RemoteUpdateError),
    "garbage": (lambda graph: b"\xff" * 40, RemoteUpdateError),
    "left over": (lambda graph: item(*forged_segment()) + b"\0", RemoteUpdateError),
    "no segment": (lambda graph: item(SegmentKey(5, 0), b"hello"), RemoteError),
    "signature": (lambda graph: item(forged_segment()[0], changed(forged_segment()[1], -1)), RemoteSegmentError),
    "payload": (lambda graph: item(forged_segment()[0], changed(forged_segment()[1], 120)), RemoteError),
    "other writer's key": (lambda graph: item(SegmentKey(77, 0), forged_segment()[1]), RemoteUpdateError),
    "other seq": (lambda graph: item(SegmentKey(STRANGER.writer, 0), forged_segment(seq=1)[1]), RemoteUpdateError),
    "other plane": (lambda graph: item(*forged_segment(plane="search")), RemoteUpdateError),
    "our own number": (lambda graph: item(SegmentKey(graph.writer, 2), forged_segment()[1]), RemoteUpdateError),
    "our own number, signed": (
        lambda graph: item(*forged_segment(graph._planes[PLANE].identity, seq=2)), RemoteUpdateError,
    ),
    "our own number, deleted": (lambda graph: item(SegmentKey(graph.writer, 2), None), RemoteUpdateError),
    "a deletion of what is not here": (lambda graph: Update((), ((graph.writer, 0, 9),)).encode(), RemoteGapError),
    "a deletion beyond all": (lambda graph: Update((), ((9, 0, (1 << 32) - 1),)).encode(), RemoteError),
}  # fmt: skip


@pytest.mark.parametrize("forge, kind", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forgery_is_a_remote_error_and_changes_nothing(
    forge: Callable[[Graph], bytes], kind: type[RemoteError]
) -> None:
    with open_replica(1) as graph, open_replica(2) as peer:
        fill(graph, 2)
        before = graph.digest(), graph.set_digest(PLANE), dict(graph.state_vector(PLANE)), len(graph)
        with pytest.raises(kind):
            graph.receive(PLANE, forge(graph))
        assert (graph.digest(), graph.set_digest(PLANE), dict(graph.state_vector(PLANE)), len(graph)) == before
        fill(peer, 2)
        exchange(graph, peer)
        assert_equal(graph, peer)


def test_what_stands_before_a_forgery_stays_and_what_follows_does_not(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    first, second, third = (forged_segment(seq=seq) for seq in range(3))
    items = (Item(*first), Item(second[0], changed(second[1], -1)), Item(*third))
    with pytest.raises(RemoteSegmentError):
        two.receive(PLANE, Update(items).encode())
    assert dict(two.state_vector(PLANE)) == {STRANGER.writer: 1}
    two.receive(PLANE, Update((Item(*first), Item(*second), Item(*third))).encode())
    pull(one, two)
    assert_equal(one, two)


def test_bytes_from_a_peer_raise_nothing_but_remote_errors(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, two, _ = trio_of
    fill(one, 2)
    one.commit(ref="main")
    one.compact()
    (delta,) = one.deltas(PLANE, {})
    rng = random.Random(3)
    for _ in range(600):
        data = bytearray(delta.update)
        for _ in range(rng.choice([1, 1, 2, 8])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data)) :]
        try:
            two.receive(PLANE, bytes(data))
        except RemoteError:
            continue
    two.receive(PLANE, delta.update)
    assert two.digest() == one.digest()


def test_unknown_planes_and_keys_are_remote_errors(trio_of: tuple[Graph, Graph, Graph]) -> None:
    one, _, _ = trio_of
    assert one.planes() == [PLANE]
    for call in (one.state_vector, one.set_digest, one.segment_keys):
        with pytest.raises(RemotePlaneError):
            call("search")
    with pytest.raises(RemotePlaneError):
        one.receive("search", b"\0\0")
    with pytest.raises(RemotePlaneError):
        next(one.deltas("x" * 1000, {}))
    with pytest.raises(RemotePlaneError):
        one.adopt(PLANE, [forged_segment(plane="search")[1]])
    for key in ("", "-", "5", "x-1", "5-", "05-0", "5-0-0", "A-0", "-5-0", " 5-0", f"{1 << 53:x}-0"):
        with pytest.raises(RemoteError):
            one.segments_of(PLANE, key)
    assert one.segments_of(PLANE, "5-0") == []


def test_a_graph_that_is_open_to_read_receives_nothing(tmp_path: Path) -> None:
    with open_replica(1, str(tmp_path / "s")) as one, open_replica(2) as two:
        fill(two, 1)
        with crdtgraph.open(str(tmp_path / "s"), read_only=True) as reader:
            with pytest.raises(LocalError):
                pull(reader, two)
            assert len(reader) == len(one) == 0
