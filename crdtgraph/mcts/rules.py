"""Which action to try next: UCT, PUCT, and rules of one's own.

    class Greedy:
        def scores(self, node):
            return [mean if visits else 1e9 for mean, visits in zip(node.means, node.visits)]

A rule sees plain numbers (`Numbers`) and gives a score for each; the greatest is taken, of equal ones the first.
Simulations that are under way, here and elsewhere, count as `InFlight` says:

- `WU_UCT`: as visits without a value, n + o in the place of n (Liu, Chen, Yu, Zhai, Zhou, Liu, "Watch the
  Unobserved", ICLR 2020). Writers spread out, and nothing is said about a node's worth that nobody found.
- `VIRTUAL_LOSS`: as visits that were lost (Chaslot, Winands, van den Herik, "Parallel Monte-Carlo Tree Search", 2008).
- `IGNORED`: not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import log, sqrt
from typing import Protocol

from crdtgraph.errors import LocalError
from crdtgraph.mcts.nodes import Edge, Position
from crdtgraph.mcts.statistics import FLOAT_MAX, UNIT

INFINITE = float("inf")


class InFlight(Enum):
    """How simulations that are under way count in the choice."""

    WU_UCT = "wu-uct"
    VIRTUAL_LOSS = "virtual-loss"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Numbers:
    """What a rule sees of a node: one entry a child, and last the best action that nobody tried, if there is one.

    `total` is how often the node was visited, `visits` how often each child was chosen from here, both with those in
    flight; `means` are values from the view of who chooses. A child without visits has the mean of its siblings.
    `priors` sum to 1 over all actions of the node.
    """

    total: int
    visits: Sequence[int]
    means: Sequence[float]
    priors: Sequence[float]


class Rule(Protocol):
    """A rule of selection. It must answer alike for equal numbers."""

    def scores(self, node: Numbers) -> Sequence[float]:
        """A score for each entry, as many as `node.visits` has; the greatest is tried next."""
        ...


@dataclass(frozen=True, slots=True)
class UCT:
    """mean + c sqrt(ln(N + 1) / n), what was never tried first (Kocsis and Szepesvari 2006).

    The default of `c`, the square root of 2, is for rewards between 0 and 1 or -1 and 1 alike.
    """

    c: float = sqrt(2)

    def __post_init__(self) -> None:
        _check_constant("UCT", self.c)

    def scores(self, node: Numbers) -> list[float]:
        """As in `Rule`."""
        scale = self.c * sqrt(log(node.total + 1))
        return [
            mean + scale / sqrt(visits) if visits else INFINITE
            for mean, visits in zip(node.means, node.visits, strict=True)
        ]

    def pick(self, position: Position, edges: Sequence[Edge]) -> Edge:
        """The same choice, for a position with nothing untried and nothing in flight; twice as fast."""
        # A visit at least: nothing times infinity would be no number.
        scale = self.c * UNIT * sqrt(log(position.visits + 1))
        best = edges[0]
        greatest = -INFINITE
        for edge in edges:
            score = edge.child.mean + scale * edge.spread
            if score > greatest:
                greatest = score
                best = edge
        return best


@dataclass(frozen=True, slots=True)
class PUCT:
    """mean + c P sqrt(N) / (1 + n), with priors P (Rosin 2011, in the form of AlphaZero)."""

    c: float = 1.25

    def __post_init__(self) -> None:
        _check_constant("PUCT", self.c)

    def scores(self, node: Numbers) -> list[float]:
        """As in `Rule`."""
        scale = self.c * sqrt(max(node.total, 1))
        return [
            mean + scale * prior / (1 + visits)
            for mean, prior, visits in zip(node.means, node.priors, node.visits, strict=True)
        ]


class Chooser:
    """A rule applied to positions.

    Args:
        rule: `UCT()`, `PUCT()` or one of your own.
        in_flight: how simulations under way count.
        loss: the least reward in fixed point, for virtual losses.
        middle: the middle of the rewards in fixed point: the mean of what nobody has tried.
    """

    def __init__(self, rule: Rule, in_flight: InFlight, loss: int, middle: float) -> None:
        if not callable(getattr(rule, "scores", None)):
            raise LocalError(
                f"{rule!r:.80} is no rule of selection", hint="UCT(), PUCT(), or an object with scores(numbers)"
            )
        if not isinstance(in_flight, InFlight):
            raise LocalError(
                f"in_flight is {in_flight!r:.80}",
                hint="take one of " + ", ".join(f"InFlight.{each.name}" for each in InFlight),
            )
        self.rule = rule
        self.fast = rule if isinstance(rule, UCT) and rule.c else None
        """The rule, if it knows a fast way for positions with nothing untried and nothing in flight."""
        self._loss = loss if in_flight is InFlight.VIRTUAL_LOSS else 0
        self._is_lost = in_flight is InFlight.VIRTUAL_LOSS
        self._middle = middle

    def choose(self, position: Position, edges: Sequence[Edge], *, may_expand: bool) -> Edge | None:
        """The edge to follow among those given, or None to try an action that nobody tried."""
        expands = may_expand and bool(position.untried)
        if self.fast is not None:
            if expands:
                return None
            if not position.flying:
                return self.fast.pick(position, edges)
        scores = self.rule.scores(self.numbers(position, edges, expands=expands))
        try:
            if any(edge.child.proven is not None for edge in edges):
                scores = self._certain(position, edges, scores)
            greatest = max(scores)
            best = list(scores).index(greatest)
            wrong = len(scores) != len(edges) + expands or any(score != score for score in scores)
        except (TypeError, ValueError, IndexError):
            wrong = True
        if wrong:
            raise LocalError(
                f"the rule {self.rule!r:.80} gave the scores {scores!r:.80} for {len(edges) + expands} children",
                hint="it gives one number for each entry of its argument, in their order",
            )
        return edges[best] if best < len(edges) else None

    @staticmethod
    def _certain(position: Position, edges: Sequence[Edge], scores: Sequence[float]) -> list[float]:
        """Scores with the values of proven children in their place: what is certain needs no exploration."""
        proven = [edge.child.proven for edge in edges]
        found = list(scores)
        for number, rewards in enumerate(proven):
            if rewards is not None:
                found[number] = rewards[position.player] / UNIT
        return found

    def numbers(self, position: Position, edges: Sequence[Edge], *, expands: bool) -> Numbers:
        """What a rule sees of these edges of a position, and of its best untried action. O(edges)."""
        seen = sum([edge.visits for edge in edges])
        unseen = (sum([edge.value for edge in edges]) / seen if seen else self._middle) / UNIT
        visits = [edge.visits + edge.flying for edge in edges]
        means = []
        for edge in edges:
            child = edge.child
            if self._is_lost and child.flying:
                means.append((child.value + self._loss * child.flying) / (child.visits + child.flying) / UNIT)
            elif not child.visits:
                means.append(unseen)
            else:
                means.append(child.mean / UNIT)
        priors = [edge.prior for edge in edges]
        if expands:
            visits.append(0)
            means.append(unseen)
            priors.append(position.prior(position.untried[-1]))
        return Numbers(position.visits + position.flying, visits, means, priors)


def _check_constant(name: str, constant: object) -> None:
    if not isinstance(constant, int | float) or not 0 <= constant <= FLOAT_MAX:
        raise LocalError(
            f"the constant c of {name} is {constant!r:.80}",
            hint="a finite number, 0 or more; about 1 for rewards within -1 and 1",
        )
