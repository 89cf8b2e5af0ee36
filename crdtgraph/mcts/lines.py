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


def ordered(position: Position, best: Best, ends: tuple[int, int]) -> list[Edge]:
    """The children of a position that were visited or are proven, the best first; `ends` as of the referee."""
    least, greatest = ends

    def rank(edge: Edge) -> tuple[float, float, float]:
        child = edge.child
        certain = 0
        if child.proven is not None:
            reward = child.proven[child.mover]
            # What is certain and between the ends may be better or worse than what is open: mean and visits say.
            is_proof = position.proven is not None and reward == position.proven[child.mover]
            certain = 1 if is_proof or reward == greatest else -1 if reward == least else 0
        mean = child.mean if child.visits or child.proven is not None else float("-inf")
        return (certain, edge.visits, mean) if best is Best.VISITS else (certain, mean, edge.visits)

    # Sorting is stable: the text decides between equals, which is the same on all replicas.
    found = [edge for edge in position.edges or position.pruned if edge.visits or edge.child.proven is not None]
    return sorted(sorted(found, key=lambda edge: edge.text), key=rank, reverse=True)


def line(root: Edge, best: Best, ends: tuple[int, int]) -> Iterator[Edge]:
    """The best edge of the root, the best after it, and so on, to where nothing was tried or chance moves."""
    seen = [root.child]
    position = root.child
    while position.chances is None:
        edges = ordered(position, best, ends)
        if not edges or any(edges[0].child is each for each in seen):
            return
        yield edges[0]
        position = edges[0].child
        seen.append(position)


def top(root: Edge, depth: int, visits_min: int, ends: tuple[int, int]) -> Iterator[tuple[Edge, int]]:
    """The root and the nodes below it, to a depth and with so many visits, each after its parent, the best first.

    A position is listed for each way that leads to it; where a way comes back to itself it ends.
    """
    stack = [(root, 0)]
    above: list[Position] = []
    while stack:
        edge, level = stack.pop()
        yield edge, level
        del above[level:]
        position = edge.child
        if level < depth and not any(position is each for each in above):
            children = ordered(position, Best.VISITS, ends)
            stack += [(child, level + 1) for child in reversed(children) if child.visits >= visits_min]
        above.append(position)


def visited(root: Edge, visits_min: int) -> list[Edge]:
    """The root and all edges below it that were visited so often, each once. O(what is found)."""
    found: list[Edge] = []
    seen: set[Position] = set()
    stack = [root]
    while stack:
        edge = stack.pop()
        found.append(edge)
        if edge.child not in seen:
            seen.add(edge.child)
            stack += [child for child in edge.child.edges if child.visits >= visits_min]
    return found
