"""One direction of the path between two hosts: what all connections over it share.

Bytes take latency and jitter, queue for bandwidth, and are held back while the path is cut.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Annotated

import msgspec
import trio

from simulations.agenda import Agenda


class WireProperties(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One direction of a path. `fragmentation` is the share of reads that give fewer bytes than there are.

    After such a read the next gives the rest.
    """

    latency_s: Annotated[float, msgspec.Meta(ge=0)] = 0.001
    jitter_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    bytes_per_s: Annotated[float, msgspec.Meta(gt=0)] = 100e6
    window_bytes: Annotated[int, msgspec.Meta(ge=1)] = 256 << 10
    fragmentation: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.3


class Wire:
    """The path from one host to another; a cut one holds everything back until all its cuts are healed."""

    def __init__(self, agenda: Agenda, rng: random.Random, properties: WireProperties) -> None:
        self.agenda = agenda
        self.rng = rng
        self.properties = properties
        self.bytes_sent = 0
        self._cuts = 0
        self._on_heal: list[Callable[[], None]] = []
        self._free_at = 0.0

    @property
    def is_cut(self) -> bool:
        """Whether nothing arrives."""
        return self._cuts > 0

    @property
    def backlog_s(self) -> float:
        """How long what was sent so far still keeps the path from carrying anything else."""
        return max(0.0, self._free_at - trio.current_time())

    def cut(self) -> None:
        """From now on nothing arrives."""
        self._cuts += 1

    def heal(self) -> None:
        """One cut is over. After the last, what was held back arrives one latency later: it has to be sent again."""
        if self._cuts:
            self._cuts -= 1
            if not self._cuts:
                waiting, self._on_heal = self._on_heal, []
                for call in waiting:
                    call()

    def on_heal(self, call: Callable[[], None]) -> None:
        """Call once when the cut is over."""
        self._on_heal.append(call)

    def arrival(self, size: int) -> float:
        """When so many bytes that go off now are there; takes up bandwidth."""
        self.bytes_sent += size
        self._free_at = max(self._free_at, trio.current_time()) + size / self.properties.bytes_per_s
        return self._free_at + self.delay_s()

    def delay_s(self) -> float:
        """Latency with jitter."""
        return self.properties.latency_s + self.properties.jitter_s * self.rng.random()
