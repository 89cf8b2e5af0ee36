"""Simulations in flight: newest wins, silence expires, and they find their way through lines and rings of nodes."""

from __future__ import annotations

from crdtgraph.ids import CommitId
from sync.protocol.inflightcodec import InFlightState, decode_inflight, encode_inflight
from sync.protocol.inflightexchange import InFlightExchange
from sync.protocol.limits import (
    INFLIGHT_COMMITS_MAX,
    INFLIGHT_COUNT_MAX,
    INFLIGHT_EXPIRY_S,
    INFLIGHT_HOPS_MAX,
    INFLIGHT_REPEAT_S,
    INFLIGHT_STATES_MAX,
)
from tests.sync.inflight.exchanging import EVERY_S, STATE, Net, commit


def test_a_line_of_nodes_sees_what_its_end_has_in_flight() -> None:
    net = Net(4, [(0, 1), (1, 2), (2, 3)])
    net.publish(0, {commit(1): 2})
    net.publish(3, {commit(1): 1, commit(2): 4})
    net.run(0.2)
    assert net.nodes[3].counts("s") == {commit(1): 2}
    assert net.nodes[1].counts("s") == {commit(1): 3, commit(2): 4}
    assert net.nodes[1].by_writer("s") == {0: {commit(1): 2}, 3: {commit(1): 1, commit(2): 4}}
    assert net.nodes[1].counts("another") == {}


def test_a_ring_comes_to_rest_and_sends_each_state_over_each_link_once_or_twice() -> None:
    net = Net(5, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0)])
    net.publish(0, {commit(1): 1})
    net.run(INFLIGHT_REPEAT_S / 2)
    assert all(node.counts("s") for node in net.nodes[1:])
    assert net.sent <= 7


def test_where_everyone_is_connected_to_everyone_nothing_is_told_twice() -> None:
    net = Net(6, [(a, b) for a in range(6) for b in range(a)])
    net.publish(0, {commit(1): 1})
    net.run(INFLIGHT_REPEAT_S / 2)
    assert all(node.counts("s") for node in net.nodes[1:])
    assert net.sent == 5


def test_the_end_of_a_simulation_is_told_everywhere() -> None:
    net = Net(3, [(0, 1), (1, 2)])
    net.publish(0, {commit(1): 1})
    net.run(0.2)
    net.publish(0, {})
    net.run(0.2)
    assert [node.counts("s") for node in net.nodes] == [{}, {}, {}]
    net.run(2 * INFLIGHT_EXPIRY_S)
    sent = net.sent
    net.run(2 * INFLIGHT_EXPIRY_S)
    assert net.sent == sent, "nothing is in flight and nothing is said"
    assert not any(node._entries for node in net.nodes)


def test_what_stays_in_flight_is_repeated_and_does_not_expire() -> None:
    net = Net(3, [(0, 1), (1, 2)])
    net.publish(0, {commit(1): 1})
    net.run(3 * INFLIGHT_EXPIRY_S)
    assert net.nodes[2].counts("s") == {commit(1): 1}


def test_a_writer_that_falls_silent_has_nothing_in_flight_after_the_expiry() -> None:
    net = Net(3, [(0, 1), (1, 2)])
    heard: list[tuple[int, dict[CommitId, int]]] = []
    net.nodes[2].subscribe("s", lambda writer, counts: heard.append((writer, dict(counts))))
    net.publish(0, {commit(1): 1})
    net.run(0.2)
    net.run(INFLIGHT_EXPIRY_S + 0.1, silent=(0,))
    assert [node.counts("s") for node in net.nodes[1:]] == [{}, {}]
    assert heard == [(0, {commit(1): 1}), (0, {})]


def test_a_connection_that_ends_takes_with_it_what_came_over_it() -> None:
    net = Net(3, [(0, 1), (1, 2)])
    net.publish(0, {commit(1): 1})
    net.run(0.2)
    net.cut(0, 1)
    assert net.nodes[1].counts("s") == {}
    net.connect(0, 2)
    net.run(INFLIGHT_REPEAT_S + 0.1)
    assert net.nodes[1].counts("s") == {commit(1): 1}, "it comes back another way"


