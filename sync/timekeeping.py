"""Calling sans-IO machines when their time has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio


class Ticking(Protocol):
    """A machine that wants to be called at a certain time."""

    @property
    def deadline(self) -> float:
        """When `tick` has to be called next."""

    def tick(self, now: float) -> None:
        """Do what is due."""


class Timekeeper:
    """One task that ticks for several machines, in their order."""

    def __init__(self, machines: Sequence[Ticking]) -> None:
        self._machines = machines
        self._moved = trio.Event()
        self.waits_until = 0.0
        """When the next tick is, unless `look` brings it forward."""

    def look(self) -> None:
        """A deadline may have moved."""
        if self._deadline < self.waits_until:
            self._moved.set()

    async def run(self) -> None:
        """Tick for ever."""
        while True:
            self.waits_until = self._deadline
            self._moved = trio.Event()
            with trio.move_on_at(self.waits_until):
                await self._moved.wait()
            now = trio.current_time()
            for machine in self._machines:
                if machine.deadline <= now:
                    machine.tick(now)

    @property
    def _deadline(self) -> float:
        return min(machine.deadline for machine in self._machines)
