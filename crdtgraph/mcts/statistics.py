"""What is counted of a node: how often it was visited, the sum of its values and of their squares.

These three integers are the counters of a commit in a search, so they are sums over all writers and come to the same
on every replica. Values are fixed point, 1e-6, seen from the player who moved *into* the node: whoever chooses between
children takes the greatest mean. Simulations that are under way are not in them, because a writer that crashed would
leave its own there for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from sys import float_info
from typing import NamedTuple

UNIT = 1_000_000
"""One, in fixed point."""
FLOAT_MAX = float_info.max
"""Of a constant that is given: there is no calculating with integers beyond and floats."""


class Statistics(NamedTuple):
    """The counters of one node: `visits`, and sums in fixed point of the values and of their squares."""

    visits: int = 0
    value: int = 0
    squared: int = 0

    @classmethod
    def of(cls, vector: Sequence[int]) -> Statistics:
        """Read a vector of counters, which has no trailing zeros; what else is in it is left out.

        Totals without visits are nothing: anybody may count less than nothing, and what was counted of a discarded node
        goes writer by writer.
        """
        return cls(*vector[:3]) if vector and vector[0] > 0 else cls()

    @property
    def mean(self) -> float:
        """The mean value; 0 without visits."""
        return self.value / (self.visits * UNIT) if self.visits else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of the values; 0 without visits."""
        if not self.visits:
            return 0.0
        return sqrt(max(0.0, self.squared / (self.visits * UNIT) - self.mean**2))

    def plus(self, other: Statistics) -> Statistics:
        """The sums of both."""
        return Statistics(self.visits + other.visits, self.value + other.value, self.squared + other.squared)
