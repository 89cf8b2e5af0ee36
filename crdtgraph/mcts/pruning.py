"""Which subtrees are thrown away: those that can hardly win any more.

Pruning is for good: in this search nobody tries a discarded action again. The best child of a node always stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Protocol

from crdtgraph.errors import LocalError
from crdtgraph.mcts.nodes import Edge, Position
from crdtgraph.mcts.statistics import FLOAT_MAX, UNIT


@dataclass(frozen=True, slots=True)
class Children:
    """What a rule of keeping sees: the visited children of a node, the most visited first.

    `span` is the greatest reward less the least.
    """

    visits: Sequence[int]
    means: Sequence[float]
    deviations: Sequence[float]
    span: float


class Keep(Protocol):
    """A rule of what to keep."""

    def keeps(self, children: Children) -> Sequence[bool]:
        """For each child whether it stays; the first one does in any case."""
        ...


@dataclass(frozen=True, slots=True)
class Hopeful:
    """Keep what may still be best: mean plus `confidence` standard errors reach the most visited's mean less its own.

    A deviation counts as a quarter of the span at least, since few values may agree by chance.
    """

    confidence: float = 3.0

    def __post_init__(self) -> None:
        if type(self.confidence) not in (int, float) or not 0 < self.confidence <= FLOAT_MAX:
            raise LocalError(
                f"a confidence of {self.confidence!r:.80}", hint="it is a number of standard errors, such as 3"
            )

    def keeps(self, children: Children) -> list[bool]:
        """As in `Keep`."""
        widths = [
            self.confidence * max(deviation, children.span / 4) / sqrt(visits)
            for deviation, visits in zip(children.deviations, children.visits, strict=True)
        ]
        least = children.means[0] - widths[0]
        return [mean + width >= least for mean, width in zip(children.means, widths, strict=True)]


@dataclass(frozen=True, slots=True)
class MostVisited:
    """Keep all but this fraction of a node's children, the least visited go first; nodes with few visits keep all."""

    fraction: float
    visits_min: int = 100

    def __post_init__(self) -> None:
        if type(self.fraction) not in (int, float) or not 0 < self.fraction < 1:
            raise LocalError(f"a fraction of {self.fraction!r:.80}", hint="what goes is between 0 and 1, such as 0.9")

    def keeps(self, children: Children) -> list[bool]:
        """As in `Keep`."""
        count = len(children.visits)
        kept = count if sum(children.visits) < self.visits_min else max(1, count - int(self.fraction * count))
        return [place < kept for place in range(count)]


def losers(root: Edge, keep: Keep, span: float, mark: int) -> list[Edge]:
    """The edges below the root that a rule does not keep; none below another one.

    `mark` is a number that no position is marked with. O(what is kept).
    """
    found: list[Edge] = []
    stack = [root.child]
    while stack:
        position = stack.pop()
        if position.mark == mark:
            continue
        position.mark = mark
        edges = sorted([edge for edge in position.edges if edge.visits], key=lambda edge: (-edge.visits, edge.text))
        kept = edges
        if len(edges) > 1 and position.chances is None:
            statistics = [edge.statistics for edge in edges]
            children = Children(
                [each.visits for each in statistics],
                [edge.child.value / (edge.child.visits * UNIT) for edge in edges],
                [each.deviation for each in statistics],
                span,
            )
            answers = [True, *_checked(keep, children)[1:]]
            stays = [
                bool(answer or edge.flying or _is_proof(position, edge))
                for edge, answer in zip(edges, answers, strict=True)
            ]
            found += [edge for edge, is_kept in zip(edges, stays, strict=True) if not is_kept]
            kept = [edge for edge, is_kept in zip(edges, stays, strict=True) if is_kept]
        stack += [edge.child for edge in kept]
    return found


def _is_proof(position: Position, edge: Edge) -> bool:
    """Whether the position is proven because this is: then it is the best child, however rarely it was visited."""
    certain, reward = position.proven, edge.child.proven
    return certain is not None and reward is not None and reward[position.player] == certain[position.player]


def _checked(keep: Keep, children: Children) -> Sequence[bool]:
    answers = keep.keeps(children)
    if len(answers) != len(children.visits):
        raise LocalError(
            f"the rule {keep!r:.80} gave {len(answers)} answers for {len(children.visits)} children",
            hint="it gives one for each, in their order",
        )
    return answers
