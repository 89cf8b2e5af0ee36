"""Reconciliation between real graphs over queues in memory: whatever the order, they end up equal and at rest."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, count

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtgraph import Graph, RemoteError
from crdtgraph.ids import ReplicaId, SegmentKey
from crdtgraph.union import unite
from crdtgraph.update import Item, Update, decode_update
from sync.alarms import AlarmKind, Alarms
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


def want_in_flight(world: Net, reader: int = 2) -> int:
    """Run until the reader has asked one of two peers, and return which connection it asked on."""
    while (want := world.nodes[reader].wants.get(PLANE)) is None:
        world.step()
    return want.peer


def two_sources() -> Net:
    world = net("abc")
    number = world.connect(0, 1)
    grow(world.graphs[0], 3)
    world.rest()
    world.cut(number)
    world.connect(0, 2)
    world.connect(1, 2)
    return world


def test_only_one_peer_at_a_time_is_asked() -> None:
    world = two_sources()
    world.rest()
    world.check_equal()
    assert world.count(Want, by=2) == 1


def test_a_want_that_nobody_answers_goes_to_another_peer() -> None:
    world = two_sources()
    asked = want_in_flight(world)
    silent, other = (0, 1) if world.links[asked][0] == 0 else (1, 0)
    # The silent one still talks, but it never answers.
    world.nodes[silent].next_message = lambda number: (
        None if number == asked else Gossip.next_message(world.nodes[silent], number)
    )  # type: ignore[method-assign]
    world.nodes[2].peers[asked].outbox.next_message()
    while (want := world.nodes[2].wants.get(PLANE)) is not None and want.peer == asked:
        for _ in range(200):
            world.step()
        world.now += 5
        world.nodes[2].tick(world.now)
    for _ in range(2000):
        world.step()
    assert world.graphs[2].digest() == world.graphs[other].digest()
    assert world.nodes[2].peers[asked].views[PLANE].overdue == 1


def test_a_slow_peer_is_not_asked_to_begin_again() -> None:
    world = net("ab")
    grow(world.graphs[0], 3)
    world.connect(0, 1)
    while not world.count(Want):
        world.step()
    for _ in range(500):
        world.now += 1
        world.nodes[1].tick(world.now)
        assert world.nodes[1].deadline > world.now
    world.rest()
    assert world.count(Want) == 1
    assert [message.last for _, _, message in world.sent if isinstance(message, Delta)] == [True]
    world.check_equal()


def test_every_part_of_an_answer_gives_it_more_time() -> None:
    world = net("ab")
    world.nodes[0] = Gossip(world.graphs[0], Settings(delta_bytes_max=100), random.Random(0), 0.0)
    world.window = 1
    grow(world.graphs[0], 8)
    number = world.connect(0, 1)
    node = world.nodes[1]
    parts = 0
    while world.step():
        if world.count(Delta) > parts:
            parts = world.count(Delta)
            world.now += 6
            node.tick(world.now)
            assert node.peers[number].view(PLANE).overdue == 0
    assert parts == 8
    world.check_equal()


def test_slow_peers_are_asked_once_each_and_settled_with_whoever_answers_first() -> None:
    world = net("abc")
    grow(world.graphs[0], 2)
    for delta in world.graphs[0].deltas(PLANE, {}):
        world.graphs[2].receive(PLANE, delta.update)
    numbers = [world.connect(0, 1), world.connect(2, 1)]
    node = world.nodes[1]
    while any(peer.view(PLANE).told is None for peer in node.peers.values()):
        assert world.step()
    asked: set[int] = set()
    for _ in range(100):
        want = node.wants.get(PLANE)
        assert want is not None
        asked.add(want.peer)
        world.now += 1
        node.tick(world.now)
    assert asked == set(numbers)
    world.rest()
    world.check_equal()
    assert world.count(Want, by=1) == 2
    assert not any(peer.view(PLANE).owed for peer in node.peers.values())


def test_a_peer_lost_in_mid_exchange_frees_its_want() -> None:
    world = two_sources()
    asked = want_in_flight(world)
    world.cut(asked)
    world.rest()
    assert world.graphs[2].digest() == world.graphs[0].digest()
    assert not len(world.nodes[2].wants)


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
    assert node.ignored_planes == 6
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


def clone_of(graph: Graph) -> Graph:
    """A process cloned with its memory: the same key, the same writer number, another future."""
    twin = replica(graph.author)
    assert twin.writer == graph.writer
    return twin


def test_equal_state_vectors_with_different_segments_raise_an_alarm_and_are_mended() -> None:
    """The hazard of a clone: the same number says two things, and no diff can bring both."""
    a, twin, b = replica("a"), clone_of(replica("a")), replica("b")
    grow(a, 2, "original ")
    grow(twin, 2, "clone ")
    b.receive(PLANE, b"".join(delta.update for delta in twin.deltas(PLANE, {})))
    assert a.state_vector(PLANE) == b.state_vector(PLANE)
    world = Net(a, b)
    world.connect(0, 1)
    world.rest()
    kinds = {alarm.kind for node in world.nodes for alarm in node.alarms.standing}
    assert world.alarms > 0
    assert kinds <= {AlarmKind.DIVERGED}
    assert world.count(Keys) >= 2
    assert world.count(Segments) >= 2
    assert a.digest() == b.digest()
    assert len(a) == 4
    # Agreement ends the alarm, and the count of it stays.
    world.round()
    assert not [alarm for node in world.nodes for alarm in node.alarms.standing]


def test_what_only_a_comparison_could_bring_is_relayed_too() -> None:
    a, twin, b, c = replica("a"), clone_of(replica("a")), replica("b"), replica("c")
    grow(a, 2, "original ")
    grow(twin, 2, "clone ")
    update = b"".join(delta.update for delta in twin.deltas(PLANE, {}))
    b.receive(PLANE, update)
    c.receive(PLANE, update)
    world = Net(a, b, c)
    world.connect(0, 1)
    world.connect(1, 2)
    world.rest()
    world.round()
    assert a.digest() == b.digest() == c.digest()


def test_a_summary_that_crossed_an_exchange_is_no_alarm() -> None:
    """Only when both sides are settled with each other's present state may a difference alarm anybody."""
    a = replica("a")
    grow(a, 1)
    world = Net(a)
    node = world.nodes[0]
    node.join(1, world.hello(0), lambda: None)
    told = PlaneSummary(PLANE, b"", b"\x01" * 32, dict(a.state_vector(PLANE)))
    node.receive(1, Summary((told,)), 0.0)
    # It gives us all it has, which is nothing new, and says the same again before it has asked us.
    (nothing,) = a.deltas(PLANE, a.state_vector(PLANE))
    node.receive(1, Delta(PLANE, {}, nothing.update, last=True), 0.0)
    for settled_with in (b"", b"\x02" * 32):
        node.receive(1, Summary((replace(told, settled_with=settled_with),)), 0.0)
        assert node.alarms.total == 0
    node.receive(1, Summary((replace(told, settled_with=a.set_digest(PLANE)),)), 0.0)
    assert [alarm.kind for alarm in node.alarms.standing] == [AlarmKind.DIVERGED]


