"""What a tree has found, for reading: its nodes, the best line, the top of the tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from crdtgraph.ids import CommitId
from crdtgraph.mcts.nodes import Edge, Position
from crdtgraph.mcts.statistics import UNIT


class Best(Enum):
    """Which child is the best.

    `VISITS`, the robust child, was chosen most often: a good mean of few visits may be luck. `VALUE` has the greatest
    mean. What is proven to win comes first, what is proven to lose last.
    """

    VISITS = "visits"
    VALUE = "value"


@dataclass(frozen=True, slots=True)
class Node:
    """One node as it is now.

    `visits` is how often it was chosen from where it hangs, `mean` and `deviation` are of its values, seen by who
    chose it. `proven` is its certain value, None if it is open. `children` are those that were tried. `in_flight` are
    simulations under way through it. `depth` counts from the root of the tree.
    """

    action: Any
    text: str
    commit: CommitId | None
    visits: int
    mean: float
    deviation: float
    proven: float | None
    children: int
    in_flight: int
    depth: int


def view(edge: Edge, depth: int) -> Node:
    """An edge and its position as a node."""
    position = edge.child
    return Node(
        edge.action,
        edge.text,
        edge.commit,
        edge.visits,
        position.value / (position.visits * UNIT) if position.visits else 0.0,
        edge.statistics.deviation,
        None if position.proven is None else position.proven[position.mover] / UNIT,
        len(position.edges),
        edge.flying,
        depth,
    )


def ordered(position: Position, best: Best, middle: float) -> list[Edge]:
    """The children of a position that were visited or are proven, the best first."""

    def rank(edge: Edge) -> tuple[float, float, float]:
        child = edge.child
        certain = 0.0 if child.proven is None else child.proven[child.mover] - middle
        mean = child.value / child.visits if child.visits else float("-inf")
        return (certain, edge.visits, mean) if best is Best.VISITS else (certain, mean, edge.visits)

    # Sorting is stable: the text decides between equals, which is the same on all replicas.
    found = [edge for edge in position.edges or position.pruned if edge.visits or edge.child.proven is not None]
    return sorted(sorted(found, key=lambda edge: edge.text), key=rank, reverse=True)


def line(root: Edge, best: Best, middle: float) -> Iterator[Edge]:
    """The best edge of the root, the best after it, and so on, to where nothing was tried or chance moves."""
    seen = [root.child]
    position = root.child
    while position.chances is None:
        edges = ordered(position, best, middle)
        if not edges or any(edges[0].child is each for each in seen):
            return
        yield edges[0]
        position = edges[0].child
        seen.append(position)


def top(root: Edge, depth: int, visits_min: int, middle: float) -> Iterator[tuple[Edge, int]]:
    """The root and the nodes below it, to a depth and with so many visits, each after its parent, the best first."""
    stack = [(root, 0)]
    while stack:
        edge, level = stack.pop()
        yield edge, level
        if level < depth:
            children = ordered(edge.child, Best.VISITS, middle)
            stack += [(child, level + 1) for child in reversed(children) if child.visits >= visits_min]
