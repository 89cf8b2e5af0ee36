"""Stores of objects with links between them, and objects for the tests of fetching."""

from __future__ import annotations

import random
from collections.abc import Callable

from crdtgraph import Reference, StoreError
from crdtgraph.ids import ReplicaId
from crdtgraph.objects import CHUNK_BYTES, Builder, ObjectStore, chunks_of
from crdtgraph.store import open_store
from sync import Settings
from sync.protocol.alarms import Alarms
from sync.protocol.limits import PROTOCOL_VERSION
from sync.protocol.messages import Ephemeral, Hello, ObjectMessage
from sync.protocol.objectfetch import ObjectExchange

SETTINGS = Settings()
LARGE = random.Random(1).randbytes(40 * CHUNK_BYTES + 7)
OTHER = random.Random(2).randbytes(3 * CHUNK_BYTES)


class Side:
    """One node's objects, without a node."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.store = open_store("memory:")
        self.objects = ObjectStore(self.store)
        self.alarms = Alarms()
        self.failures: list[StoreError] = []
        self.exchange = ObjectExchange(self.objects, SETTINGS, self.alarms, failed=self.failures.append)
        self.hello = Hello(PROTOCOL_VERSION, "test", ReplicaId(name.encode() * 16), bytes(16))


class Web:
    """Sides and links between some of them. Messages are handed over in turn; time passes when nothing else does."""

    def __init__(self, *links: str) -> None:
        self.now = 0.0
        self.sides = {name: Side(name) for name in sorted(set("".join(links)))}
        self.links: list[tuple[Side, int, Side, int]] = []
        self.said: list[tuple[str, ObjectMessage | Ephemeral]] = []
        self.mangle: Callable[[str, ObjectMessage | Ephemeral], ObjectMessage | Ephemeral | None] = lambda _, message: (
            message
        )
        for number, link in enumerate(links):
            self.connect(link, number)

    def __getitem__(self, name: str) -> Side:
        return self.sides[name]

    def connect(self, link: str, number: int) -> None:
        a, b = (self.sides[name] for name in link)
        self.links += [(a, number, b, number), (b, number, a, number)]
        for side, peer in ((a, b), (b, a)):
            side.exchange.join(number, peer.hello, lambda: None, self.now)

    def cut(self, number: int) -> None:
        self.links = [link for link in self.links if link[1] != number]
        for side in self.sides.values():
            side.exchange.leave(number, self.now)

    def step(self) -> bool:
        """Hand over a message on each link; whether there was any."""
        moved = False
        for sender, number, receiver, there in [*self.links]:
            message = sender.exchange.next_message(number)
            if message is not None:
                moved = True
                self.said.append((sender.name, message))
                arriving = self.mangle(sender.name, message)
                if arriving is not None:
                    receiver.exchange.receive(there, arriving, self.now)
        for side in self.sides.values():
            if side.exchange.deadline <= self.now:
                moved = True
                side.exchange.tick(self.now)
        return moved

    def run(self, seconds: float = 0.0, steps: int = 10_000) -> None:
        """Until nothing is left to do within so many seconds."""
        end = self.now + seconds
        for _ in range(steps):
            if not self.step():
                following = min(side.exchange.deadline for side in self.sides.values())
                if following > end:
                    return
                self.now = following
        if steps == 10_000:
            raise AssertionError("it never comes to rest")

    def count(self, kind: type, sender: str = "") -> int:
        return sum(isinstance(message, kind) for name, message in self.said if sender in name)


def want(side: Side, data: bytes) -> Reference:
    builder = Builder()
    for chunk in chunks_of(data):
        builder.add(chunk)
    reference = builder.finish()[0]
    side.objects.want([reference])
    side.exchange.look_again(0.0)
    return reference
