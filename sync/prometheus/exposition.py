"""A node's numbers as Prometheus reads them: text of the format 0.0.4, made by its own Python client.

The client's registry and its threads are not used: the numbers are looked up when somebody asks.
https://prometheus.io/docs/instrumenting/exposition_formats
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from crdtgraph.metering import Period, Summary
from crdtgraph.metering.series import SECOND_NS
from sync.prometheus.measures import PREFIX, Measure, measures
from sync.prometheus.timings import BOUNDS_S, Histogram, histograms, summaries

if TYPE_CHECKING:
    from sync.node import Node

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(node: Node) -> bytes:
    """Everything as of now; about 1 ms for each series that something happened in."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(measures(node), histograms(node), summaries(node, Period.RECENT)))
    return generate_latest(registry)


class _Collected:
    """What a registry collects: numbers that are there already."""

    def __init__(self, numbers: list[Measure], times: list[Histogram], recent: list[Summary]) -> None:
        self._numbers = numbers
        self._times = times
        self._recent = recent

    def collect(self) -> Iterable[Metric]:
        yield from _numbers(self._numbers)
        yield from _histograms(self._times)
        yield from _steadiness(self._recent)


def _numbers(numbers: list[Measure]) -> Iterator[Metric]:
    families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
    for each in numbers:
        name, labels = PREFIX + each.name, [*each.labels]
        if name not in families:
            kind = CounterMetricFamily if each.is_counter else GaugeMetricFamily
            families[name] = kind(name, each.text, labels=labels)
        families[name].add_metric([*each.labels.values()], each.value)
    yield from families.values()


def _histograms(times: list[Histogram]) -> Iterator[Metric]:
    bounds = [*map(repr, BOUNDS_S), "+Inf"]
    families: dict[str, HistogramMetricFamily] = {}
    for each in times:
        name = f"{PREFIX}{each.family.name}_seconds"
        if name not in families:
            families[name] = HistogramMetricFamily(name, each.family.text, labels=[*each.labels])
        counts = [*each.buckets.up_to, each.buckets.count]
        families[name].add_metric(
            [*each.labels.values()],
            [(bound, float(count)) for bound, count in zip(bounds, counts, strict=True)],
            each.buckets.total_ns / SECOND_NS,
        )
    yield from families.values()


def _steadiness(recent: list[Summary]) -> Iterator[Metric]:
    """What cannot be had from buckets: the longest, and the deviation."""
    longest = GaugeMetricFamily(
        f"{PREFIX}longest_seconds", "The longest of the last half to whole minute.", labels=["of"]
    )
    jitter = GaugeMetricFamily(
        f"{PREFIX}jitter_ratio",
        "Standard deviation / mean of the last half to whole minute, of values and of means of 100 ms windows.",
        labels=["of", "over"],
    )
    for each in recent:
        longest.add_metric([each.name], each.max_ns / SECOND_NS)
        for over, value in (("values", each.jitter), ("windows", each.windowed_jitter)):
            if value is not None:
                jitter.add_metric([each.name, over], value)
    yield longest
    yield jitter
