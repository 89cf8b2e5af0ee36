"""Simulations in flight: newest wins, silence expires, and they find their way through lines and rings of nodes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from contextlib import suppress

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.ids import CommitId, ReplicaId
from sync.inflightcodec import TOPIC, VERSION, InFlightState, decode_inflight, encode_inflight
from sync.inflightexchange import InFlightExchange
from sync.limits import (
    INFLIGHT_COMMITS_MAX,
    INFLIGHT_COUNT_MAX,
    INFLIGHT_EXPIRY_S,
    INFLIGHT_HOPS_MAX,
    INFLIGHT_REPEAT_S,
    INFLIGHT_STATES_MAX,
)
from sync.packing import RemoteMessageError, pack
from sync.topics import Topics
from tests.sync.replicas import replica
from tests.sync.test_node_in_memory import memory_nodes, settle

EVERY_S = 0.02
STATE = InFlightState("move 12", 77, 5, 1, 40, {CommitId(bytes([7] * 32)): 3, CommitId(bytes([9] * 32)): 300})


def commit(number: int) -> CommitId:
    return CommitId(hashlib.sha256(b"%d" % number).digest())


class Net:
    """Exchanges with the links between them; a message takes a hundredth of a second."""

    def __init__(self, count: int, links: list[tuple[int, int]]) -> None:
        self.now = 0.0
        self.nodes = [InFlightExchange(number, EVERY_S, self.are_linked) for number in range(count)]
        self.links: list[tuple[int, int]] = []
        self.sent = 0
        for a, b in links:
            self.connect(a, b)

    def are_linked(self, a: int, b: int) -> bool:
        return (a, b) in self.links or (b, a) in self.links

    def connect(self, a: int, b: int) -> None:
        self.links.append((a, b))
        self.nodes[a].join(b, lambda: None)
        self.nodes[b].join(a, lambda: None)

    def cut(self, a: int, b: int) -> None:
        self.links.remove((a, b))
        self.nodes[a].leave(b)
        self.nodes[b].leave(a)

    def publish(self, number: int, counts: Mapping[CommitId, int]) -> None:
        self.nodes[number].publish("s", counts, self.now)

    def run(self, seconds: float, silent: tuple[int, ...] = ()) -> None:
        end = self.now + seconds
        while self.now < end:
            for here, there in [pair for link in self.links for pair in (link, link[::-1])]:
                while here not in silent and (message := self.nodes[here].next_message(there, self.now)) is not None:
                    self.sent += 1
                    self.nodes[there].receive(here, message.payload, self.now)
            self.now += 0.01
            for number, node in enumerate(self.nodes):
                if number not in silent and node.deadline <= self.now:
                    node.tick(self.now)


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


# --- laws


@given(sequences=st.permutations(range(8)), repeats=st.lists(st.integers(0, 7), max_size=20))
def test_in_any_order_and_with_any_repetition_the_newest_state_counts(sequences: list[int], repeats: list[int]) -> None:
    node = InFlightExchange(0, EVERY_S)
    node.join(1, lambda: None)
    for sequence in [*sequences, *repeats]:
        state = InFlightState("s", 5, sequence, 0, 0, {commit(sequence): 1})
        node.receive(1, encode_inflight(state), 0.0)
    assert node.counts("s") == {commit(7): 1}


@given(
    seed=st.integers(0, 1 << 30),
    count=st.integers(2, 6),
    changes=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.floats(0, 2)), max_size=25),
)
def test_after_the_last_word_and_the_expiry_nothing_is_in_flight_whatever_was_lost(
    seed: int, count: int, changes: list[tuple[int, int, float]]
) -> None:
    """Any graph of nodes; messages are kept back, lost and repeated at will; then everyone falls silent."""
    rng = random.Random(seed)
    links = [(a, b) for a in range(count) for b in range(a) if rng.random() < 0.6]
    net = Net(count, links)
    held: list[tuple[int, int, bytes]] = []
    for writer, what, seconds in changes:
        net.publish(writer % count, {commit(what): 1 + what})
        net.now += seconds
        for here, there in [pair for link in links for pair in (link, link[::-1])]:
            while (message := net.nodes[here].next_message(there, net.now)) is not None:
                held.append((here, there, message.payload))
        rng.shuffle(held)
        for here, there, payload in held[: rng.randrange(len(held) + 1)]:
            net.nodes[there].receive(here, payload, net.now)
        held = [each for each in held if rng.random() < 0.5]
        for node in net.nodes:
            node.tick(net.now)
    net.now += INFLIGHT_EXPIRY_S
    for number, node in enumerate(net.nodes):
        node.publish("s", {}, net.now)
        node.tick(net.now)
        assert node.counts("s") == {}, number


@given(
    seed=st.integers(0, 1 << 30),
    changes=st.lists(st.tuples(st.integers(0, 4), st.dictionaries(st.integers(0, 5), st.integers(1, 9))), max_size=12),
)
def test_a_connected_net_agrees_on_the_last_state_of_every_writer(
    seed: int, changes: list[tuple[int, dict[int, int]]]
) -> None:
    rng = random.Random(seed)
    tree = [(number, rng.randrange(number)) for number in range(1, 5)]
    net = Net(5, sorted({*tree, *((a, b) for a in range(5) for b in range(a) if rng.random() < 0.3)}))
    last: dict[int, dict[CommitId, int]] = {}
    for writer, counts in changes:
        last[writer] = {commit(each): count for each, count in counts.items()}
        net.publish(writer, last[writer])
        net.run(rng.choice([0.0, 0.01, 0.05]))
    net.run(0.5)
    for number, node in enumerate(net.nodes):
        assert node.by_writer("s") == {
            writer: counts for writer, counts in sorted(last.items()) if counts and writer != number
        }


# --- bytes


def test_the_bytes_of_a_state_are_pinned() -> None:
    assert encode_inflight(STATE).hex() == (
        "9801a76d6f7665203132" + "4d" + "05" + "01" + "28" + "c440" + "07" * 32 + "09" * 32 + "9203cd012c"
    )
    assert decode_inflight(encode_inflight(STATE)) == STATE


@given(
    st.dictionaries(st.binary(min_size=32, max_size=32), st.integers(1, INFLIGHT_COUNT_MAX), max_size=30),
    st.text(max_size=30),
    st.integers(0, (1 << 53) - 1),
    st.integers(0, (1 << 63) - 1),
)
def test_a_state_survives_the_wire(counts: dict[bytes, int], search: str, writer: int, sequence: int) -> None:
    try:
        search.encode()
    except UnicodeEncodeError:
        return
    state = InFlightState(search, writer, sequence, 3, 7, {CommitId(each): count for each, count in counts.items()})
    assert decode_inflight(encode_inflight(state)) == state


def test_a_cut_payload_or_one_with_more_behind_it_is_refused() -> None:
    whole = encode_inflight(STATE)
    for length in range(len(whole)):
        with pytest.raises(RemoteMessageError):
            decode_inflight(whole[:length])
    with pytest.raises(RemoteMessageError):
        decode_inflight(whole + b"\0")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_a_mistake_of_the_peer(payload: bytes) -> None:
    with suppress(RemoteMessageError):
        decode_inflight(payload)


GOOD: list[object] = [VERSION, "s", 1, 1, 0, 0, bytes([1] * 32 + [2] * 32), [1, 2]]


@pytest.mark.parametrize(
    "place, value",
    [
        (0, 0), (0, True), (0, "1"), (1, b"s"), (1, "x" * 129), (2, -1), (2, 1 << 53), (2, True), (3, -1), (3, 1 << 63),
        (4, INFLIGHT_HOPS_MAX + 1), (5, -1), (5, 0.0), (5, 1 << 40),
        (6, "x"), (6, bytes(63)), (6, bytes([2] * 32 + [1] * 32)), (6, bytes([1] * 64)),
        (7, [1]), (7, [1, 0]), (7, [1, -1]), (7, [1, INFLIGHT_COUNT_MAX + 1]), (7, [1, 1.0]), (7, [1, True]), (7, None),
    ],
)  # fmt: skip
def test_a_field_that_is_wrong_is_the_peers_mistake(place: int, value: object) -> None:
    row = [*GOOD]
    assert decode_inflight(pack(row)) is not None
    row[place] = value
    with pytest.raises(RemoteMessageError):
        decode_inflight(pack(row))


def test_a_later_version_is_passed_by() -> None:
    node = InFlightExchange(0, EVERY_S)
    node.join(1, lambda: None)
    node.receive(1, pack([VERSION + 1, "whatever", {"may": "come"}]), 0.0)
    assert node.refused == 1


# --- topics


def test_a_topic_has_any_number_of_subscribers_who_may_leave() -> None:
    heard: list[str] = []
    topics = Topics(lambda sender, topic, payload: heard.append(f"all {topic}"))
    sender = ReplicaId(bytes(16))
    end = topics.subscribe("a", lambda *_: heard.append("first"))
    topics.subscribe("a", lambda *_: end())
    topics.subscribe("a", lambda *_: heard.append("second"))
    topics.receive(sender, "a", b"")
    topics.receive(sender, "a", b"")
    topics.receive(sender, "b", b"")
    end()
    assert heard == ["all a", "first", "second", "all a", "second", "all b"]


# --- nodes


async def test_nodes_in_a_line_share_what_is_in_flight(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        a, b, c = replica("a"), replica("b"), replica("c")
        first = await start(a)
        middle = await start(b, "a:1")
        last = await start(c, "b:1")
        await settle()
        heard: list[tuple[int, dict[CommitId, int]]] = []
        end = last.inflight.subscribe("s", lambda writer, counts: heard.append((writer, dict(counts))))
        first.inflight.publish("s", {commit(1): 3})
        await settle(0.1)
        assert middle.inflight.counts("s") == last.inflight.counts("s") == {commit(1): 3}
        await settle(3 * INFLIGHT_EXPIRY_S)
        assert last.inflight.counts("s") == {commit(1): 3}
        first.inflight.publish("s", {})
        await settle(0.1)
        assert last.inflight.counts("s") == {}
        assert heard == [(a.writer, {commit(1): 3}), (a.writer, {})]
        end()
        first.inflight.publish("s", {commit(2): 1})
        await settle(0.1)
        assert len(heard) == 2


async def test_trees_beside_nodes_share_what_they_have_in_flight(autojump_clock: trio.testing.MockClock) -> None:
    class Tree:
        def __init__(self) -> None:
            self.own: dict[CommitId, int] = {}
            self.others: dict[str, Mapping[CommitId, int]] = {}

        def inflight(self) -> dict[CommitId, int]:
            return dict(self.own)

        def set_remote_inflight(self, source: str, flying: Mapping[CommitId, int]) -> None:
            self.others[source] = flying

    async with memory_nodes() as (_network, start):
        a, b = replica("a"), replica("b")
        first, second = await start(a), await start(b, "a:1")
        ours, theirs = Tree(), Tree()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.inflight.share, "s", theirs)
            scope = trio.CancelScope()

            async def share() -> None:
                with scope:
                    await first.inflight.share("s", ours)

            nursery.start_soon(share)
            await settle()
            ours.own, theirs.own = {commit(1): 2}, {commit(1): 1, commit(3): 4}
            await settle(0.1)
            assert theirs.others == {f"{a.writer:x}": {commit(1): 2}}
            assert ours.others == {f"{b.writer:x}": {commit(1): 1, commit(3): 4}}
            scope.cancel()
            await settle(0.1)
            assert theirs.others == {f"{a.writer:x}": {}}
            assert ours.others == {f"{b.writer:x}": {}}, "nobody tells it any more"
            nursery.cancel_scope.cancel()


async def test_a_peer_that_sends_nonsense_on_the_topic_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        first = await start(replica("a"))
        second = await start(replica("b"), "a:1")
        await settle()
        [before] = first.connections
        second.broadcast(TOPIC, b"nonsense")
        await settle()
        assert before not in first.connections


async def test_a_node_has_subscribers_by_topic(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        first = await start(replica("a"))
        second = await start(replica("b"), "a:1")
        await settle()
        heard: list[tuple[str, bytes]] = []
        first.topics.subscribe("presence", lambda _, topic, payload: heard.append((topic, payload)))
        second.broadcast("presence", b"here")
        second.broadcast("other", b"there")
        await settle(0.1)
        assert heard == [("presence", b"here")]