def test_what_is_told_to_a_new_peer_is_no_younger_for_it() -> None:
    """Else a state of the dead would go round for ever, from those who have it to those who have forgotten it."""
    net = Net(3, [(0, 1)])
    net.publish(0, {commit(1): 1})
    net.run(0.1)
    net.run(INFLIGHT_EXPIRY_S - 0.5, silent=(0,))
    net.connect(1, 2)
    net.run(0.1, silent=(0,))
    assert net.nodes[2].counts("s") == {commit(1): 1}
    net.run(0.5, silent=(0,))
    assert [node.counts("s") for node in net.nodes[1:]] == [{}, {}]


def test_a_new_peer_is_told_at_once() -> None:
    net = Net(2, [])
    net.publish(0, {commit(1): 1})
    net.run(0.5)
    net.connect(0, 1)
    net.run(0.02)
    assert net.nodes[1].counts("s") == {commit(1): 1}


def test_changes_within_a_spacing_are_one_message_and_the_last_one_counts() -> None:
    net = Net(2, [(0, 1)])
    for number in range(100):
        net.publish(0, {commit(number): 1})
    net.run(2 * EVERY_S)
    assert net.sent == 1 + 1
    assert net.nodes[1].counts("s") == {commit(99): 1}


def test_a_peer_that_does_not_read_gets_the_latest_state_and_nothing_piles_up() -> None:
    net = Net(2, [(0, 1)])
    for number in range(1, 101):
        net.publish(0, {commit(1): number})
        net.nodes[0].tick(net.now)
        net.now += 1.0
    said = []
    while (message := net.nodes[0].next_message(1, net.now)) is not None:
        said.append(decode_inflight(message.payload))
    assert [each.counts for each in said if each is not None] == [{commit(1): 100}]


def test_a_search_that_begins_anew_is_heard_by_those_who_remember_its_end_longer() -> None:
    ours, theirs = InFlightExchange(0, EVERY_S), InFlightExchange(1, EVERY_S)
    ours.join(1, lambda: None)
    theirs.join(0, lambda: None)

    def carry(now: float) -> None:
        message = ours.next_message(1, now)
        assert message is not None
        theirs.receive(0, message.payload, now)

    ours.publish("s", {commit(1): 1}, 0.0)
    carry(0.0)
    ours.publish("s", {}, 1.0)
    carry(2.0)
    ours.tick(1.0 + INFLIGHT_EXPIRY_S)
    assert not ours._entries
    ours.publish("s", {commit(2): 1}, 1.5 + INFLIGHT_EXPIRY_S)
    carry(1.5 + INFLIGHT_EXPIRY_S)
    assert theirs.counts("s") == {commit(2): 1}


def test_the_largest_counts_are_told_when_there_are_too_many() -> None:
    net = Net(2, [(0, 1)])
    many = {commit(number): 1 + number for number in range(2 * INFLIGHT_COMMITS_MAX)}
    net.publish(0, many)
    net.run(0.05)
    heard = net.nodes[1].counts("s")
    assert sorted(heard.values()) == list(range(INFLIGHT_COMMITS_MAX + 1, 2 * INFLIGHT_COMMITS_MAX + 1))
    net.publish(0, {commit(1): 1 << 60, commit(2): -3})
    net.run(0.05)
    assert net.nodes[1].counts("s") == {commit(1): INFLIGHT_COUNT_MAX}


def test_more_writers_than_there_is_room_for_are_counted_and_passed_by() -> None:
    node = InFlightExchange(0, EVERY_S)
    node.join(1, lambda: None)
    for writer in range(1, INFLIGHT_STATES_MAX + 11):
        node.receive(1, encode_inflight(InFlightState("s", writer, 1, 0, 0, {commit(1): 1})), 0.0)
    assert (node.counts("s"), node.refused) == ({commit(1): INFLIGHT_STATES_MAX}, 10)


def test_a_state_goes_no_further_than_the_bound_on_hops() -> None:
    count = INFLIGHT_HOPS_MAX + 4
    net = Net(count, [(number, number + 1) for number in range(count - 1)])
    net.publish(0, {commit(1): 1})
    net.run(0.6)
    reached = [number for number, node in enumerate(net.nodes) if number and node.counts("s")]
    assert reached == list(range(1, INFLIGHT_HOPS_MAX + 2))


def test_messages_of_unknown_peers_are_passed_by() -> None:
    node = InFlightExchange(0, EVERY_S)
    node.receive(4, encode_inflight(STATE), 0.0)
    node.leave(4)
    assert node.next_message(4, 0.0) is None
    assert node.counts("move 12") == {}
