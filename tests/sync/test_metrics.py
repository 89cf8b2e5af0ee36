"""Durations as histograms of the last while."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.metrics import Metrics, Timed
from sync.protocol.cards import TimingCard

WINDOW_S = 30.0
LONGEST_US = 3_600_000_000


def summary(metrics: Metrics, now: float, what: Timed = Timed.COMMIT) -> TimingCard | None:
    return next((each for each in metrics.summaries(now) if each.name == what.value), None)


@given(st.lists(st.integers(1, 10_000_000), min_size=1, max_size=300))
def test_quantiles_are_those_of_the_values_within_a_hundredth(values_us: list[int]) -> None:
    metrics = Metrics()
    for value in values_us:
        metrics.record(Timed.COMMIT, value / 1e6, 0.0)
    found = summary(metrics, 1.0)
    assert found is not None
    ordered = sorted(values_us)
    assert found.count == len(ordered)
    assert found.p50_us == pytest.approx(ordered[(len(ordered) - 1) // 2], rel=0.011)
    assert found.p99_us == pytest.approx(ordered[-(-len(ordered) * 99 // 100) - 1], rel=0.011)
    assert found.longest_us == pytest.approx(ordered[-1], rel=0.011)


def test_what_is_long_past_is_forgotten_and_what_is_recent_is_not() -> None:
    metrics = Metrics()
    metrics.record(Timed.COMMIT, 0.5, 0.0)
    metrics.record(Timed.COMMIT, 0.001, WINDOW_S - 1)
    found = [summary(metrics, at) for at in (WINDOW_S - 0.1, 2 * WINDOW_S - 0.1)]
    assert [each.count for each in found if each is not None] == [2, 2]
    assert summary(metrics, 2 * WINDOW_S + 0.1) is None
    metrics.record(Timed.COMMIT, 0.002, 10 * WINDOW_S)
    after = summary(metrics, 10 * WINDOW_S)
    assert after is not None
    assert after.count == 1


@pytest.mark.parametrize("seconds, microseconds", [(0.0, 1), (-1.0, 1), (1e9, LONGEST_US)])
def test_values_out_of_range_count_as_the_nearest_that_is_in_it(seconds: float, microseconds: int) -> None:
    metrics = Metrics()
    metrics.record(Timed.DURABLE, seconds, 0.0)
    found = summary(metrics, 0.0, Timed.DURABLE)
    assert found is not None
    assert (found.count, found.p99_us) == (1, pytest.approx(microseconds, rel=0.01))


def test_timings_are_apart_and_in_order() -> None:
    metrics = Metrics()
    assert metrics.summaries(0.0) == ()
    metrics.record(Timed.DURABLE, 0.1, 0.0)
    metrics.record(Timed.COMMIT, 0.2, 0.0)
    assert [(each.name, each.count) for each in metrics.summaries(0.0)] == [("commit", 1), ("durable", 1)]
