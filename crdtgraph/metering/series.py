"""The durations of one thing, in a fixed amount of memory: quantiles, mean, and how steady they are.

Values go into histograms with two significant digits (HdrHistogram, Gil Tene, https://hdrhistogram.org): quantiles are
right to within a hundredth, whatever their size. Count, mean, maximum and deviation are exact (`Tally`).

Steadiness is told twice. *Jitter* is the standard deviation of the values by their mean: one slow call in a thousand
shows. *Windowed jitter* is the same of the means of windows of 100 ms: it shows whether whole stretches are slow, which
is what a user of a search notices. A window without values does not count, and the present one counts once it is over.

Everything is kept for the time since the start, and apart from that for the last half to whole minute, in two halves
that are read together: a spike is forgotten after that.

Time is an argument: nanoseconds of any clock that does not run backwards. Values recorded a little out of order count
into the window that is open.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import accumulate

from hdrh.histogram import HdrHistogram

from crdtgraph.metering.tally import Tally

SECOND_NS = 1_000_000_000
WINDOW_NS = 100_000_000
HALF_NS = 30 * SECOND_NS
"""How long the present half lasts; a whole number of windows."""
LONGEST_NS = 3_600 * SECOND_NS
"""An hour; what takes longer counts as that."""
DIGITS = 2
ROUNDING = 1e-9
"""Of a rank: 99.9 % of 1,000 values are 999 of them, whatever floating point makes of it."""
PERCENTILES = (50.0, 95.0, 99.0, 99.9)


class Period(StrEnum):
    """Of what time a summary is."""

    RECENT = "recent"
    """The last 30 to 60 s."""
    TOTAL = "total"
    """Since the start."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The durations of one thing in one period, in nanoseconds. Without any all are zero.

    `jitter` is standard deviation / mean of the values, `windowed_jitter` that of the means of `windows` windows of
    100 ms; None where there is no value or no window yet.
    """

    name: str
    period: Period
    count: int
    total_ns: int
    mean_ns: float
    p50_ns: int
    p95_ns: int
    p99_ns: int
    p999_ns: int
    max_ns: int
    jitter: float | None
    windows: int
    windowed_jitter: float | None


@dataclass(frozen=True, slots=True)
class Buckets:
    """Values since the start: how many were at most each of some bounds, how many there were, and their sum."""

    up_to: tuple[int, ...]
    count: int
    total_ns: int


class Series:
    """The durations of one thing. About 1.2 us a value, 110 kB."""

    __slots__ = ("_last", "_past", "_present", "_turned_at", "name")

    def __init__(self, name: str, now_ns: int) -> None:
        self.name = name
        self._past, self._last, self._present = _Part(), _Part(), _Part()
        self._turned_at = now_ns - now_ns % WINDOW_NS

    def record(self, duration_ns: int, now_ns: int) -> None:
        """Note that it took so long just now."""
        if now_ns - self._turned_at >= HALF_NS:
            self._turn(now_ns)
        self._present.add(min(max(duration_ns, 1), LONGEST_NS), now_ns // WINDOW_NS)

    def summary(self, period: Period, now_ns: int) -> Summary:
        """What it took, as of now. About 0.4 ms."""
        part = self._joined(period, now_ns)
        values, windows = part.values, part.windows
        p50, p95, p99, p999 = part.quantiles(PERCENTILES)
        return Summary(
            self.name,
            period,
            values.count,
            int(values.total),
            values.mean,
            p50,
            p95,
            p99,
            p999,
            int(values.greatest),
            values.jitter,
            windows.count,
            windows.jitter,
        )

    def buckets(self, bounds_ns: tuple[int, ...], now_ns: int) -> Buckets:
        """What was at most so long, for each of these bounds (ascending), since the start. About 0.3 ms.

        What lies less than a hundredth above a bound may count as at most it.
        """
        part = self._joined(Period.TOTAL, now_ns)
        seen = part.running_counts()
        return Buckets(tuple(seen[place] for place in _places(bounds_ns)), part.values.count, int(part.values.total))

    def _joined(self, period: Period, now_ns: int) -> _Part:
        self._turn(now_ns)
        self._present.close(now_ns // WINDOW_NS)
        joined = _Part()
        for part in (self._last, self._present) if period is Period.RECENT else (self._past, self._last, self._present):
            joined.join(part)
        return joined

    def _turn(self, now_ns: int) -> None:
        halves = (now_ns - self._turned_at) // HALF_NS
        if halves > 0:
            self._present.close(now_ns // WINDOW_NS)
            self._past.join(self._last)
            if halves == 1:
                self._last = self._present
            else:
                self._past.join(self._present)
                self._last = _Part()
            self._present = _Part()
            self._turned_at += halves * HALF_NS


class _Part:
    """The values of a stretch of time."""

    __slots__ = ("_histogram", "_open", "_open_count", "_open_total", "values", "windows")

    def __init__(self) -> None:
        self._histogram = _histogram()
        self.values = Tally()
        self.windows = Tally()
        """The means of the windows that are over."""
        self._open = self._open_count = self._open_total = 0

    def add(self, value: int, window: int) -> None:
        self._histogram.record_value(value)
        self.values.add(value)
        if window > self._open:
            self.close(window)
            self._open = window
        self._open_count += 1
        self._open_total += value

    def close(self, window: int) -> None:
        """Count the open window if it is before this one."""
        if self._open < window and self._open_count:
            self.windows.add(self._open_total / self._open_count)
            self._open_count = self._open_total = 0

    def join(self, other: _Part) -> None:
        if other.values.count:
            self._histogram.add(other._histogram)
            self.values.join(other.values)
            self.windows.join(other.windows)

    def running_counts(self) -> list[int]:
        """How many values there are up to each of the histogram's own buckets."""
        return list(accumulate(self._histogram.counts[:]))

    def quantiles(self, percentiles: Iterable[float]) -> list[int]:
        """The least values that so many percent do not exceed (within a hundredth)."""
        if not self.values.count:
            return [0 for _ in percentiles]
        seen, histogram, answers = self.running_counts(), self._histogram, []
        for percentile in percentiles:
            place = bisect_left(seen, self.values.count * percentile / 100 - ROUNDING)
            most = histogram.get_highest_equivalent_value(histogram.get_value_from_index(place))
            answers.append(min(most, int(self.values.greatest)))
        return answers


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, LONGEST_NS, DIGITS)


@cache
def _places(bounds_ns: tuple[int, ...]) -> tuple[int, ...]:
    """The last of a histogram's own buckets that begins at or below each bound."""
    histogram = _histogram()
    every = range(histogram.counts_len)
    return tuple(bisect_right(every, bound, key=histogram.get_value_from_index) - 1 for bound in bounds_ns)
