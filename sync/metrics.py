"""How long things take in a node: requests on its control socket, and how long records wait until the disk has them.

What the graph below does is measured by the graph itself, if it was opened with a meter (`crdtgraph.metering`, where
the histograms are too). Nothing here is on the path of a commit in the program's own process. A card tells other
members of the last half to whole minute.
"""

from __future__ import annotations

from enum import StrEnum

from crdtgraph.metering.series import SECOND_NS, Period, Series, Summary
from sync.protocol.cards import TimingCard

NS_PER_US = 1_000


class Timed(StrEnum):
    """What is timed."""

    COMMIT = "commit"
    """A commit that was asked for on the control socket, until its answer."""
    COMMIT_MANY = "commit_many"
    """The same for many in one request."""
    DURABLE = "durable"
    """From the first record in the buffer until the disk has all of it and peers may."""


class Metrics:
    """All timings of one node. Times are seconds, from the origin that all calls use."""

    def __init__(self) -> None:
        self._series: dict[Timed, Series] = {}

    def record(self, what: Timed, seconds: float, now: float) -> None:
        """Note that something took so many seconds and is over now."""
        if what not in self._series:
            self._series[what] = Series(what.value, _ns(now))
        self._series[what].record(_ns(seconds), _ns(now))

    def series(self) -> list[Series]:
        """What has happened since the start, by name."""
        return [self._series[what] for what in sorted(self._series)]

    def summaries(self, now: float) -> tuple[TimingCard, ...]:
        """What has happened lately, by name. About 0.4 ms each."""
        found = (each.summary(Period.RECENT, _ns(now)) for each in self.series())
        return tuple(_card(each) for each in found if each.count)


def _card(summary: Summary) -> TimingCard:
    times = (max(1, round(each / NS_PER_US)) for each in (summary.p50_ns, summary.p99_ns, summary.max_ns))
    return TimingCard(summary.name, summary.count, *times)


def _ns(seconds: float) -> int:
    return round(seconds * SECOND_NS)
