"""Reconciliation between real graphs over queues in memory: whatever the order, they end up equal and at rest."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, count

from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtgraph import Graph
from crdtgraph.ids import ReplicaId
from crdtgraph.update import Update, decode_update
from sync.codec import decode_message, encode_message
from sync.gossip import RELAY_BYTES_MAX, Gossip
from sync.limits import PROTOCOL_VERSION, QUEUE_MESSAGES_MAX, Settings
from sync.messages import (
    Delta,
    Ephemeral,
    GossipMessage,
    Hello,
    Keys,
    Peers,
    PlaneSummary,
    Segments,
    Summary,
    Want,
    WantSegments,
)
from tests.sync.replicas import grow, replica

STEPS_MAX = 50_000
PLANE = "ledger"


class Net:
    """Gossip machines and the connections between them: two bounded queues each, read in random order."""

    def __init__(self, *graphs: Graph, seed: int = 0) -> None:
        self.now = 0.0
        self.rng = random.Random(seed)
        self.graphs = graphs
        self.nodes = [Gossip(graph, Settings(), random.Random(n), 0.0) for n, graph in enumerate(graphs)]
        self.links: dict[int, tuple[int, int]] = {}
        self.wires: dict[tuple[int, int], deque[GossipMessage]] = {}
        self.window = 4
        """Messages that fit on a wire before its writer has to wait."""
        self.sent: list[tuple[int, int, GossipMessage]] = []
        self._numbers = count(1)
        for place, graph in enumerate(graphs):
            graph.on_durable(lambda delta, place=place: self.nodes[place].push(delta))

    def connect(self, a: int, b: int) -> int:
        number = next(self._numbers)
        self.links[number] = (a, b)
        for here, there in ((a, b), (b, a)):
            self.wires[number, there] = deque()
            self.nodes[here].join(number, self.hello(there), lambda: None)
        return number

    def cut(self, number: int) -> None:
        for place in self.links.pop(number):
            del self.wires[number, place]
            self.nodes[place].leave(number, self.now)

    def hello(self, place: int) -> Hello:
        return Hello(PROTOCOL_VERSION, "test", self.graphs[place].replica_id, bytes([place]) * 16)

    def step(self) -> bool:
        """Let one random writer or reader do one thing; False when nobody has anything to do."""
        moves = [("read", *key) for key, wire in self.wires.items() if wire]
        for number, (a, b) in self.links.items():
            moves += [
                ("write", number, to)
                for by, to in ((a, b), (b, a))
                if len(self.wires[number, to]) < self.window and not self.nodes[by].peers[number].outbox.is_empty
            ]
        if not moves:
            return False
        kind, number, place = self.rng.choice(moves)
        other = sum(self.links[number]) - place
        if kind == "read":
            message = self.wires[number, place].popleft()
            self.nodes[place].receive(number, message, self.now)
        else:
            written = self.nodes[other].next_message(number)
            if written is not None:
                # Through the codec, so that what is said is what may be said.
                self.wires[number, place].append(decode_message(encode_message(written)))  # type: ignore[arg-type]
                self.sent.append((other, place, written))
        return True

    def rest(self) -> int:
        """Run until nobody has anything to say; returns the steps it took."""
        for steps in range(STEPS_MAX):
            if not self.step():
                return steps
        raise AssertionError("no rest: somebody talks for ever")

    def round(self) -> None:
        """The anti-entropy timers of all nodes go off."""
        self.now += 15
        for node in self.nodes:
            node.tick(self.now)
        self.rest()

    def count(self, kind: type, by: int | None = None) -> int:
        return sum(isinstance(message, kind) and by in (None, sender) for sender, _, message in self.sent)

    @property
    def alarms(self) -> int:
        return sum(node.alarms.total for node in self.nodes)

    def check_equal(self) -> None:
        assert len({graph.digest() for graph in self.graphs}) == 1
        assert len({graph.set_digest(PLANE) for graph in self.graphs}) == 1
        assert not any(len(node.wants) for node in self.nodes)
        assert self.alarms == 0


def net(names: str, seed: int = 0) -> Net:
    return Net(*(replica(name) for name in names), seed=seed)


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


topologies = st.sampled_from(["line", "ring", "clique", "star"])


def edges(topology: str, size: int) -> Iterator[tuple[int, int]]:
    if topology == "clique":
        yield from combinations(range(size), 2)
    elif topology == "star":
        yield from ((0, place) for place in range(1, size))
    else:
        yield from ((place, place + 1) for place in range(size - 1))
        if topology == "ring" and size > 2:
            yield size - 1, 0


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


def test_a_peer_that_wants_again_gets_only_the_newer_answer() -> None:
    world = net("ab")
    grow(world.graphs[0], 3)
    number = world.connect(0, 1)
    node = world.nodes[0]
    for _ in range(3):
        node.receive(number, Want(PLANE, {}), 0.0)
    said = list(iter(lambda: node.next_message(number), None))
    assert [message.last for message in said if isinstance(message, Delta)] == [True]


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
