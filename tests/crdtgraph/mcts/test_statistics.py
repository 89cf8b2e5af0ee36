"""What is read of counters, whoever counted."""

from __future__ import annotations

import pytest

from crdtgraph.mcts import Statistics


@pytest.mark.parametrize("vector", [(), (0,), (0, 5), (-5, 3_000_000, -5_000_000)])
def test_totals_without_visits_are_nothing(vector: tuple[int, ...]) -> None:
    """A writer counts less than nothing, or a discarded node's counts go one writer after the other."""
    assert Statistics.of(vector) == Statistics()


def test_missing_sums_are_zero_and_further_ones_are_somebody_elses() -> None:
    assert Statistics.of((3,)) == Statistics(3)
    assert Statistics.of((3, -1, 2, 9)) == Statistics(3, -1, 2)