def hollow(graph: Graph, source: Graph, places: int) -> Graph:
    """Let `graph` be cut off after the first places of a diff from `source`: all of them are of deleted segments."""
    items = [item for delta in source.deltas(PLANE, {}) for item in decode_update(delta.update).items][:places]
    graph.receive(PLANE, Update(tuple(items)).encode())
    assert [each for each in items if each.value is None] == items
    return graph


def compacted(writer: Graph, count: int, *readers: Graph) -> None:
    """A writer's segments, as readers got them before they were joined."""
    grow(writer, count)
    for reader in readers:
        for delta in writer.deltas(PLANE, reader.state_vector(PLANE)):
            reader.receive(PLANE, delta.update)
    writer.compact()


def test_a_hollow_replica_gets_the_records_by_key_from_whoever_has_them_without_an_alarm() -> None:
    """The hazard of a broken-off diff: equal state vectors, other segments, and nobody did anything wrong."""
    a, h, q = replica("a"), replica("h"), replica("q")
    compacted(a, 4, q)
    hollow(h, a, 4)
    assert h.state_vector(PLANE) == q.state_vector(PLANE)
    world = Net(h, q)
    world.connect(0, 1)
    world.rest()
    world.check_equal()
    assert h.holes(PLANE) == []
    assert len(h) == 4
    assert world.count(Keys) == 0
    assert world.count(WantSegments) == 1


