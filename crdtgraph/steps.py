"""Long computations in bounded steps: generators that yield every few milliseconds, so that others are served."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

_Result = TypeVar("_Result")
Stepwise = Generator[None, None, _Result]
"""A computation whose steps may be run one by one; it returns its result."""


def run(steps: Stepwise[_Result]) -> _Result:
    """All steps at once, for whoever has nobody else to serve."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: _Result = done.value
            return result
