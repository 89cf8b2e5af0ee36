"""Gossip and bounded queues: who loses one catches up, and what came another way is not sent again."""

from __future__ import annotations

import random

from crdtgraph.union import unite
from sync.protocol.gossip import Gossip
from sync.protocol.limits import QUEUE_MESSAGES_MAX, Settings
from sync.protocol.messages import (
    Delta,
    Ephemeral,
    PlaneSummary,
    Summary,
)
from tests.sync.gossip_net import PLANE, net
from tests.sync.replicas import grow


def test_a_peer_that_reads_nothing_loses_its_queue_and_catches_up() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    world.rest()
    outbox = world.nodes[0].peers[number].outbox
    grow(world.graphs[0], 1)
    assert world.nodes[0].peers[number].view(PLANE).assumed == world.graphs[0].state_vector(PLANE)
    delta = Delta(PLANE, {}, b"")
    for _ in range(QUEUE_MESSAGES_MAX - 1):
        assert outbox.push(delta)
    assert outbox.queued == QUEUE_MESSAGES_MAX
    grow(world.graphs[0], 1)
    assert outbox.queued == 0
    assert outbox.drops == 1
    # What was lost with the queue is no longer taken for known there.
    view = world.nodes[0].peers[number].view(PLANE)
    assert view.assumed == view.confirmed == {}
    world.rest()
    world.check_equal()
    grow(world.graphs[0], 2)
    world.rest()
    world.check_equal()


def test_a_queue_may_be_shorter_and_those_who_overflow_it_catch_up_as_well() -> None:
    world = net("ab")
    world.nodes[0] = Gossip(world.graphs[0], Settings(queue_messages_max=3), random.Random(0), 0.0)
    number = world.connect(0, 1)
    world.rest()
    outbox = world.nodes[0].peers[number].outbox
    grow(world.graphs[0], 3)
    assert (outbox.queued, outbox.drops) == (3, 0)
    grow(world.graphs[0], 1)
    assert (outbox.queued, outbox.drops) == (0, 1)
    world.rest()
    world.check_equal()


def test_news_that_came_another_way_is_not_sent() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    world.rest()
    grow(world.graphs[0], 5)
    peer = world.nodes[0].peers[number]
    peer.outbox.push(Ephemeral("topic", b"payload"))
    unite(world.graphs[0], world.graphs[1])
    there = world.graphs[1]
    told = PlaneSummary(PLANE, there.digest(), there.set_digest(PLANE), dict(there.state_vector(PLANE)))
    world.nodes[0].receive(number, Summary((told,)), world.now)
    assert (peer.outbox.queued, peer.outbox.queued_bytes) == (1, len(b"payload"))
    world.rest()
    assert world.count(Delta) == 0
    assert world.count(Ephemeral) == 1
    grow(world.graphs[0], 1)
    world.rest()
    world.check_equal()
    assert world.count(Delta) == 1


def test_news_during_a_diff_is_withheld_and_follows_it() -> None:
    world = net("ab")
    rng = random.Random(3)
    for _ in range(6):
        world.graphs[0].commit(changes={"blob": rng.randbytes(100_000)})
        world.graphs[0].flush()
    number = world.connect(0, 1)
    world.window = 1
    while not any(isinstance(message, Delta) for _, _, message in world.sent):
        world.step()
    grow(world.graphs[0], 3)
    assert world.nodes[0].peers[number].outbox.queued == 0
    world.rest()
    world.check_equal()