def test_a_hollow_replica_that_meets_what_supersedes_asks_for_no_keys() -> None:
    a, h = replica("a"), replica("h")
    compacted(a, 4)
    hollow(h, a, 3)
    world = Net(h, a)
    world.connect(0, 1)
    world.rest()
    world.check_equal()
    assert world.count(WantSegments) == 0


def test_a_hollow_replica_is_served_although_it_has_more_than_its_peer() -> None:
    a, h, q = replica("a"), replica("h"), replica("q")
    compacted(a, 4, q)
    hollow(h, a, 4)
    world = Net(h, q)
    world.connect(0, 1)
    world.rng = random.Random(3)
    # The peer never catches up with what the hollow one writes: its summaries are always of a moment ago.
    while h.holes(PLANE):
        grow(h, 1)
        assert world.step()
    assert len(h) > 4
    world.rest()
    world.check_equal()


@pytest.mark.parametrize("seed", range(5))
def test_replicas_that_are_hollow_in_different_places_fill_each_other(seed: int) -> None:
    a, b, h, i, q = (replica(name) for name in "abhiq")
    compacted(a, 3, i, q)
    compacted(b, 5, h)
    hollow(h, a, 2)
    hollow(i, b, 4)
    hollow(q, b, 5)
    world = Net(h, i, q, seed=seed)
    for pair in combinations(range(3), 2):
        world.connect(*pair)
    world.rest()
    world.check_equal()
    assert not any(graph.holes(PLANE) for graph in world.graphs)
    assert len(h) == 8


def test_many_holes_are_asked_for_in_several_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.gossip.KEYS_PER_MESSAGE", 2)
    a, h, q = replica("a"), replica("h"), replica("q")
    compacted(a, 5, q)
    hollow(h, a, 5)
    world = Net(h, q)
    world.connect(0, 1)
    world.rest()
    world.check_equal()
    assert world.count(WantSegments) == 3


def test_holes_that_nobody_can_fill_are_no_alarm_and_hide_none() -> None:
    a, twin, h, i = replica("a"), clone_of(replica("a")), replica("h"), replica("i")
    lost = replica("lost")
    compacted(lost, 3)
    hollow(h, lost, 3)
    hollow(i, lost, 3)
    grow(i, 1)
    world = Net(h, i)
    number = world.connect(0, 1)
    world.rest()
    world.round()
    world.check_equal()
    assert h.holes(PLANE) == i.holes(PLANE)
    assert len(h.holes(PLANE)) == 3
    world.cut(number)
    for graph, source in ((h, a), (i, twin)):
        grow(source, 1, graph.author)
        for delta in source.deltas(PLANE, {}):
            graph.receive(PLANE, delta.update)
    world.connect(0, 1)
    world.rest()
    assert {alarm.kind for node in world.nodes for alarm in node.alarms.standing} <= {AlarmKind.DIVERGED}
    assert world.alarms > 0
    assert h.digest() == i.digest()


def test_whoever_forges_a_deletion_and_stands_by_it_raises_an_alarm() -> None:
    """Its set is what it gave us, and it says that there is nothing else; but somebody has the segment."""
    a, forger, h, q = replica("a"), replica("f"), replica("h"), replica("q")
    grow(a, 2)
    for delta in a.deltas(PLANE, {}):
        q.receive(PLANE, delta.update)
    places = tuple(Item(SegmentKey(a.writer, seq), None) for seq in range(2))
    forger.receive(PLANE, Update(places).encode())
    grow(forger, 1)
    world = Net(forger, h, q)
    world.nodes[0] = Gossip(Whole(forger), Settings(), random.Random(0), 0.0)  # type: ignore[arg-type]
    world.connect(0, 1)
    world.rest()
    assert len(h.holes(PLANE)) == 2
    world.connect(1, 2)
    world.rest()
    assert h.digest() == q.digest()
    assert len(h) == 3
    assert [alarm.kind for alarm in world.nodes[1].alarms.standing] == [AlarmKind.DIVERGED]
    assert world.nodes[2].alarms.total == 0


