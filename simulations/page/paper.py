"""The sheet that everything is drawn on: where a second lies, which seconds are written at the axis, and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10

WIDTH = 1200.0
LEFT = 64.0
"""Of the plot; the names of the machines are before it."""
RIGHT = 1090.0
"""Of the plot; the digests in the end are behind it."""
TICKS_MAX = 12


@dataclass(frozen=True, slots=True)
class Tick:
    """A second that is written at the axis."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The simulated time from 0 to `end_s`."""

    end_s: float

    def x(self, at_s: float) -> float:
        """Where a second lies; what is after the end lies at the end."""
        share = min(max(at_s, 0.0), self.end_s) / self.end_s if self.end_s > 0 else 0.0
        return round(LEFT + share * (RIGHT - LEFT), 1)

    def ticks(self) -> Iterator[Tick]:
        """At most a dozen round seconds."""
        if self.end_s <= 0:
            yield Tick(LEFT, "0")
            return
        rough = self.end_s / TICKS_MAX
        magnitude = 10.0 ** floor(log10(rough))
        step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= rough)
        yield from (Tick(self.x(count * step), f"{count * step:,.10g}") for count in range(int(self.end_s / step) + 1))


def seconds(value: float) -> str:
    """A time with as many digits as people want to read."""
    if 0 < value < 1:
        return f"{value * 1000:.3g} ms"
    if value >= 100:
        return f"{value:,.0f} s"
    return f"{value:.1f} s" if value >= 10 else f"{value:.3g} s"


def size(count: int) -> str:
    """A number of bytes in the unit that suits it."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count} B" if unit == "B" else f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
