"""Count, mean and deviation of values that come one by one and are not kept.

Welford's method (Technometrics 4, 1962), which loses no digits where a sum of squares would; two tallies are joined
as Chan, Golub and LeVeque describe (1979). A tally is as large after a thousand million values as after one.
"""

from __future__ import annotations

from math import sqrt


class Tally:
    """What is known of some numbers: `count`, `total`, `mean`, `greatest`, and how much they scatter."""

    __slots__ = ("_squares", "count", "greatest", "mean", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total: float = 0
        """Exact for integers, however many."""
        self.mean = 0.0
        self.greatest = 0.0
        self._squares = 0.0

    def add(self, value: float) -> None:
        """Take in one value, which is not negative."""
        self.count += 1
        self.total += value
        off = value - self.mean
        self.mean += off / self.count
        self._squares += off * (value - self.mean)
        if value > self.greatest:
            self.greatest = value

    def join(self, other: Tally) -> None:
        """Take in all that another tally has seen."""
        count = self.count + other.count
        if not other.count:
            return
        off = other.mean - self.mean
        self._squares += other._squares + off * off * self.count * other.count / count
        self.mean += off * other.count / count
        self.total += other.total
        self.count = count
        self.greatest = max(self.greatest, other.greatest)

    @property
    def deviation(self) -> float:
        """The standard deviation of exactly these values (of the population, not an estimate from a sample)."""
        return sqrt(self._squares / self.count) if self.count else 0.0

    @property
    def jitter(self) -> float | None:
        """Standard deviation / mean; None while there is nothing to divide by."""
        return self.deviation / self.mean if self.mean else None
