"""Gossip about compacted segments: deletions follow what supersedes, and reach who missed them."""

from __future__ import annotations

from crdtgraph.update import Update, decode_update
from sync.protocol.messages import Delta, PlaneSummary, Summary
from tests.sync.gossip_net import PLANE, Net, net
from tests.sync.replicas import grow, replica


def test_a_delete_only_difference_is_found_although_state_vectors_are_equal() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    grow(world.graphs[0], 6)
    world.rest()
    world.cut(number)
    world.graphs[0].compact()
    deletions = next(iter(world.graphs[0].deltas(PLANE, world.graphs[0].state_vector(PLANE))))
    (joined,) = (d for d in world.graphs[0].deltas(PLANE, world.graphs[1].state_vector(PLANE)))
    assert deletions.base == {}
    # B gets the joined segment without the deletions that belong to it, as Yjs could have it.
    world.graphs[1].receive(PLANE, Update(decode_update(joined.update).items).encode())
    assert world.graphs[0].state_vector(PLANE) == world.graphs[1].state_vector(PLANE)
    assert world.graphs[0].set_digest(PLANE) != world.graphs[1].set_digest(PLANE)
    world.connect(0, 1)
    world.rest()
    world.check_equal()


def test_a_second_compaction_reaches_a_replica_that_missed_the_first() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    grow(world.graphs[0], 4)
    world.rest()
    world.cut(number)
    world.graphs[0].compact()
    grow(world.graphs[0], 2)
    world.graphs[0].compact()
    world.connect(0, 1)
    world.rest()
    world.check_equal()


def test_deletions_are_not_passed_on_before_what_supersedes() -> None:
    """A diff carries the deletions of all writers; a relay of it must not outrun the joined segments."""
    world = net("abc", seed=1)
    first = world.connect(0, 1)
    world.connect(1, 2)
    grow(world.graphs[0], 3)
    world.rest()
    world.cut(first)
    world.graphs[0].compact()
    grow(world.graphs[0], 1)
    world.connect(0, 1)
    world.rest()
    world.check_equal()


def test_a_deletion_is_pushed_only_to_who_has_what_supersedes() -> None:
    a = replica("a")
    grow(a, 4)
    before = dict(a.state_vector(PLANE))
    a.compact()
    (deletions,) = a.deltas(PLANE, a.state_vector(PLANE))
    assert deletions.base == {}
    world = Net(a)
    node = world.nodes[0]
    for number, vector in ((1, before), (2, dict(a.state_vector(PLANE)))):
        node.join(number, world.hello(0), lambda: None)
        node.receive(number, Summary((PlaneSummary(PLANE, b"", bytes(32), vector),)), 0.0)
        while node.next_message(number) is not None:
            pass
    node.push(deletions)
    assert [type(node.next_message(number)) for number in (1, 2)] == [Summary, Delta]
