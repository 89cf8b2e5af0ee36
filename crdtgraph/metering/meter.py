"""`Meter`: all series of one graph, and the clock that they are measured by.

The graph has no clock for durations of its own: whoever wants to know brings one, `time.perf_counter_ns` as a rule. All
of it is for the graph's thread; `note` alone may be called from others, where a store waits for the disk.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from crdtgraph.durability import Durability
from crdtgraph.metering.series import Period, Series, Summary

NOTES_MAX = 10_000
"""Notes that nobody has taken in yet; beyond them the oldest are lost. They are taken in at the next record of any
kind, and a write comes from a call that is recorded, so there are seldom more than a few."""


class Timed(StrEnum):
    """What is measured, commits aside (`commit_series`)."""

    FLUSH = "flush"
    """Handing a batch (a full buffer, what a peer sent) to the store, which does not wait for the disk."""
    FSYNC = "fsync"
    """Waiting until the disk has what was written, also as part of a write that is durable on return."""
    BATCH = "batch"
    """One call that commits many."""
    READ = "read"
    """One call that reads commits, ancestry or names."""
    STATE = "state"
    """The state at a commit."""
    APPLY = "apply"
    """Verifying, storing and folding one update of a peer, without the pauses between its steps."""


class Meter:
    """Durations by name.

    Args:
        now_ns: a clock that never goes back, in nanoseconds from any origin.
    """

    def __init__(self, now_ns: Callable[[], int]) -> None:
        self.now_ns = now_ns
        self.syncing_since_ns: int | None = None
        """When the sync began that another thread waits for right now; a disk that hangs shows here alone."""
        self.is_deferred = False
        self._series: dict[str, Series] = {}
        self._notes: deque[tuple[str, int, int]] = deque(maxlen=NOTES_MAX)
        for name in (*map(commit_series, Durability), *(each.value for each in Timed)):
            # All there may be, so that what has not happened yet shows as zero instead of being absent.
            self._series[name] = Series(name, now_ns())

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Count no commit in this block: it is not over at its end, and whoever waits for the rest records it then."""
        self.is_deferred = True
        try:
            yield
        finally:
            self.is_deferred = False

    def record(self, name: str, began_ns: int) -> None:
        """Note that something that began then is over now. About 2 us."""
        now_ns = self.now_ns()
        self.add(name, now_ns - began_ns, now_ns)

    def add(self, name: str, duration_ns: int, now_ns: int) -> None:
        """Note that something took so long in all and is over now."""
        if self._notes:
            self._take_notes()
        self._add(name, duration_ns, now_ns)

    def note(self, name: str, began_ns: int) -> None:
        """`record` for any thread; it counts from the next `record` or summary on."""
        now_ns = self.now_ns()
        self._notes.append((name, now_ns - began_ns, now_ns))

    def series(self) -> list[Series]:
        """Every series, by name."""
        self._take_notes()
        return [self._series[name] for name in sorted(self._series)]

    def summaries(self, period: Period) -> list[Summary]:
        """What everything took, by name; also of what has not happened yet. About 0.4 ms each."""
        now_ns = self.now_ns()
        return [each.summary(period, now_ns) for each in self.series()]

    def _take_notes(self) -> None:
        while self._notes:
            self._add(*self._notes.popleft())

    def _add(self, name: str, duration_ns: int, now_ns: int) -> None:
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = Series(name, now_ns)
        series.record(duration_ns, now_ns)


def commit_series(durability: Durability | str) -> str:
    """The name of the series of commits of one class."""
    return f"commit_{durability.value if isinstance(durability, Durability) else durability}"
