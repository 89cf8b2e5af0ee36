"""What goes no further than a neighbour: ephemeral messages, addresses of peers, planes not kept here, the lost."""

from __future__ import annotations

import random

from crdtgraph.ids import ReplicaId
from sync.protocol.gossip import Gossip
from sync.protocol.limits import QUEUE_MESSAGES_MAX, Settings
from sync.protocol.messages import Delta, Ephemeral, Keys, PlaneSummary, Segments, Summary, Want, WantSegments
from tests.sync.gossip_net import PLANE, net


def test_a_plane_that_is_not_kept_here_is_ignored_and_counted() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    world.rest()
    node = world.nodes[0]
    told = PlaneSummary("search-7", bytes(32), bytes(32), {1: 5})
    for message in (
        Summary((told,)),
        Want("search-7", {}),
        Delta("search-7", {}, b""),
        Keys("search-7", {}),
        WantSegments("search-7", ("1-0",)),
        Segments("search-7", (b"x",)),
    ):
        node.receive(number, message, 0.0)
    assert node.hearsay.ignored == 6
    world.rest()
    world.check_equal()


def test_ephemeral_messages_reach_the_neighbours_and_are_stored_nowhere() -> None:
    heard: list[tuple[ReplicaId, str, bytes]] = []
    world = net("ab")
    world.nodes[1] = Gossip(
        world.graphs[1], Settings(), random.Random(0), 0.0, on_ephemeral=lambda *each: heard.append(each)
    )
    world.connect(0, 1)
    world.nodes[0].broadcast("presence", b"here")
    world.rest()
    assert heard == [(world.graphs[0].replica_id, "presence", b"here")]
    assert len(world.graphs[1]) == 0


def test_peers_tell_whom_else_they_are_connected_to() -> None:
    world = net("abc")
    number = world.connect(0, 1)
    world.connect(1, 2)
    world.rest()
    assert [peer.replica for peer in world.nodes[0].peers[number].neighbours] == [world.graphs[2].replica_id]


def test_messages_for_a_connection_that_is_gone_are_ignored() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    world.cut(number)
    world.nodes[0].receive(number, Want(PLANE, {}), 0.0)
    world.nodes[0].leave(number, 0.0)
    assert world.nodes[0].next_message(number) is None


def test_ephemeral_messages_share_the_bounded_queue() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    for _ in range(QUEUE_MESSAGES_MAX + 1):
        world.nodes[0].broadcast("t", b"x")
    outbox = world.nodes[0].peers[number].outbox
    assert (outbox.queued, outbox.drops) == (0, 1)
    assert isinstance(world.nodes[0].next_message(number), Summary)
    world.nodes[0].broadcast("t", b"x")
    assert world.nodes[0].next_message(number) == Ephemeral("t", b"x")
