"""A hybrid logical clock: stamps that follow wall time and never run backwards.

From Kulkarni et al., "Logical Physical Clocks" (2014). A stamp is one integer, microseconds since the Unix
epoch; the logical counter is folded into it, a second event in one microsecond takes the next one. Stamps of one
writer are strictly increasing even when its wall clock jumps back.

A stamp from elsewhere moves the clock only as far as `DRIFT_US_MAX` beyond the local wall time: a replica whose
clock is hours ahead must not drag everybody's along. Order among concurrent records is a tie-break and never
decides what is kept, so refusing a far stamp costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

DRIFT_US_MAX = 1_000_000
"""One second: more than NTP ever leaves between healthy machines."""


class HybridClock:
    """Stamps for one writer. `now_us` gives wall time in microseconds."""

    __slots__ = ("_now_us", "last")

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self.last = -1

    def tick(self) -> int:
        """A new stamp, greater than every stamp given or witnessed before."""
        now = self._now_us()
        last = self.last + 1
        self.last = stamp = now if now > last else last
        return stamp

    def witness(self, stamp: int) -> bool:
        """Take note of another writer's stamp; False when it lies too far ahead to be followed."""
        if stamp <= self.last:
            return True
        if stamp > self._now_us() + DRIFT_US_MAX:
            return False
        self.last = stamp
        return True

    def restore(self, stamp: int) -> None:
        """Continue after a stamp of an earlier incarnation of this replica, however far ahead it is."""
        self.last = max(self.last, stamp)
