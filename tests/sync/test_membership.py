"""Member cards between machines over queues in memory: whatever the order, all end with the same table and at rest."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from itertools import combinations, count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.ids import ReplicaId
from sync.protocol.cards import Card, LinkCard, PlaneCard
from sync.protocol.codec import decode_message, encode_message
from sync.protocol.limits import (
    CARD_IDLE_ROUNDS,
    CARD_SPACING_S,
    CARDS_BYTES,
    Settings,
)
from sync.protocol.membership import NUMBER_CEILING, Membership, card_bytes, rank
from sync.protocol.messages import Cards, Census, HeldCard, MemberMessage

STEPS_MAX = 100_000
ROUND_S = Settings().anti_entropy_s
START_US = 1_700_000_000_000_000


def replica_of(place: int) -> ReplicaId:
    return ReplicaId(bytes([place]) * 16)


def card(place: int, number: int, *, nonce: int = 0, links: Sequence[int] = (), **changes: object) -> Card:
    facts: dict[str, object] = {
        "replica": replica_of(place),
        "nonce": bytes([nonce]) * 16,
        "number": number,
        "name": f"n{place}",
        "version": "1",
        "protocol": 2,
        "addresses": (),
        "started_us": 0,
        "issued_us": number,
        "leaving": False,
        "store_bytes": None,
        "refs": 0,
        "conflicted_refs": 0,
        "buffered": 0,
        "alarms_total": 0,
        "links": tuple(LinkCard(replica_of(other), "", "open", True, 0, 0, 0) for other in links),
    }
    return Card(**(facts | changes))  # type: ignore[arg-type]


class Node:
    """One machine's membership, with what its card says."""

    def __init__(self, place: int, now: float, *, clock_us: int = START_US, nonce: int = 1) -> None:
        self.place = place
        self.now = now
        self.refs = 0
        self.links: dict[int, int] = {}
        self.began = now
        self.made: list[int] = []
        self.table = Membership(
            replica_of(place),
            bytes([nonce]) * 16,
            make=lambda number, leaving: self.make(number, leaving, nonce),
            now_us=lambda: clock_us + round((self.now - self.began) * 1e6),
            settings=Settings(),
            rng=random.Random(place),
            now=now,
        )

    def make(self, number: int, leaving: bool, nonce: int) -> Card:
        self.made.append(number)
        links = [*self.links.values()]
        return card(self.place, number, nonce=nonce, links=links, leaving=leaving, refs=self.refs)


class Net:
    """Machines and the wires between them, read and written in random order."""

    def __init__(self, places: int, seed: int = 0) -> None:
        self.now = 0.0
        self.rng = random.Random(seed)
        self.nodes = [Node(place, 0.0) for place in range(places)]
        self.ends: dict[int, tuple[int, int]] = {}
        self.wires: dict[tuple[int, int], deque[MemberMessage]] = {}
        self.sent: list[tuple[int, int, MemberMessage]] = []
        self._numbers = count(1)

    def connect(self, a: int, b: int) -> int:
        number = next(self._numbers)
        self.ends[number] = (a, b)
        for here, there in ((a, b), (b, a)):
            self.wires[number, there] = deque()
            self.nodes[here].links[number] = there
            self.nodes[here].table.join(number, replica_of(there), lambda: None, self.now)
        return number

    def cut(self, number: int) -> None:
        for place in self.ends.pop(number):
            del self.wires[number, place]
            del self.nodes[place].links[number]
            self.nodes[place].table.leave(number, self.now)

    def kill(self, place: int) -> None:
        for number in [number for number, ends in self.ends.items() if place in ends]:
            self.cut(number)

    def restart(self, place: int, *, clock_us: int) -> None:
        self.kill(place)
        self.nodes[place] = Node(place, self.now, clock_us=clock_us, nonce=2)

    def step(self) -> bool:
        moves = [key for key, wire in self.wires.items() if wire]
        for number, place in self.rng.sample(sorted(self.wires), len(self.wires)):
            by = sum(self.ends[number]) - place
            if len(self.wires[number, place]) < 3:
                message = self.nodes[by].table.next_message(number, self.now)
                if message is not None:
                    self.wires[number, place].append(decode_message(encode_message(message)))  # type: ignore[arg-type]
                    self.sent.append((by, place, message))
                    return True
        if not moves:
            return False
        number, place = self.rng.choice(moves)
        self.nodes[place].table.receive(number, self.wires[number, place].popleft(), self.now)
        return True

    def rest(self) -> None:
        for _ in range(STEPS_MAX):
            if not self.step():
                return
        raise AssertionError("no rest: somebody talks for ever")

    def run(self, seconds: float) -> None:
        """Let time pass, with everybody's deadlines kept."""
        end = self.now + seconds
        self.rest()
        while (due := min(node.table.deadline for node in self.nodes)) <= end:
            self.now = max(self.now, due)
            for node in self.nodes:
                node.now = self.now
                if node.table.deadline <= self.now:
                    node.table.tick(self.now)
            self.rest()
        self.now = end
        for node in self.nodes:
            node.now = end

    def known(self, place: int) -> dict[int, int]:
        """place -> card number, as one machine knows them."""
        return {replica[0]: member.card.number for replica, member in self.nodes[place].table.members.items()}

    def check_equal(self, *places: int) -> None:
        """These machines know each other by their latest cards."""
        for here in places:
            assert {there: self.known(here).get(there) for there in places} == {
                there: self.nodes[there].made[-1] for there in places
            }

    def bytes_sent(self) -> int:
        return sum(len(encode_message(message)) for _, _, message in self.sent)


