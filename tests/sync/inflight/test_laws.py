"""Laws of what is in flight: whatever is reordered, repeated or lost, the last word counts, and silence ends it."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.ids import CommitId
from sync.protocol.inflightcodec import InFlightState, encode_inflight
from sync.protocol.inflightexchange import InFlightExchange
from sync.protocol.limits import INFLIGHT_EXPIRY_S
from tests.sync.inflight.exchanging import EVERY_S, Net, commit


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
