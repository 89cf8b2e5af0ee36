"""The cost of a heal, foretold: held against what two gossiping replicas send, and against what the wire carries."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from crdtgraph import Graph
from crdtgraph.ids import SegmentKey
from crdtgraph.union import unite
from crdtgraph.update import Update, decode_update
from sync.protocol.codec import compressible, encode_message
from sync.protocol.estimate import estimate
from sync.protocol.framing import encode_frame
from sync.protocol.messages import Peers
from tests.sync.gossip_net import Net
from tests.sync.replicas import grow, replica

PLANE = "ledger"
TOLERANCE = 0.1

Change = Callable[[Graph], object]


def nothing(_graph: Graph) -> None:
    """Leave it as it is."""


def few(graph: Graph) -> None:
    grow(graph, 3)


def many(graph: Graph) -> None:
    grow(graph, 300, "many ")


def large(graph: Graph) -> None:
    draw = random.Random(1)
    for number in range(12):
        graph.commit(message=str(number), changes={f"p{number}": draw.randbytes(40_000)})


def compacted(graph: Graph) -> None:
    grow(graph, 80)
    assert graph.compact()


def pair(change_a: Change, change_b: Change) -> tuple[Graph, Graph]:
    a, b = replica("a"), replica("b")
    grow(a, 40)
    unite(a, b)
    grow(b, 5)
    unite(b, a)
    for graph, change in ((a, change_a), (b, change_b)):
        change(graph)
        graph.flush()
    return a, b


def sent(a: Graph, b: Graph) -> tuple[int, int]:
    """The bytes that two nodes send each other until they are at rest, in frames; and they are equal then."""
    net = Net(a, b)
    net.connect(0, 1)
    net.rest()
    assert a.digest() == b.digest()
    sizes = [0, 0]
    for source, _, message in net.sent:
        if not isinstance(message, Peers):
            sizes[source] += len(encode_frame(encode_message(message), compress=compressible(message)))
    return sizes[0], sizes[1]


@pytest.mark.parametrize("change_a", [nothing, few, many, large, compacted])
@pytest.mark.parametrize("change_b", [nothing, few, large])
def test_the_bytes_foretold_are_those_that_are_sent(change_a: Change, change_b: Change) -> None:
    a, b = pair(change_a, change_b)
    told = estimate(a, b)
    real = sent(a, b)
    if change_a is change_b is nothing:
        assert (told.bytes_to_b, told.bytes_to_a, told.round_trips) == (0, 0, 0)
        return
    assert sum(real) == pytest.approx(told.bytes_to_b + told.bytes_to_a, rel=TOLERANCE)
    for foretold, carried in zip((told.bytes_to_b, told.bytes_to_a), real, strict=True):
        # A summary more or less, as their questions cross.
        assert carried == pytest.approx(foretold, rel=TOLERANCE, abs=200)
    assert told.round_trips == 2


def test_whoever_is_behind_has_nothing_to_give() -> None:
    a, b = pair(few, nothing)
    told = estimate(a, b)
    assert (told.to_b.segments, told.to_a.segments, told.to_a.deltas) == (3, 0, 0)
    mirrored = estimate(b, a)
    assert (mirrored.to_a, mirrored.to_b) == (told.to_b, told.to_a)
    assert (mirrored.bytes_to_a, mirrored.bytes_to_b) == (told.bytes_to_b, told.bytes_to_a)


def test_holes_are_asked_for_by_key_and_take_a_round_trip_more() -> None:
    whole, hollow = replica("a"), replica("b")
    source = replica("c")
    grow(source, 6)
    unite(source, whole)
    source.compact()
    (delta,) = source.deltas(PLANE, {})
    items = decode_update(delta.update).items
    # Cut off between the deleted places and what they were joined into.
    for item in items[:-1]:
        hollow.receive(PLANE, Update((item,)).encode())
    assert hollow.holes(PLANE)
    told = estimate(whole, hollow)
    assert told.to_b.by_key == len(hollow.holes(PLANE)) == 6
    assert told.to_b.by_key_bytes == sum(
        len(data) for key in hollow.holes(PLANE) for data in whole.segments_of(PLANE, SegmentKey(*key).text)
    )
    assert told.round_trips == 3
    real = sent(whole, hollow)
    assert sum(real) == pytest.approx(told.bytes_to_b + told.bytes_to_a, rel=TOLERANCE)