def lone(**options: int) -> Node:
    """One machine with one peer, number 1, whose messages a test makes up."""
    node = Node(0, 0.0, **options)
    node.table.join(1, replica_of(1), lambda: None, 0.0)
    return node


def tell(node: Node, *cards: Card, age_ms: int = 0, now: float = 0.0, by: int = 1) -> None:
    node.table.receive(by, Cards(tuple(HeldCard(each, age_ms) for each in cards)), now)


def said(node: Node, to: int, now: float = 0.0) -> list[MemberMessage]:
    found = []
    while (message := node.table.next_message(to, now)) is not None:
        found.append(message)
    return found


def told_cards(node: Node, to: int, now: float = 0.0) -> list[Card]:
    return [held.card for message in said(node, to, now) if isinstance(message, Cards) for held in message.cards]


# --- laws


cards_of_few = st.lists(
    st.builds(card, st.integers(1, 4), st.integers(0, 5), nonce=st.integers(0, 2)), min_size=1, max_size=12
)


@given(cards_of_few, st.data())
def test_any_order_and_any_repetition_of_cards_ends_in_the_same_table(cards: list[Card], data: st.DataObject) -> None:
    tables = []
    for order in (cards, data.draw(st.permutations(cards * 2))):
        node = lone()
        for each in order:
            tell(node, each)
        tables.append({replica: rank(member.card) for replica, member in node.table.members.items()})
    assert tables[0] == tables[1]


@given(st.integers(2, 6), st.integers(0, 1 << 30), st.data())
def test_connected_members_end_with_each_others_latest_cards_and_at_rest(
    places: int, seed: int, data: st.DataObject
) -> None:
    net = Net(places, seed)
    pairs = list(combinations(range(places), 2))
    line = [(place, place + 1) for place in range(places - 1)]
    for pair in [*line, *data.draw(st.lists(st.sampled_from(pairs), unique=True))]:
        net.connect(*pair)
        for _ in range(data.draw(st.integers(0, 20))):
            net.step()
    net.run(1.0)
    net.check_equal(*range(places))


@given(st.integers(0, 1 << 30))
def test_no_card_crosses_a_link_twice_in_one_direction(seed: int) -> None:
    net = Net(4, seed)
    for pair in combinations(range(4), 2):
        net.connect(*pair)
    net.run(5 * ROUND_S)
    crossings = [
        (by, to, rank(held.card), held.card.replica)
        for by, to, message in net.sent
        if isinstance(message, Cards)
        for held in message.cards
    ]
    assert len(set(crossings)) == len(crossings)
    assert not [each for each in crossings if each[3] == replica_of(each[1])]


# --- pace


def test_members_of_whom_there_is_nothing_new_are_nearly_silent() -> None:
    net = Net(3)
    net.connect(0, 1)
    net.connect(1, 2)
    net.run(1.0)
    net.sent.clear()
    made = sum(len(node.made) for node in net.nodes)
    net.run(ROUND_S * CARD_IDLE_ROUNDS * 10)
    cards = sum(len(message.cards) for _, _, message in net.sent if isinstance(message, Cards))
    # Each card crosses both links once.
    assert 3 * 8 * 2 <= cards <= 3 * 10 * 1.34 * 2
    assert sum(len(node.made) for node in net.nodes) - made > cards / 2, "a round looks at what a card would say"


def test_what_is_new_is_told_in_the_next_round_and_not_before() -> None:
    net = Net(2)
    net.connect(0, 1)
    net.run(1.0)
    net.nodes[0].refs = 7
    net.run(1.0)
    assert net.nodes[1].table.members[replica_of(0)].card.refs == 0
    net.run(1.25 * ROUND_S)
    assert net.nodes[1].table.members[replica_of(0)].card.refs == 7


