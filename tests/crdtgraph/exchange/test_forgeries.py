"""Updates that no honest replica gives: they are refused, and change nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import Graph, LocalError, RemoteError, RemoteGapError
from crdtgraph.ids import SegmentKey
from crdtgraph.replica import RemotePlaneError
from crdtgraph.segment import RemoteSegmentError
from crdtgraph.update import Item, RemoteUpdateError, Update
from tests.crdtgraph.exchange.exchanging import PLANE, assert_equal, exchange, fill, pull
from tests.crdtgraph.exchange.forging import STRANGER, changed, forged_segment, item
from tests.crdtgraph.exchange.replicas import open_replica

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
