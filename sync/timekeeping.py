"""Calling sans-IO machines when their time has come, and leaving time to others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import trio
from trio.testing import wait_all_tasks_blocked

TURN_MOST = 4
"""A computation beside a node that has more to do than there is time for keeps a fifth of it."""


class Ticking(Protocol):
    """A machine that wants to be called at a certain time."""

    @property
    def deadline(self) -> float:
        """When `tick` has to be called next."""

    def tick(self, now: float) -> None:
        """Do what is due."""


class Turns:
    """To be awaited between the slices of a long computation: all other tasks of the thread run until they are done.

        await tree.run_async(Budget(seconds=60), sync.Turns())

    A single checkpoint lets each task take one step only, and to read, check, fold and pass on what a peer sends takes
    a dozen: a node beside a computation that gives way like that falls behind its peers, further and further. So one
    turn lasts until nothing can run any more, but no longer than `TURN_MOST` times the slice before it.
    """

    def __init__(self) -> None:
        self._since = trio.current_time()

    async def __call__(self) -> None:
        """Let others run."""
        began = trio.current_time()
        # Not only for tests, where trio has it: it asks the loop itself whether anything can run or has come in.
        until = began + TURN_MOST * (began - self._since)
        with trio.move_on_at(until):
            await wait_all_tasks_blocked()
        self._since = trio.current_time()


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