def test_a_node_that_is_asked_again_and_again_answers_at_its_own_pace() -> None:
    node = lone()
    for number in range(1_000):
        node.now = number / 100
        node.table.receive(1, Census(bytes(16), number), node.now)
        if node.table.deadline <= node.now:
            node.table.tick(node.now)
    assert 10 / CARD_SPACING_S * 0.9 <= len(node.made) <= 10 / CARD_SPACING_S + 3


def test_a_look_at_what_changed_issues_nothing_if_nothing_did() -> None:
    net = Net(2)
    net.connect(0, 1)
    net.run(1.0)
    before = net.known(1)[0]
    net.nodes[0].table.review_soon(net.now)
    net.run(1.0)
    assert net.known(1)[0] == before
    net.nodes[0].refs = 5
    net.nodes[0].table.review_soon(net.now)
    net.run(1.0)
    assert net.known(1)[0] > before


def test_a_slow_peer_gets_the_latest_card_and_no_other() -> None:
    node = lone()
    node.table.join(2, replica_of(2), lambda: None, 0.0)
    for number in range(500):
        tell(node, card(3, number))
    assert [each.number for each in told_cards(node, to=2) if each.replica == replica_of(3)] == [499]
    assert told_cards(node, to=2) == []


def test_many_cards_go_in_several_messages() -> None:
    node = lone()
    tell(node, *(card(place, 1, links=range(5)) for place in range(3, 100)))
    node.table.join(2, replica_of(2), lambda: None, 0.0)
    messages = [message for message in said(node, to=2) if isinstance(message, Cards)]
    largest = max(sum(card_bytes(held.card) for held in message.cards) for message in messages)
    assert CARDS_BYTES <= largest < 1.5 * CARDS_BYTES
    assert sum(len(message.cards) for message in messages) == 97


def test_the_estimate_of_a_cards_size_is_about_right() -> None:
    vector = {(n << 40) + 12_345: 1_000 * n for n in range(1, 21)}
    plane = PlaneCard("ledger", bytes(32), bytes(32), 40_000, 40_000, 0, 12, 300, 0, sum(vector.values()), vector)
    for each in (card(1, START_US), card(1, START_US, links=range(20)), card(1, START_US, planes=(plane,))):
        real = len(encode_message(Cards((HeldCard(each, 1_000),))))
        assert 0.7 * real < card_bytes(each) < 2 * real


# --- restarts


@pytest.mark.parametrize("slow_us", [0, 3_600_000_000, START_US])
def test_a_node_that_restarts_with_a_slow_clock_is_believed_as_soon_as_it_heard_of_its_past(slow_us: int) -> None:
    net = Net(3)
    net.connect(0, 1)
    net.connect(1, 2)
    net.run(1.0)
    net.restart(0, clock_us=START_US - slow_us)
    net.run(1.0)
    assert net.nodes[2].table.members[replica_of(0)].card.nonce == bytes([1]) * 16, "the last that is known of it"
    net.connect(0, 1)
    net.run(1.0)
    net.check_equal(0, 1, 2)
    assert net.nodes[2].table.members[replica_of(0)].card.nonce == bytes([2]) * 16


@pytest.mark.parametrize("is_late", [False, True])
def test_a_restarted_node_hears_of_its_past_however_late_that_arrives(is_late: bool) -> None:
    net = Net(3)
    net.connect(0, 1)
    net.run(1.0)
    net.restart(0, clock_us=START_US - 10**9)
    net.connect(0, 2)
    net.run(1.0 if is_late else 0.0)
    net.connect(1, 2)
    net.run(1.0)
    net.check_equal(0, 1, 2)
    assert net.nodes[1].table.members[replica_of(0)].card.nonce == bytes([2]) * 16


def test_what_others_say_of_us_raises_our_number_and_nothing_else() -> None:
    node = lone()
    before = node.table.members[replica_of(0)]
    tell(node, card(0, START_US + 10**12, nonce=9, refs=99))
    assert node.table.members[replica_of(0)] == before
    node.now = node.table.deadline
    node.table.tick(node.now)
    own = node.table.members[replica_of(0)].card
    assert own.number == START_US + 10**12 + 1
    assert own.refs == 0


def test_a_made_up_number_does_not_use_up_all_numbers() -> None:
    node = lone()
    for _ in range(3):
        tell(node, card(0, (1 << 63) - 1, nonce=9))
        node.now = node.table.deadline
        node.table.tick(node.now)
    assert node.made[-1] == NUMBER_CEILING + 3
    encode_message(Cards((HeldCard(node.table.members[replica_of(0)].card, 0),)))
