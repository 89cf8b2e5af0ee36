"""Simulated time, and what will happen at which point of it.

Time stands still as long as any task can run. When none can, trio asks its clock how long to sleep; this clock does not
sleep but jumps: to the next deadline of a task, or to the next entry of the agenda, which is then made right there. So
bytes move through the virtual network without any task of theirs. (trio's own `MockClock` would need one more turn of
the scheduler for every jump, and a task for the agenda, which is two more.)

Entries of one moment happen in the order in which they were made, and before the deadlines of that moment, so a run
does not depend on anything but its seed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from math import inf

import trio


class Agenda(trio.abc.Clock):
    """Timed calls, and the clock of the `trio.run` in which they happen.

    `before_jump` is called whenever no task can run and time is about to move: what holds then held until now.
    `is_idle` says whether no task can run; whoever cannot know says False, and trio looks after each entry.
    """

    def __init__(self) -> None:
        self.before_jump: Callable[[], object] = list
        self.is_idle: Callable[[], bool] = bool
        self._now = 0.0
        self._entries: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = count()

    def at(self, when: float, call: Callable[[], object]) -> None:
        """Call `call` at a simulated time; if that is past, as soon as no task can run."""
        heapq.heappush(self._entries, (when, next(self._numbers), call))

    def start_clock(self) -> None:
        """See `trio.abc.Clock`."""

    def current_time(self) -> float:
        """Simulated seconds since the beginning."""
        return self._now

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Jump to what comes next, and do not sleep; trio calls this when no task can run."""
        entries = self._entries
        while entries and entries[0][0] <= deadline:
            self._jump(entries[0][0])
            while entries and entries[0][0] <= self._now:
                heapq.heappop(entries)[2]()
            if not self.is_idle():
                return 0.0
        if deadline == inf:
            return inf
        self._jump(deadline)
        return 0.0

    def _jump(self, when: float) -> None:
        if when > self._now:
            self.before_jump()
            self._now = when
