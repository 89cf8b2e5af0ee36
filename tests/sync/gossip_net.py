"""Gossip machines over queues in memory, for the tests of gossip: nets of any shape, run until they are at rest."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from itertools import combinations, count

from hypothesis import strategies as st

from crdtgraph import Graph
from sync.protocol.codec import decode_message, encode_message
from sync.protocol.gossip import Gossip
from sync.protocol.limits import PROTOCOL_VERSION, Settings
from sync.protocol.messages import GossipMessage, Hello
from tests.sync.replicas import replica

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
