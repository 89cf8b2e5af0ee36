"""How long things take in a node, lately: a few histograms that cost 3 us a value and no more memory with time.

Values go into histograms with two significant digits (HdrHistogram, Gil Tene, https://hdrhistogram.org), one for the
present window of time and one for the last, which are read together: so a summary is of the last half to whole minute,
and a spike is forgotten after that. Nothing here is on the path of a commit in the program's own process; what is timed
is what the node sees: requests on its control socket, and how long records wait until the disk has them.
"""

from __future__ import annotations

from enum import StrEnum

from hdrh.histogram import HdrHistogram

from sync.cards import TimingCard

WINDOW_S = 30.0
LONGEST_US = 3_600_000_000
"""An hour; what takes longer counts as that."""
DIGITS = 2


class Timed(StrEnum):
    """What is timed."""

    COMMIT = "commit"
    """A commit that was asked for on the control socket, until its answer."""
    COMMIT_MANY = "commit_many"
    """The same for many in one request."""
    DURABLE = "durable"
    """From the first record in the buffer until the disk has all of it and peers may."""


class Timing:
    """The durations of one thing."""

    def __init__(self, now: float) -> None:
        self._present, self._last = _empty(), _empty()
        self._turned_at = now

    def record(self, seconds: float, now: float) -> None:
        """Note that it took so long just now."""
        self._turn(now)
        self._present.record_value(min(max(round(seconds * 1e6), 1), LONGEST_US))

    def summary(self, name: str, now: float) -> TimingCard | None:
        """What it took lately; None if it has not happened."""
        self._turn(now)
        both = _empty()
        both.add(self._present)
        both.add(self._last)
        if not both.total_count:
            return None
        at = both.get_percentile_to_value_dict([50, 99])
        return TimingCard(name, both.total_count, at[50], at[99], both.get_max_value())

    def _turn(self, now: float) -> None:
        windows = int((now - self._turned_at) / WINDOW_S)
        if windows > 0:
            self._last = self._present if windows == 1 else _empty()
            self._present = _empty()
            self._turned_at += windows * WINDOW_S


class Metrics:
    """All timings of one node."""

    def __init__(self) -> None:
        self._timings: dict[Timed, Timing] = {}

    def record(self, what: Timed, seconds: float, now: float) -> None:
        """Note that something took so many seconds and is over now."""
        if what not in self._timings:
            self._timings[what] = Timing(now)
        self._timings[what].record(seconds, now)

    def summaries(self, now: float) -> tuple[TimingCard, ...]:
        """What has happened lately, by name. About 0.4 ms each."""
        found = (self._timings[what].summary(what.value, now) for what in sorted(self._timings))
        return tuple(each for each in found if each is not None)


def _empty() -> HdrHistogram:
    return HdrHistogram(1, LONGEST_US, DIGITS)