class Whole:
    """A graph that does not admit what it lacks, and adopts nothing."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> object:
        return getattr(self._graph, name)

    def holes(self, plane: str) -> list[SegmentKey]:
        return []

    def adopt(self, plane: str, segments: list[bytes]) -> int:
        return 0


def test_every_question_for_segments_is_answered_to_the_end_once() -> None:
    a = replica("a")
    grow(a, 3)
    keys = tuple(a.segment_keys(PLANE))
    world = Net(a)
    node = world.nodes[0]
    node.join(1, world.hello(0), lambda: None)
    node.next_message(1)
    answered: list[Segments] = []
    for asked in (("7-0",), keys, (), keys[:1]):
        node.receive(1, WantSegments(PLANE, asked), 0.0)
        if asked == keys:
            answered += [message for message in [node.next_message(1)] if isinstance(message, Segments)]
    answered += [message for message in iter(lambda: node.next_message(1), None) if isinstance(message, Segments)]
    assert [(len(each.segments), each.last) for each in answered] == [(0, True), (3, True), (0, True), (1, True)]


def test_the_end_of_one_answer_leaves_other_questions_open() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 2)
    keys = tuple(a.segment_keys(PLANE))
    world = Net(b)
    node = world.nodes[0]
    peer = node.join(1, world.hello(0), lambda: None)
    for key in keys:
        node._comparison.ask(peer, PLANE, (key,))
    for key in keys:
        node.receive(1, Segments(PLANE, tuple(a.segments_of(PLANE, key)), last=True), 0.0)
    assert list(b.segment_keys(PLANE)) == list(keys)
    assert peer.view(PLANE).unanswered == 0


class Liar:
    """A graph that claims one more segment than it has."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def __getattr__(self, name: str) -> object:
        return getattr(self._graph, name)

    def state_vector(self, plane: str) -> dict[int, int]:
        vector = dict(self._graph.state_vector(plane))
        return {writer: clock + 1 for writer, clock in vector.items()}

    def set_digest(self, plane: str) -> bytes:
        return bytes(byte ^ 1 for byte in self._graph.set_digest(plane))


def test_a_peer_that_claims_what_it_does_not_give_raises_an_alarm_and_no_endless_loop() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 2)
    grow(b, 1)
    world = Net(a, b)
    world.nodes[0] = Gossip(Liar(a), Settings(), random.Random(0), 0.0)  # type: ignore[arg-type]
    world.connect(0, 1)
    world.rest()
    world.round()
    assert [alarm.kind for alarm in world.nodes[1].alarms.standing] == [AlarmKind.INCOMPLETE]


class Forgetful(Liar):
    """A graph whose projection is wrong."""

    def state_vector(self, plane: str) -> dict[int, int]:
        return dict(self._graph.state_vector(plane))

    def set_digest(self, plane: str) -> bytes:
        return self._graph.set_digest(plane)

    def digest(self, *, plane: str = PLANE) -> bytes:
        return bytes(32)


def test_equal_segments_with_different_projections_raise_an_alarm() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 2)
    reports: list[tuple[str, bool]] = []
    world = Net(a, b)
    world.nodes[0] = Gossip(Forgetful(a), Settings(), random.Random(0), 0.0)  # type: ignore[arg-type]
    alarms = Alarms(lambda alarm, standing: reports.append((alarm.kind, standing)))
    world.nodes[1] = Gossip(b, Settings(), random.Random(0), 0.0, alarms=alarms)
    world.connect(0, 1)
    world.rest()
    assert {alarm.kind for alarm in world.nodes[1].alarms.standing} == {AlarmKind.PROJECTION}
    world.round()
    assert reports == [(AlarmKind.PROJECTION, True)]


def test_records_that_wait_for_their_segment_are_no_disagreement() -> None:
    world = net("ab")
    world.connect(0, 1)
    grow(world.graphs[0], 2)
    world.rest()
    world.graphs[0].commit(message="buffered")
    world.round()
    assert world.alarms == 0


def test_segments_that_nobody_asked_for_are_ignored() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 1)
    world = Net(b)
    world.nodes[0].join(1, world.hello(0), lambda: None)
    (key,) = a.segment_keys(PLANE)
    world.nodes[0].receive(1, Segments(PLANE, tuple(a.segments_of(PLANE, key))), 0.0)
    assert len(b) == 0


def test_a_bad_update_is_the_peers_fault() -> None:
    world = net("ab")
    number = world.connect(0, 1)
    world.rest()
    with pytest.raises(RemoteError):
        world.nodes[0].receive(number, Delta(PLANE, {}, b"nonsense"), 0.0)


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
