"""The statistics against plain Python, and what is forgotten when."""

from __future__ import annotations

from itertools import groupby
from math import ceil
from statistics import fmean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.metering import Period, Series, Tally
from crdtgraph.metering.series import HALF_NS, LONGEST_NS, WINDOW_NS, Buckets

durations = st.lists(st.integers(1, 10**10), min_size=1, max_size=200)
NEARLY = {"rel": 1e-9, "abs": 1e-9}


def series_of(values: list[int]) -> Series:
    series = Series("x", 0)
    for value in values:
        series.record(value, 0)
    return series


@given(durations, durations)
def test_a_tally_agrees_with_plain_sums_also_when_two_are_joined(one: list[int], two: list[int]) -> None:
    first, second = Tally(), Tally()
    for value in one:
        first.add(value)
    for value in two:
        second.add(value)
    first.join(second)
    both = one + two
    assert (first.count, first.total, first.greatest) == (len(both), sum(both), max(both))
    assert first.mean == pytest.approx(fmean(both), **NEARLY)
    assert first.deviation == pytest.approx(pstdev(both), rel=1e-6, abs=1e-3)
    assert first.jitter == pytest.approx(pstdev(both) / fmean(both), rel=1e-6, abs=1e-9)


def test_an_empty_tally_has_no_jitter_and_joining_it_changes_nothing() -> None:
    tally = Tally()
    assert (tally.jitter, tally.deviation) == (None, 0.0)
    tally.join(Tally())
    assert tally.jitter is None
    tally.add(3)
    tally.join(Tally())
    assert (tally.count, tally.mean, tally.jitter) == (1, 3.0, 0.0)


@given(durations)
def test_quantiles_are_the_nearest_ranks_to_within_a_hundredth_and_the_rest_is_exact(values: list[int]) -> None:
    found = series_of(values).summary(Period.TOTAL, 0)
    ordered = sorted(values)
    for percent, quantile in ((50, found.p50_ns), (95, found.p95_ns), (99, found.p99_ns), (99.9, found.p999_ns)):
        exact = ordered[ceil(len(ordered) * percent / 100 - 1e-9) - 1]
        assert exact <= quantile <= exact * 1.01
    assert (found.count, found.total_ns, found.max_ns) == (len(values), sum(values), max(values))
    assert found.mean_ns == pytest.approx(fmean(values), **NEARLY)
    assert found.jitter == pytest.approx(pstdev(values) / fmean(values), rel=1e-6, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 5 * WINDOW_NS), st.integers(1, 10**9)), min_size=1, max_size=100))
def test_windowed_jitter_is_that_of_the_means_of_the_windows_that_are_over(steps: list[tuple[int, int]]) -> None:
    series, now, events = Series("x", 0), 0, []
    for pause, value in steps:
        now += pause
        series.record(value, now)
        events.append((now // WINDOW_NS, value))
    for later in (now, now + WINDOW_NS):
        over = [event for event in events if event[0] < later // WINDOW_NS]
        means = [fmean(value for _, value in group) for _, group in groupby(over, key=lambda event: event[0])]
        found = series.summary(Period.TOTAL, later)
        assert found.windows == len(means)
        expected = pstdev(means) / fmean(means) if means else None
        assert found.windowed_jitter == (None if expected is None else pytest.approx(expected, rel=1e-6, abs=1e-9))


@given(st.lists(st.tuples(st.integers(0, 2 * HALF_NS), st.integers(1, 10**9)), min_size=1, max_size=40))
def test_the_total_is_of_all_there_was_and_the_recent_of_the_present_half_and_the_one_before(
    steps: list[tuple[int, int]],
) -> None:
    series, now, events = Series("x", 0), 0, []
    for pause, value in steps:
        now += pause
        series.record(value, now)
        events.append((now // HALF_NS, value))
    total, recent = series.summary(Period.TOTAL, now), series.summary(Period.RECENT, now)
    assert (total.count, total.total_ns) == (len(events), sum(value for _, value in events))
    latest = [value for half, value in events if half >= now // HALF_NS - 1]
    assert (recent.count, recent.max_ns) == (len(latest), max(latest))
    assert series.summary(Period.RECENT, now + 2 * HALF_NS).count == 0
    assert series.summary(Period.TOTAL, now + 9 * HALF_NS).count == len(events)


@given(durations)
def test_counts_up_to_bounds_grow_and_are_right_but_for_a_hundredth(values: list[int]) -> None:
    bounds = tuple(10**exponent for exponent in range(12))
    found = series_of(values).buckets(bounds, 0)
    assert (found.count, found.total_ns) == (len(values), sum(values))
    assert list(found.up_to) == sorted(found.up_to)
    for bound, count in zip(bounds, found.up_to, strict=True):
        assert sum(value <= bound for value in values) <= count <= sum(value <= bound * 1.01 for value in values)


@pytest.mark.parametrize("given_ns, counted_ns", [(0, 1), (-5, 1), (LONGEST_NS + 1, LONGEST_NS)])
def test_what_is_out_of_range_counts_as_the_nearest_that_is_in_it(given_ns: int, counted_ns: int) -> None:
    assert series_of([given_ns]).summary(Period.TOTAL, 0).max_ns == counted_ns


def test_nothing_yet_is_all_zero() -> None:
    found = Series("x", 7).summary(Period.TOTAL, 7)
    assert (found.count, found.p999_ns, found.max_ns, found.windows) == (0, 0, 0, 0)
    assert found.jitter is found.windowed_jitter is None
    assert Series("x", 7).buckets((1, 2), 7) == Buckets((0, 0), 0, 0)


def test_what_is_recorded_a_little_late_is_not_lost() -> None:
    series = Series("x", 0)
    series.record(10, 5 * WINDOW_NS)
    series.record(30, 4 * WINDOW_NS)
    found = series.summary(Period.TOTAL, 6 * WINDOW_NS)
    assert (found.count, found.windows, found.windowed_jitter) == (2, 1, 0.0)
