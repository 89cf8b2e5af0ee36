"""One direction of the path between two hosts: what all connections over it share.

Bytes take latency and jitter, queue for bandwidth, and are held back while the path is cut.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import trio

from .agenda import Agenda


@dataclass(frozen=True, slots=True, kw_only=True)
class WireProperties:
    """One direction of a path. `fragmentation` is the share of reads that give fewer bytes than there are."""

    latency_s: float = 0.001
    jitter_s: float = 0.0
    bytes_per_s: float = 100e6
    window_bytes: int = 256 << 10
    fragmentation: float = 0.3


class Wire:
    """The path from one host to another; a cut one holds everything back until it is healed."""

    def __init__(self, agenda: Agenda, rng: random.Random, properties: WireProperties) -> None:
        self.agenda = agenda
        self.rng = rng
        self.properties = properties
        self.is_cut = False
        self._on_heal: list[Callable[[], None]] = []
        self._free_at = 0.0

    def cut(self) -> None:
        """From now on nothing arrives."""
        self.is_cut = True

    def heal(self) -> None:
        """What was held back arrives after one more latency: it has to be sent again."""
        if self.is_cut:
            self.is_cut = False
            waiting, self._on_heal = self._on_heal, []
            for call in waiting:
                call()

    def on_heal(self, call: Callable[[], None]) -> None:
        """Call once when the cut is over."""
        self._on_heal.append(call)

    def arrival(self, size: int) -> float:
        """When so many bytes that go off now are there; takes up bandwidth."""
        self._free_at = max(self._free_at, trio.current_time()) + size / self.properties.bytes_per_s
        return self._free_at + self.delay_s()

    def delay_s(self) -> float:
        """Latency with jitter."""
        return self.properties.latency_s + self.properties.jitter_s * self.rng.random()
