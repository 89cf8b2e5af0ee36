"""How many actions of a node are tried at all."""

from __future__ import annotations

from dataclasses import dataclass

from crdtgraph.errors import LocalError
from crdtgraph.mcts.statistics import FLOAT_MAX


@dataclass(frozen=True, slots=True)
class Widening:
    """Progressive widening: a node that was visited n times has at most `k` n^`alpha` children.

    For problems with more actions than can be tried (Couetoux, Hoock, Sokolovska, Teytaud, Bonnard, "Continuous Upper
    Confidence Trees", 2011). The best by their priors come first.
    """

    k: float = 1.0
    alpha: float = 0.5

    def __post_init__(self) -> None:
        for name, value, most in (("k", self.k, FLOAT_MAX), ("alpha", self.alpha, 1.0)):
            if type(value) not in (int, float) or not 0 < value <= most:
                raise LocalError(
                    f"{name} of progressive widening is {value!r:.80}", hint="k is above 0, alpha above 0 and at most 1"
                )

    def allows(self, children: int, visits: int) -> bool:
        """Whether a node with so many children and visits may have one more."""
        allowed: float = self.k * visits**self.alpha
        return children < max(1.0, allowed)
