"""Gossip about holes: records by key, whoever has them, and nobody alarmed."""

from __future__ import annotations

import random
from itertools import combinations

import pytest

from crdtgraph import Graph
from crdtgraph.ids import SegmentKey
from crdtgraph.update import Item, Update, decode_update
from sync.protocol.alarms import AlarmKind
from sync.protocol.gossip import Gossip
from sync.protocol.limits import Settings
from sync.protocol.messages import (
    Keys,
    Segments,
    WantSegments,
)
from tests.sync.gossip_net import PLANE, Net
from tests.sync.replicas import grow, replica
from tests.sync.test_gossip_alarms import clone_of


def hollow(graph: Graph, source: Graph, places: int) -> Graph:
    """Let `graph` be cut off after the first places of a diff from `source`: all of them are of deleted segments."""
    items = [item for delta in source.deltas(PLANE, {}) for item in decode_update(delta.update).items][:places]
    graph.receive(PLANE, Update(tuple(items)).encode())
    assert [each for each in items if each.value is None] == items
    return graph


def compacted(writer: Graph, count: int, *readers: Graph) -> None:
    """A writer's segments, as readers got them before they were joined."""
    grow(writer, count)
    for reader in readers:
        for delta in writer.deltas(PLANE, reader.state_vector(PLANE)):
            reader.receive(PLANE, delta.update)
    writer.compact()


def test_a_hollow_replica_gets_the_records_by_key_from_whoever_has_them_without_an_alarm() -> None:
    """The hazard of a broken-off diff: equal state vectors, other segments, and nobody did anything wrong."""
    a, h, q = replica("a"), replica("h"), replica("q")
    compacted(a, 4, q)
    hollow(h, a, 4)
    assert h.state_vector(PLANE) == q.state_vector(PLANE)
    world = Net(h, q)
    world.connect(0, 1)
    world.rest()
    world.check_equal()
    assert h.holes(PLANE) == []
    assert len(h) == 4
    assert world.count(Keys) == 0
    assert world.count(WantSegments) == 1


def test_a_hollow_replica_that_meets_what_supersedes_asks_for_no_keys() -> None:
    a, h = replica("a"), replica("h")
    compacted(a, 4)
    hollow(h, a, 3)
    world = Net(h, a)
    world.connect(0, 1)
    world.rest()
    world.check_equal()
    assert world.count(WantSegments) == 0


def test_a_hollow_replica_is_served_although_it_has_more_than_its_peer() -> None:
    a, h, q = replica("a"), replica("h"), replica("q")
    compacted(a, 4, q)
    hollow(h, a, 4)
    world = Net(h, q)
    world.connect(0, 1)
    world.rng = random.Random(3)
    # The peer never catches up with what the hollow one writes: its summaries are always of a moment ago.
    while h.holes(PLANE):
        grow(h, 1)
        assert world.step()
    assert len(h) > 4
    world.rest()
    world.check_equal()


@pytest.mark.parametrize("seed", range(5))
def test_replicas_that_are_hollow_in_different_places_fill_each_other(seed: int) -> None:
    a, b, h, i, q = (replica(name) for name in "abhiq")
    compacted(a, 3, i, q)
    compacted(b, 5, h)
    hollow(h, a, 2)
    hollow(i, b, 4)
    hollow(q, b, 5)
    world = Net(h, i, q, seed=seed)
    for pair in combinations(range(3), 2):
        world.connect(*pair)
    world.rest()
    world.check_equal()
    assert not any(graph.holes(PLANE) for graph in world.graphs)
    assert len(h) == 8


def test_many_holes_are_asked_for_in_several_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.protocol.gossip.KEYS_PER_MESSAGE", 2)
    a, h, q = replica("a"), replica("h"), replica("q")
    compacted(a, 5, q)
    hollow(h, a, 5)
    world = Net(h, q)
    world.connect(0, 1)
    world.rest()
    world.check_equal()
    assert world.count(WantSegments) == 3


def test_holes_that_nobody_can_fill_are_no_alarm_and_hide_none() -> None:
    a, twin, h, i = replica("a"), clone_of(replica("a")), replica("h"), replica("i")
    lost = replica("lost")
    compacted(lost, 3)
    hollow(h, lost, 3)
    hollow(i, lost, 3)
    grow(i, 1)
    world = Net(h, i)
    number = world.connect(0, 1)
    world.rest()
    world.round()
    world.check_equal()
    assert h.holes(PLANE) == i.holes(PLANE)
    assert len(h.holes(PLANE)) == 3
    world.cut(number)
    for graph, source in ((h, a), (i, twin)):
        grow(source, 1, graph.author)
        for delta in source.deltas(PLANE, {}):
            graph.receive(PLANE, delta.update)
    world.connect(0, 1)
    world.rest()
    assert {alarm.kind for node in world.nodes for alarm in node.alarms.standing} <= {AlarmKind.DIVERGED}
    assert world.alarms > 0
    assert h.digest() == i.digest()


def test_whoever_forges_a_deletion_and_stands_by_it_raises_an_alarm() -> None:
    """Its set is what it gave us, and it says that there is nothing else; but somebody has the segment."""
    a, forger, h, q = replica("a"), replica("f"), replica("h"), replica("q")
    grow(a, 2)
    for delta in a.deltas(PLANE, {}):
        q.receive(PLANE, delta.update)
    places = tuple(Item(SegmentKey(a.writer, seq), None) for seq in range(2))
    forger.receive(PLANE, Update(places).encode())
    grow(forger, 1)
    world = Net(forger, h, q)
    world.nodes[0] = Gossip(Whole(forger), Settings(), random.Random(0), 0.0)  # type: ignore[arg-type]
    world.connect(0, 1)
    world.rest()
    assert len(h.holes(PLANE)) == 2
    world.connect(1, 2)
    world.rest()
    assert h.digest() == q.digest()
    assert len(h) == 3
    assert [alarm.kind for alarm in world.nodes[1].alarms.standing] == [AlarmKind.DIVERGED]
    assert world.nodes[2].alarms.total == 0


class Whole:
    """A graph that does not admit what it lacks, and adopts nothing."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> object:
        return getattr(self._graph, name)

    def holes(self, plane: str) -> list[SegmentKey]:
        return []

    def adopt(self, plane: str, segments: list[bytes]) -> int:
        return 0


def test_every_question_for_segments_is_answered_to_the_end_once() -> None:
    a = replica("a")
    grow(a, 3)
    keys = tuple(a.segment_keys(PLANE))
    world = Net(a)
    node = world.nodes[0]
    node.join(1, world.hello(0), lambda: None)
    node.next_message(1)
    answered: list[Segments] = []
    for asked in (("7-0",), keys, (), keys[:1]):
        node.receive(1, WantSegments(PLANE, asked), 0.0)
        if asked == keys:
            answered += [message for message in [node.next_message(1)] if isinstance(message, Segments)]
    answered += [message for message in iter(lambda: node.next_message(1), None) if isinstance(message, Segments)]
    assert [(len(each.segments), each.last) for each in answered] == [(0, True), (3, True), (0, True), (1, True)]


def test_the_end_of_one_answer_leaves_other_questions_open() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 2)
    keys = tuple(a.segment_keys(PLANE))
    world = Net(b)
    node = world.nodes[0]
    peer = node.join(1, world.hello(0), lambda: None)
    for key in keys:
        node._comparison.ask(peer, PLANE, (key,))
    for key in keys:
        node.receive(1, Segments(PLANE, tuple(a.segments_of(PLANE, key)), last=True), 0.0)
    assert list(b.segment_keys(PLANE)) == list(keys)
    assert peer.view(PLANE).unanswered == 0
