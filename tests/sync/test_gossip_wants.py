"""Gossip and slow, silent or lost peers: whom a replica asks, and how long it waits."""

from __future__ import annotations

import random

from sync.protocol.gossip import Gossip
from sync.protocol.limits import Settings
from sync.protocol.messages import (
    Delta,
    Want,
)
from tests.sync.gossip_net import PLANE, Net, net
from tests.sync.replicas import grow


def want_in_flight(world: Net, reader: int = 2) -> int:
    """Run until the reader has asked one of two peers, and return which connection it asked on."""
    while (want := world.nodes[reader].wants.get(PLANE)) is None:
        world.step()
    return want.peer


def two_sources() -> Net:
    world = net("abc")
    number = world.connect(0, 1)
    grow(world.graphs[0], 3)
    world.rest()
    world.cut(number)
    world.connect(0, 2)
    world.connect(1, 2)
    return world


def test_only_one_peer_at_a_time_is_asked() -> None:
    world = two_sources()
    world.rest()
    world.check_equal()
    assert world.count(Want, by=2) == 1


def test_a_want_that_nobody_answers_goes_to_another_peer() -> None:
    world = two_sources()
    asked = want_in_flight(world)
    silent, other = (0, 1) if world.links[asked][0] == 0 else (1, 0)
    # The silent one still talks, but it never answers.
    world.nodes[silent].next_message = lambda number: (
        None if number == asked else Gossip.next_message(world.nodes[silent], number)
    )  # type: ignore[method-assign]
    world.nodes[2].peers[asked].outbox.next_message()
    while (want := world.nodes[2].wants.get(PLANE)) is not None and want.peer == asked:
        for _ in range(200):
            world.step()
        world.now += 5
        world.nodes[2].tick(world.now)
    for _ in range(2000):
        world.step()
    assert world.graphs[2].digest() == world.graphs[other].digest()
    assert world.nodes[2].peers[asked].views[PLANE].overdue == 1


def test_a_slow_peer_is_not_asked_to_begin_again() -> None:
    world = net("ab")
    grow(world.graphs[0], 3)
    world.connect(0, 1)
    while not world.count(Want):
        world.step()
    for _ in range(500):
        world.now += 1
        world.nodes[1].tick(world.now)
        assert world.nodes[1].deadline > world.now
    world.rest()
    assert world.count(Want) == 1
    assert [message.last for _, _, message in world.sent if isinstance(message, Delta)] == [True]
    world.check_equal()


def test_every_part_of_an_answer_gives_it_more_time() -> None:
    world = net("ab")
    world.nodes[0] = Gossip(world.graphs[0], Settings(delta_bytes_max=100), random.Random(0), 0.0)
    world.window = 1
    grow(world.graphs[0], 8)
    number = world.connect(0, 1)
    node = world.nodes[1]
    parts = 0
    while world.step():
        if world.count(Delta) > parts:
            parts = world.count(Delta)
            world.now += 6
            node.tick(world.now)
            assert node.peers[number].view(PLANE).overdue == 0
    assert parts == 8
    world.check_equal()


def test_slow_peers_are_asked_once_each_and_settled_with_whoever_answers_first() -> None:
    world = net("abc")
    grow(world.graphs[0], 2)
    for delta in world.graphs[0].deltas(PLANE, {}):
        world.graphs[2].receive(PLANE, delta.update)
    numbers = [world.connect(0, 1), world.connect(2, 1)]
    node = world.nodes[1]
    while any(peer.view(PLANE).told is None for peer in node.peers.values()):
        assert world.step()
    asked: set[int] = set()
    for _ in range(100):
        want = node.wants.get(PLANE)
        assert want is not None
        asked.add(want.peer)
        world.now += 1
        node.tick(world.now)
    assert asked == set(numbers)
    world.rest()
    world.check_equal()
    assert world.count(Want, by=1) == 2
    assert not any(peer.view(PLANE).owed for peer in node.peers.values())


def test_a_peer_lost_in_mid_exchange_frees_its_want() -> None:
    world = two_sources()
    asked = want_in_flight(world)
    world.cut(asked)
    world.rest()
    assert world.graphs[2].digest() == world.graphs[0].digest()
    assert not len(world.nodes[2].wants)
