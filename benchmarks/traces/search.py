"""A Monte-Carlo tree search that keeps its states in a graph, so that every look at one is a read that is recorded.

The tree itself (visits, values, which moves were tried) is in memory, as in any program that searches; states are what
is large, and they are asked for by `graph.state(node)`. One iteration reads as a real one does:

- It walks down by visits and values alone: no state is read on the way.
- At the bottom a move is tried that was not tried before. The state there is made from that of the node the move is
  made from: that one is *read*, and then the new one, for the first time, when its legal moves are listed and it is
  evaluated. A first read cannot hit under any policy.
- A leaf that is to be evaluated again before it may grow is read again. A node whose end of the game is known isn't:
  its value is in the tree.
- A worker that shares the tree with others (`walk`) keeps no list of what was tried: it learns that from the state, so
  that it reads every node on its way.
- When a move has been decided on, the search goes on below it: its state is read, and those on the best line from
  there, which is what a program shows or promotes. The same after every so many iterations, if asked for.

Selection is UCB1 (Kocsis and Szepesvari 2006) or PUCT with a made-up prior (Silver et al. 2017), with virtual loss for
searches that evaluate several leaves at once (Chaslot et al. 2008), and progressive widening where choices are endless
(Coulom 2007).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import log, sqrt
from random import Random
from typing import Generic, TypeVar

from benchmarks.traces.problems import Problem, rollout
from benchmarks.traces.trace import NO_PARENT, Trace
from crdtgraph.canonical import encode

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a search goes.

    Args:
        iterations: leaves evaluated in all.
        exploration: the constant of UCB1 or PUCT.
        prior: select by PUCT with a made-up prior instead of by UCB1.
        grow_after: visits of a leaf before it grows; until then it is evaluated again by another rollout.
        widening: a node of n visits has at most 1 + n ** widening children; 0 for no such limit.
        at_once: leaves that are selected before the first of them is evaluated.
        in_turn: evaluated leaves come back one by one, each followed by the selection of another; otherwise all
            together, as a batch.
        decide_every: iterations until a move is made and the search goes on below it; 0 for never.
        return_after: moves after which the search goes back to where it began; 0 for never.
        show_every: iterations until the best line is read; 0 for never.
        walk: read every node on the way down, as a worker does that shares the tree with others.
    """

    iterations: int
    exploration: float = 1.0
    prior: bool = False
    grow_after: int = 0
    widening: float = 0.0
    at_once: int = 1
    in_turn: bool = False
    decide_every: int = 0
    return_after: int = 0
    show_every: int = 0
    walk: bool = False


@dataclass(slots=True, eq=False)
class Node(Generic[State]):
    """A node of the tree. `number` is its name in the trace, -1 until it was read."""

    parent: Node[State] | None
    move: float
    state: State
    first_moves: bool
    prior: float
    number: int = -1
    visits: int = 0
    value: float = 0.0
    pending: int = 0
    result: float | None = None
    untried: list[tuple[float, float]] | None = None
    children: list[Node[State]] = field(default_factory=list)


