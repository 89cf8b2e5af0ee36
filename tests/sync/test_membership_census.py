"""Asking members, forgetting them, and what bounds their number."""

from __future__ import annotations

import pytest

from crdtgraph.ids import ReplicaId
from sync.protocol.limits import (
    CARD_SPACING_S,
    MEMBER_FORGET_S,
    MEMBERS_MAX,
)
from sync.protocol.messages import Census, Forget
from tests.sync.test_membership import ROUND_S, START_US, Net, card, lone, replica_of, said, tell


def test_the_table_is_bounded_and_says_how_many_it_left_out() -> None:
    node = lone()
    extra = 50
    for number in range(MEMBERS_MAX + extra):
        tell(node, card(1, 1, replica=ReplicaId(number.to_bytes(2, "big") * 8)))
    assert len(node.table.members) == MEMBERS_MAX
    assert node.table.ignored == extra + 1 - 1
    tell(node, card(1, 2, replica=ReplicaId(b"\0\1" * 8)))
    assert node.table.members[ReplicaId(b"\0\1" * 8)].card.number == 2, "those that are known are kept up to date"
    [link] = node.table._links.values()
    assert len(link.known) <= MEMBERS_MAX


def test_a_flood_of_censuses_and_of_forgets_is_bounded() -> None:
    node = lone()
    node.table.join(2, replica_of(2), lambda: None, 0.0)
    for number in range(5 * MEMBERS_MAX):
        node.table.receive(1, Census(number.to_bytes(2, "big") * 8, 1), 0.0)
        node.table.receive(1, Forget(ReplicaId(number.to_bytes(2, "big") * 8), 1), 0.0)
    assert len(said(node, to=2)) <= 2 * MEMBERS_MAX + 1
    assert len(node.table._censuses) <= MEMBERS_MAX
    assert len(node.table._forgotten) <= MEMBERS_MAX


def test_a_member_unheard_of_for_a_day_is_forgotten_everywhere_and_no_newcomer_is_told_of_it() -> None:
    net = Net(4)
    for pair in ((0, 1), (1, 2)):
        net.connect(*pair)
    net.run(1.0)
    net.kill(2)
    # The age goes along, so it makes no difference who heard of it when.
    net.run(MEMBER_FORGET_S * 0.75)
    net.connect(1, 3)
    net.run(1.0)
    assert replica_of(2) in net.nodes[3].table.members
    net.run(MEMBER_FORGET_S * 0.25 + 2 * ROUND_S)
    for place in (0, 1, 3):
        assert set(net.known(place)) == {0, 1, 3}


def test_an_old_card_is_not_taken_from_a_peer_that_still_has_it() -> None:
    node = lone()
    tell(node, card(3, 1), age_ms=round(MEMBER_FORGET_S * 1_000) + 1)
    assert replica_of(3) not in node.table.members
    tell(node, card(3, 1), age_ms=round(MEMBER_FORGET_S * 1_000) - 1_000)
    assert node.table.members[replica_of(3)].issued_at == pytest.approx(1.0 - MEMBER_FORGET_S)


def test_a_census_brings_a_new_card_of_everyone_within_two_spacings() -> None:
    net = Net(5)
    for place in range(4):
        net.connect(place, place + 1)
    net.run(1.0)
    table = net.nodes[0].table
    before = table.begin_census(net.now)
    assert table.unanswered(before) == {replica_of(place) for place in range(5)}
    net.run(2 * CARD_SPACING_S)
    assert table.unanswered(before) == set()
    net.check_equal(*range(5))


def test_a_census_goes_around_a_ring_once() -> None:
    net = Net(4)
    for place in range(4):
        net.connect(place, (place + 1) % 4)
    net.run(1.0)
    net.sent.clear()
    net.nodes[0].table.begin_census(net.now)
    net.rest()
    assert 4 <= sum(isinstance(message, Census) for _, _, message in net.sent) <= 5


def test_who_is_gone_is_not_waited_for_once_its_neighbour_has_said_so() -> None:
    net = Net(4)
    for place in range(3):
        net.connect(place, place + 1)
    net.run(1.0)
    net.kill(3)
    table = net.nodes[0].table
    before = table.begin_census(net.now)
    assert replica_of(3) in table.unanswered(before)
    net.run(2 * CARD_SPACING_S)
    assert table.unanswered(before) == set()
    assert replica_of(3) in table.members, "it stays listed"
    assert table.linked() == {replica_of(1), replica_of(2)}


def test_a_member_that_leaves_says_so() -> None:
    net = Net(3)
    net.connect(0, 1)
    net.connect(1, 2)
    net.run(1.0)
    net.nodes[2].table.farewell(net.now)
    net.rest()
    net.kill(2)
    net.run(1.0)
    assert net.nodes[0].table.members[replica_of(2)].card.leaving


def test_a_forgotten_member_is_gone_everywhere_and_comes_back_if_it_lives() -> None:
    net = Net(4)
    for place in range(3):
        net.connect(place, place + 1)
    net.run(1.0)
    net.kill(3)
    net.run(1.0)
    net.nodes[0].table.forget(replica_of(3), net.now)
    net.rest()
    assert all(set(net.known(place)) == {0, 1, 2} for place in range(3))
    net.connect(2, 3)
    net.run(1.0)
    net.check_equal(0, 1, 2, 3)


def test_a_member_that_is_forgotten_while_it_lives_protests() -> None:
    net = Net(3)
    net.connect(0, 1)
    net.connect(1, 2)
    net.run(1.0)
    net.nodes[0].table.forget(replica_of(2), net.now)
    net.run(1.0)
    net.check_equal(0, 1, 2)


def test_nobody_forgets_itself() -> None:
    node = lone()
    node.table.forget(replica_of(0), 0.0)
    node.table.receive(1, Forget(replica_of(0), START_US * 2), 0.0)
    node.now = node.table.deadline
    node.table.tick(node.now)
    assert node.made[-1] == START_US * 2 + 1
