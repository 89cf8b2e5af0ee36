"""The durations of a running node: those of its graph, if that has a meter, and its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from crdtgraph.durability import Durability
from crdtgraph.metering import Buckets, Period, Series, Summary, commit_series
from crdtgraph.metering import Timed as Of
from crdtgraph.metering.series import SECOND_NS
from sync.metrics import Timed

if TYPE_CHECKING:
    from sync.node import Node

BOUNDS_S = (
    5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
)  # fmt: skip
"""Of the histograms for Prometheus: from a buffered commit to a disk that hangs."""
BOUNDS_NS = tuple(round(bound * SECOND_NS) for bound in BOUNDS_S)


@dataclass(frozen=True, slots=True)
class Family:
    """What one metric of Prometheus is about; `label` tells apart what stands under one name."""

    name: str
    text: str
    label: str = ""


COMMIT = Family("commit", "A commit in this process, by durability.", "class")
REQUEST = Family("request", "A commit asked for on the control socket, until the answer.", "method")
FAMILIES: Mapping[str, tuple[Family, str]] = {
    **{commit_series(each): (COMMIT, each.value) for each in Durability},
    Of.BATCH: (Family("batch", "Many commits in one call."), ""),
    Of.FLUSH: (Family("flush", "Handing a batch to the store."), ""),
    Of.FSYNC: (Family("fsync", "Waiting until the disk has what was written."), ""),
    Of.READ: (Family("read", "Reading commits, ancestry or names."), ""),
    Of.STATE: (Family("state", "The state at a commit."), ""),
    Of.APPLY: (Family("apply", "Verifying, storing and folding an update of a peer."), ""),
    Timed.COMMIT: (REQUEST, "commit"),
    Timed.COMMIT_MANY: (REQUEST, "commit_many"),
    Timed.DURABLE: (Family("durable", "From a first record in the buffer until the disk has it."), ""),
}
"""Series -> the metric that it is part of, and its label there."""


OTHER = Family("other", "What a program measures under a name of its own.", "name")


@dataclass(frozen=True, slots=True)
class Histogram:
    """A series for Prometheus; the buckets are those of `BOUNDS_S`."""

    family: Family
    labels: Mapping[str, str]
    buckets: Buckets


def summaries(node: Node, period: Period) -> list[Summary]:
    """All series, by name; also of what has not happened yet. About 0.4 ms each that has."""
    return [series.summary(period, now_ns) for series, now_ns in _all(node)]


def histograms(node: Node) -> list[Histogram]:
    """All series since the start, by name."""
    found = []
    for series, now_ns in _all(node):
        family, label = FAMILIES.get(series.name, (OTHER, series.name))
        labels = {family.label: label} if family.label else {}
        found.append(Histogram(family, labels, series.buckets(BOUNDS_NS, now_ns)))
    return found


def _all(node: Node) -> list[tuple[Series, int]]:
    """Every series, by name, with the time by its own clock."""
    now_ns = round(trio.current_time() * SECOND_NS)
    found = [(series, now_ns) for series in node.metrics.series()]
    if (meter := node.graph.meter) is not None:
        found += [(series, meter.now_ns()) for series in meter.series()]
    return sorted(found, key=lambda each: each[0].name)