class Search(Generic[State]):
    """One search of one problem, recorded while it runs."""

    def __init__(self, problem: Problem[State], plan: Plan, dice: Random, trace: Trace) -> None:
        self.problem = problem
        self.plan = plan
        self.dice = dice
        self.trace = trace
        self.first: Node[State] = self._node(None, 0.0, problem.start(), 1.0)
        self.root = self.first
        self.decided = 0
        self._evaluate(self.root)

    def run(self) -> None:
        """All iterations."""
        plan = self.plan
        pending: deque[tuple[Node[State], float]] = deque()
        done = 0
        while done < plan.iterations:
            while len(pending) < plan.at_once:
                pending.append(self._select())
            for _ in range(1 if plan.in_turn else len(pending)):
                self._back_up(*pending.popleft())
                done += 1
                if plan.show_every and done % plan.show_every == 0:
                    self._show()
            if plan.decide_every and done // plan.decide_every > self.decided:
                while pending:
                    self._back_up(*pending.popleft())
                self._decide()

    def _select(self) -> tuple[Node[State], float]:
        node = self.root
        node.pending += 1
        while node.result is None:
            if node.untried is None or node.visits < self.plan.grow_after:
                break
            if self.plan.walk:
                self._read(node)
            if self._may_grow(node):
                node = self._grow(node)
                node.pending += 1
                break
            node = self._best(node)
            node.pending += 1
        return node, self._evaluate(node)

    def _may_grow(self, node: Node[State]) -> bool:
        if self.plan.widening:
            children_max: float = 1 + (node.visits + node.pending) ** self.plan.widening
            return len(node.children) < children_max
        if not node.untried:
            return False
        if not self.plan.prior or not node.children:
            return True
        # A move that nobody has tried is taken for as good as its node is, as in AlphaZero.
        chooser = node.value / node.visits if node.visits else 0.5
        best = max(self._score(node, child) for child in node.children)
        unseen = self._unseen(node, chooser if node.first_moves else 1 - chooser, node.untried[-1][1])
        return best < unseen

    def _unseen(self, node: Node[State], mean: float, prior: float) -> float:
        return mean - 0.1 + self.plan.exploration * prior * sqrt(node.visits + node.pending)

    def _grow(self, node: Node[State]) -> Node[State]:
        if not self.plan.walk:
            self._read(node)
        if self.plan.widening:
            move, prior = self.dice.choice(self.problem.moves(node.state, self.dice)), 1.0
        else:
            assert node.untried
            move, prior = node.untried.pop()
        child = self._node(node, move, self.problem.play(node.state, move), prior)
        node.children.append(child)
        return child

    def _evaluate(self, node: Node[State]) -> float:
        if node.result is not None and node.number >= 0:
            return node.result
        if node.untried is None and node.result is None:
            node.untried = self._moves(node)
        self._read(node)
        if node.result is not None:
            return node.result
        return rollout(self.problem, node.state, self.dice)

    def _moves(self, node: Node[State]) -> list[tuple[float, float]]:
        """What can be tried, the most promising last."""
        if self.plan.widening:
            return []
        moves = list(self.problem.moves(node.state, self.dice))
        self.dice.shuffle(moves)
        if not self.plan.prior:
            return [(move, 1.0) for move in moves]
        weights = [self.dice.random() ** 4 + 1e-3 for _ in moves]
        total = sum(weights)
        pairs = zip(moves, (weight / total for weight in weights), strict=True)
        return sorted(pairs, key=lambda pair: pair[1])

    def _best(self, node: Node[State]) -> Node[State]:
        return max(node.children, key=lambda child: self._score(node, child))

    def _score(self, node: Node[State], child: Node[State]) -> float:
        # A leaf that is being evaluated counts as a loss for whoever chose it until it comes back.
        visits = child.visits + child.pending
        if not visits:
            return self.plan.exploration * 1e3
        value = child.value if node.first_moves else child.visits - child.value
        total = node.visits + node.pending
        if self.plan.prior:
            return value / visits + self.plan.exploration * child.prior * sqrt(total) / (1 + visits)
        return value / visits + self.plan.exploration * sqrt(log(total) / visits)

    def _back_up(self, leaf: Node[State], value: float) -> None:
        self.trace.backup(leaf.number, value)
        node: Node[State] | None = leaf
        while node is not None:
            node.visits += 1
            node.value += value
            # Above the place where the search goes on nothing was selected.
            node.pending = max(node.pending - 1, 0)
            node = node.parent

    def _decide(self) -> None:
        self.decided += 1
        if self.root.children:
            self.root = max(self.root.children, key=lambda child: child.visits)
        over = self.root.result is not None
        if over or (self.plan.return_after and self.decided % self.plan.return_after == 0):
            self.root = self.first
        self._show()

    def _show(self) -> None:
        node = self.root
        self._read(node)
        while node.children:
            node = max(node.children, key=lambda child: child.visits)
            self._read(node)

    def _node(self, parent: Node[State] | None, move: float, state: State, prior: float) -> Node[State]:
        node = Node(parent, move, state, self.problem.first_moves(state), prior)
        node.result = self.problem.result(state)
        return node

    def _read(self, node: Node[State]) -> None:
        if node.number < 0:
            size = len(encode([[path, value] for path, value in self.problem.paths(node.state)]))
            node.number = self.trace.add_node(node.parent.number if node.parent else NO_PARENT, size)
        self.trace.read(node.number)
