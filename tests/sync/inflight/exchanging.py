"""Exchanges of what is in flight, with the links between them, and one state of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from crdtgraph.ids import CommitId
from sync.protocol.inflightcodec import InFlightState
from sync.protocol.inflightexchange import InFlightExchange

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
