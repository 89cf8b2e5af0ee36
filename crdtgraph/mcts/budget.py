"""When a search ends: after so many iterations, at a time, or when its best move has settled."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from crdtgraph.errors import LocalError
from crdtgraph.mcts.statistics import FLOAT_MAX


class Stop(Enum):
    """Why a run ended."""

    ITERATIONS = "iterations"
    TIME = "time"
    CONVERGED = "converged"
    PROVEN = "proven"
    """Nothing more can be learnt: what the root is worth is certain."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may take; it ends at whichever limit it meets first, and at least one must be given.

    Args:
        iterations: so many, those of this run alone.
        seconds: by the clock that the run is given.
        stable: end when the best move has been the same for so many iterations ...
        margin: ... and has led the second by this share of the root's visits all the while, 0 to 1.
    """

    iterations: int | None = None
    seconds: float | None = None
    stable: int | None = None
    margin: float = 0.1

    def __post_init__(self) -> None:
        for name in ("iterations", "stable"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise LocalError(f"a budget of {value!r:.80} {name}", hint="an integer, at least 1: so many iterations")
        seconds = self.seconds
        if seconds is not None and (type(seconds) not in (int, float) or not 0 < seconds <= FLOAT_MAX):
            raise LocalError(f"a budget of {seconds!r:.80} seconds", hint="a time is a finite number above 0")
        if type(self.margin) not in (int, float) or not 0 <= self.margin <= 1:
            raise LocalError(f"a margin of {self.margin!r:.80}", hint="it is a share of the root's visits, 0 to 1")
        if self.iterations is None and seconds is None and self.stable is None:
            raise LocalError(
                "a budget without any limit would never end",
                hint="give iterations, seconds, stable, or several of them",
            )

    @classmethod
    def of(cls, budget: Budget | int) -> Budget:
        """A budget, or one of so many iterations."""
        if isinstance(budget, cls):
            return budget
        if type(budget) is not int:
            raise LocalError(f"{budget!r:.80} is no budget", hint="a number of iterations, or Budget(seconds=10)")
        return cls(iterations=budget)


@dataclass(frozen=True, slots=True)
class Spent:
    """How a run went: `iterations`, how many of them `seconds` took, and why it ended."""

    iterations: int
    seconds: float
    stop: Stop


class Meter:
    """Measures a run against its budget. `start` and the times given later are seconds of one clock."""

    def __init__(self, budget: Budget, start: float) -> None:
        self._budget = budget
        self._start = start
        self.iterations = 0
        self._leader: object = None
        self._leading_since = 0

    def left(self) -> int | None:
        """How many iterations may still begin, None without such a limit."""
        limit = self._budget.iterations
        return None if limit is None else limit - self.iterations

    def watches_leader(self) -> bool:
        """Whether `note_leader` is of interest."""
        return self._budget.stable is not None

    def note_leader(self, leader: object, lead: float) -> None:
        """Who leads at the root now, by this share of its visits."""
        if leader is None or leader != self._leader or lead < self._budget.margin:
            self._leader, self._leading_since = leader, self.iterations

    def stop(self, now: float) -> Stop | None:
        """Why to end now, None to go on."""
        budget = self._budget
        if budget.iterations is not None and self.iterations >= budget.iterations:
            return Stop.ITERATIONS
        if budget.seconds is not None and now - self._start >= budget.seconds:
            return Stop.TIME
        if budget.stable is not None and self.iterations - self._leading_since >= budget.stable:
            return Stop.CONVERGED if self._leader is not None else None
        return None

    def spent(self, now: float, stop: Stop) -> Spent:
        """The run so far."""
        return Spent(self.iterations, now - self._start, stop)
