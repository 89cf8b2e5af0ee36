"""Reconciliation between real graphs over queues in memory: whatever the order, they end up equal and at rest."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import combinations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sync.protocol.gossip import RELAY_BYTES_MAX
from sync.protocol.messages import Delta, Peers, Summary, Want
from tests.sync.gossip_net import PLANE, Net, edges, net, topologies
from tests.sync.replicas import grow, replica


def test_two_replicas_exchange_what_each_lacks() -> None:
    world = net("ab")
    grow(world.graphs[0], 5)
    grow(world.graphs[1], 3)
    world.connect(0, 1)
    world.rest()
    world.check_equal()
    assert len(world.graphs[0]) == 8
    assert world.count(Want) == 2


def test_equal_replicas_say_nothing_but_a_summary_each() -> None:
    world = net("ab")
    grow(world.graphs[0], 3)
    number = world.connect(0, 1)
    world.rest()
    world.cut(number)
    world.sent.clear()
    world.connect(0, 1)
    world.rest()
    assert [type(message) for _, _, message in world.sent if not isinstance(message, Peers)] == [Summary, Summary]


def test_new_segments_are_pushed_without_being_asked_for() -> None:
    world = net("ab")
    world.connect(0, 1)
    world.rest()
    world.sent.clear()
    grow(world.graphs[0], 4)
    world.rest()
    world.check_equal()
    assert [type(message) for _, _, message in world.sent] == [Delta] * 4


def test_a_line_relays_news() -> None:
    world = net("abc")
    world.connect(0, 1)
    world.connect(1, 2)
    world.rest()
    world.sent.clear()
    grow(world.graphs[0], 2)
    world.rest()
    world.check_equal()
    assert world.count(Delta, by=0) == 2
    assert world.count(Delta, by=1) == 2
    assert world.count(Delta, by=2) == 0


def test_a_ring_comes_to_rest() -> None:
    world = net("abcde")
    for place in range(5):
        world.connect(place, (place + 1) % 5)
    world.rest()
    world.sent.clear()
    grow(world.graphs[0], 1)
    world.rest()
    world.check_equal()
    # Both ways round, and nobody passes on what is not new.
    assert world.count(Delta) <= 6


def test_bulk_travels_a_link_once() -> None:
    world = net("abc")
    rng = random.Random(1)
    for _ in range(4):
        world.graphs[0].commit(changes={"blob": rng.randbytes(RELAY_BYTES_MAX)})
        world.graphs[0].flush()
    for a, b in combinations(range(3), 2):
        world.connect(a, b)
    world.rest()
    world.check_equal()
    bulk = sum(len(message.update) for _, _, message in world.sent if isinstance(message, Delta))
    assert bulk < 2.5 * 4 * RELAY_BYTES_MAX


def test_bulk_reaches_the_end_of_a_line_without_any_timer() -> None:
    world = net("abc")
    rng = random.Random(1)
    for _ in range(4):
        world.graphs[0].commit(changes={"blob": rng.randbytes(RELAY_BYTES_MAX)})
        world.graphs[0].flush()
    world.connect(1, 2)
    world.rest()
    world.connect(0, 1)
    world.rest()
    world.check_equal()


@settings(max_examples=25, deadline=None)
@given(topologies, st.integers(2, 5), st.integers(0, 1 << 32))
@example("ring", 5, 256409828)  # A relayed diff carried deletions whose joined segment had not arrived there yet.
@example("line", 3, 3)  # A second compaction forgot what the first had superseded.
def test_any_topology_with_writes_cuts_and_heals_converges(topology: str, size: int, seed: int) -> None:
    world = net("abcde"[:size], seed)
    rng = random.Random(seed)
    world.window = rng.choice([1, 2, 10])
    live = {edge: world.connect(*edge) for edge in edges(topology, size)}
    for _ in range(12):
        for _ in range(rng.randrange(30)):
            world.step()
        action = rng.randrange(4)
        edge = rng.choice(list(edges(topology, size)))
        if action < 2:
            grow(rng.choice(world.graphs), rng.randrange(1, 4))
        elif edge in live:
            world.cut(live.pop(edge))
        else:
            live[edge] = world.connect(*edge)
        if action == 3:
            rng.choice(world.graphs).compact()
    for edge in edges(topology, size):
        if edge not in live:
            world.connect(*edge)
    world.rest()
    world.round()
    world.check_equal()


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.integers(0, 1 << 32))
def test_it_converges_without_the_timer_when_nothing_is_cut(size: int, seed: int) -> None:
    world = net("abcde"[:size], seed)
    rng = random.Random(seed)
    world.window = rng.choice([1, 3, 20])
    for a, b in combinations(range(size), 2):
        world.connect(a, b)
        for _ in range(rng.randrange(20)):
            world.step()
        grow(rng.choice(world.graphs), rng.randrange(3))
    world.rest()
    world.check_equal()


def test_a_gap_is_mended_by_a_want() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    world.rest()
    grow(world.graphs[0], 2)
    lost = world.nodes[0].next_message(number)
    assert isinstance(lost, Delta)
    world.rest()
    world.check_equal()
    assert world.count(Want, by=1) == 1


def test_a_peer_that_wants_again_gets_only_the_newer_answer() -> None:
    world = net("ab")
    grow(world.graphs[0], 3)
    number = world.connect(0, 1)
    node = world.nodes[0]
    for _ in range(3):
        node.receive(number, Want(PLANE, {}), 0.0)
    said = list(iter(lambda: node.next_message(number), None))
    assert [message.last for message in said if isinstance(message, Delta)] == [True]


def test_a_peer_that_claims_more_than_when_it_was_asked_is_asked_again() -> None:
    # One that was cut off in a diff of a third has places without segments: its vector grows, and its digest does not.
    a, b = replica("a"), replica("b")
    grow(a, 2)
    grow(b, 2)
    world = Net(a, b)
    number = world.connect(0, 1)
    world.rest()
    peer = world.nodes[1].peers[number]
    view = peer.view(PLANE)
    assert view.told is not None
    told = replace(view.told, set_digest=bytes(32))
    view.settled, view.answered = (b.set_digest(PLANE), told.set_digest), told.state_vector
    more = replace(told, state_vector={**told.state_vector, 12345: 3})
    world.nodes[1].receive(number, Summary((more,), ask=False), world.now)
    assert not world.nodes[1].alarms.standing
    assert isinstance(world.nodes[1].next_message(number), Want)
    # Who was asked for all that it claims, and does not give it, is another matter.
    view.answered = more.state_vector
    world.nodes[1].receive(number, Summary((more,), ask=False), world.now)
    assert world.nodes[1].alarms.standing
