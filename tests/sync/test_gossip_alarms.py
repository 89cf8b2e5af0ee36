"""Gossip that finds sets or projections unequal: what raises an alarm, what mends it, who is to blame."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from crdtgraph import Graph, RemoteError
from sync.protocol.alarms import AlarmKind, Alarms
from sync.protocol.gossip import Gossip
from sync.protocol.limits import Settings
from sync.protocol.messages import (
    Delta,
    Keys,
    PlaneSummary,
    Segments,
    Summary,
)
from tests.sync.gossip_net import PLANE, Net, net
from tests.sync.replicas import grow, replica


def clone_of(graph: Graph) -> Graph:
    """A process cloned with its memory: the same key, the same writer number, another future."""
    twin = replica(graph.author)
    assert twin.writer == graph.writer
    return twin


def test_equal_state_vectors_with_different_segments_raise_an_alarm_and_are_mended() -> None:
    """The hazard of a clone: the same number says two things, and no diff can bring both."""
    a, twin, b = replica("a"), clone_of(replica("a")), replica("b")
    grow(a, 2, "original ")
    grow(twin, 2, "clone ")
    b.receive(PLANE, b"".join(delta.update for delta in twin.deltas(PLANE, {})))
    assert a.state_vector(PLANE) == b.state_vector(PLANE)
    world = Net(a, b)
    world.connect(0, 1)
    world.rest()
    kinds = {alarm.kind for node in world.nodes for alarm in node.alarms.standing}
    assert world.alarms > 0
    assert kinds <= {AlarmKind.DIVERGED}
    assert world.count(Keys) >= 2
    assert world.count(Segments) >= 2
    assert a.digest() == b.digest()
    assert len(a) == 4
    # Agreement ends the alarm, and the count of it stays.
    world.round()
    assert not [alarm for node in world.nodes for alarm in node.alarms.standing]


def test_what_only_a_comparison_could_bring_is_relayed_too() -> None:
    a, twin, b, c = replica("a"), clone_of(replica("a")), replica("b"), replica("c")
    grow(a, 2, "original ")
    grow(twin, 2, "clone ")
    update = b"".join(delta.update for delta in twin.deltas(PLANE, {}))
    b.receive(PLANE, update)
    c.receive(PLANE, update)
    world = Net(a, b, c)
    world.connect(0, 1)
    world.connect(1, 2)
    world.rest()
    world.round()
    assert a.digest() == b.digest() == c.digest()


def test_a_summary_that_crossed_an_exchange_is_no_alarm() -> None:
    """Only when both sides are settled with each other's present state may a difference alarm anybody."""
    a = replica("a")
    grow(a, 1)
    world = Net(a)
    node = world.nodes[0]
    node.join(1, world.hello(0), lambda: None)
    told = PlaneSummary(PLANE, b"", b"\x01" * 32, dict(a.state_vector(PLANE)))
    node.receive(1, Summary((told,)), 0.0)
    # It gives us all it has, which is nothing new, and says the same again before it has asked us.
    (nothing,) = a.deltas(PLANE, a.state_vector(PLANE))
    node.receive(1, Delta(PLANE, {}, nothing.update, last=True), 0.0)
    for settled_with in (b"", b"\x02" * 32):
        node.receive(1, Summary((replace(told, settled_with=settled_with),)), 0.0)
        assert node.alarms.total == 0
    node.receive(1, Summary((replace(told, settled_with=a.set_digest(PLANE)),)), 0.0)
    assert [alarm.kind for alarm in node.alarms.standing] == [AlarmKind.DIVERGED]


class Liar:
    """A graph that claims one more segment than it has."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> object:
        return getattr(self._graph, name)

    def state_vector(self, plane: str) -> dict[int, int]:
        vector = dict(self._graph.state_vector(plane))
        return {writer: clock + 1 for writer, clock in vector.items()}

    def set_digest(self, plane: str) -> bytes:
        return bytes(byte ^ 1 for byte in self._graph.set_digest(plane))


def test_a_peer_that_claims_what_it_does_not_give_raises_an_alarm_and_no_endless_loop() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 2)
    grow(b, 1)
    world = Net(a, b)
    world.nodes[0] = Gossip(Liar(a), Settings(), random.Random(0), 0.0)  # type: ignore[arg-type]
    world.connect(0, 1)
    world.rest()
    world.round()
    assert [alarm.kind for alarm in world.nodes[1].alarms.standing] == [AlarmKind.INCOMPLETE]


class Forgetful(Liar):
    """A graph whose projection is wrong."""

    def state_vector(self, plane: str) -> dict[int, int]:
        return dict(self._graph.state_vector(plane))

    def set_digest(self, plane: str) -> bytes:
        return self._graph.set_digest(plane)

    def digest(self, *, plane: str = PLANE) -> bytes:
        return bytes(32)


def test_equal_segments_with_different_projections_raise_an_alarm() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 2)
    reports: list[tuple[str, bool]] = []
    world = Net(a, b)
    world.nodes[0] = Gossip(Forgetful(a), Settings(), random.Random(0), 0.0)  # type: ignore[arg-type]
    alarms = Alarms(lambda alarm, standing: reports.append((alarm.kind, standing)))
    world.nodes[1] = Gossip(b, Settings(), random.Random(0), 0.0, alarms=alarms)
    world.connect(0, 1)
    world.rest()
    assert {alarm.kind for alarm in world.nodes[1].alarms.standing} == {AlarmKind.PROJECTION}
    world.round()
    assert reports == [(AlarmKind.PROJECTION, True)]


def test_records_that_wait_for_their_segment_are_no_disagreement() -> None:
    world = net("ab")
    world.connect(0, 1)
    grow(world.graphs[0], 2)
    world.rest()
    world.graphs[0].commit(message="buffered")
    world.round()
    assert world.alarms == 0


def test_segments_that_nobody_asked_for_are_ignored() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 1)
    world = Net(b)
    world.nodes[0].join(1, world.hello(0), lambda: None)
    (key,) = a.segment_keys(PLANE)
    world.nodes[0].receive(1, Segments(PLANE, tuple(a.segments_of(PLANE, key))), 0.0)
    assert len(b) == 0


def test_a_bad_update_is_the_peers_fault() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    world.rest()
    with pytest.raises(RemoteError):
        world.nodes[0].receive(number, Delta(PLANE, {}, b"nonsense"), 0.0)
