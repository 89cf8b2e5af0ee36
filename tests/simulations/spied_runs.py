"""Runs of a scenario, and what was seen of them: lines of the trace, samples of machines, and what a spy tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from simulations.clock import SimClock
from simulations.observer import NodeSample, Observation
from simulations.runner import Outcome
from simulations.scenario import Scenario


@dataclass
class Spy:
    """What neither the trace nor the observer tells."""

    drops: int = 0
    """How often a queue of pushed news was dropped."""
    clocks_s: dict[SimClock, float] = field(default_factory=dict)
    """How far each wall clock was ahead when it was last read."""


@dataclass
class Run:
    """One run and what was seen of it."""

    outcome: Outcome
    seen: Observation
    spy: Spy

    @property
    def scenario(self) -> Scenario:
        return self.outcome.scenario

    def at(self, name: str, at_s: float) -> NodeSample:
        """What a machine showed at a time."""
        return [sample for sample in self.seen.samples[name] if sample.at_s <= at_s][-1]

    def commits(self, name: str, at_s: float) -> int:
        return self.at(name, at_s).commits

    def lines(self, *words: str, after_s: float = 0.0, before_s: float = float("inf")) -> list[str]:
        """The events that have all these words."""
        return [
            line
            for line in self.outcome.lines
            if all(word in line for word in words) and after_s <= time_of(line) <= before_s
        ]

    def agree_sometime(self, names: Iterable[str], from_s: float, to_s: float) -> bool:
        """Whether these machines were one at some moment in between."""
        times = {sample.at_s for name in names for sample in self.seen.samples[name] if from_s <= sample.at_s <= to_s}
        return any(len({self.at(name, at_s).digest for name in names}) == 1 for at_s in times)


def time_of(line: str) -> float:
    return float(line.split()[0])
