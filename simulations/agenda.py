"""What will happen at which simulated time: the one task that moves bytes through the virtual network.

Entries of one moment happen in the order in which they were made, so a run does not depend on anything but its seed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count

import trio


class Agenda:
    """Timed calls. `run` must be running as a task while they are to happen."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._sooner = trio.Event()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Call `call` at a time of trio's clock; at once, but not from here, if that is past."""
        heapq.heappush(self._entries, (when, next(self._numbers), call))
        if self._entries[0][0] == when:
            self._sooner.set()

    async def run(self) -> None:
        """Make the calls, for ever."""
        while True:
            self._sooner = trio.Event()
            if not self._entries:
                await self._sooner.wait()
            elif self._entries[0][0] > trio.current_time():
                with trio.move_on_at(self._entries[0][0]):
                    await self._sooner.wait()
            else:
                await trio.lowlevel.checkpoint()
            now = trio.current_time()
            while self._entries and self._entries[0][0] <= now:
                heapq.heappop(self._entries)[2]()
