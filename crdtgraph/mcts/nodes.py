"""The tree in memory: positions, and the edges between them.

A commit of the search is one *way* to a position: this action, after that commit. Positions with one key are one
object here, so a tree with transpositions is a graph: values are read from the position, summed over all ways in, and
how often an action was tried is read from its edge, summed over the commits that took it (UCT2 of Childs, Brodeur and
Kocsis, "Transpositions and move groups in Monte Carlo tree search", 2008). Sums do not depend on who found what first.

An edge holds what it knows to be counted by all writers (`counted`) plus what this tree has seen since; the difference
is what it will count itself. All sums are integers. What a selection computes of them for every child at every step is
kept beside them (`mean`, `spread`) and made anew when they change, which is once a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from operator import sub
from typing import Any

from crdtgraph.ids import CommitId
from crdtgraph.mcts.statistics import Statistics

Key = tuple[int, bytes]
"""Of a position: who moved into it, and the problem's key. Values of the same state seen by another are others."""
UNSEEN = float("inf")


class Position:
    """A state of the problem that the search has reached.

    `player` moves here, `mover` moved into it (whose view values have). `untried` are the numbers of the actions that
    nobody tried, `priors` and `texts` those of all actions where the problem gives any. `proven` are the rewards where
    they are certain: because it is over, or because best play leads there. `mark` is the number of the last descent
    that came through, `mean` the mean value in fixed point, or the proven one. `was_evaluated` says that this tree has
    seen an evaluation, whose priors are in `priors` if it had any; those that other trees saw are not told.
    """

    __slots__ = (
        "actions", "chances", "edges", "flying", "is_known", "key", "mark", "mean", "mover", "player", "priors",
        "proven", "pruned", "state", "texts", "untried", "value", "visits", "was_evaluated",
    )  # fmt: skip

    def __init__(self, mover: int) -> None:
        self.mover = mover
        self.player = mover
        self.key: Key | None = None
        self.state: Any = None
        self.is_known = False
        self.actions: Sequence[Any] = ()
        # Most positions are leaves for ever. Theirs are no lists, which the garbage collector would visit each time.
        self.edges: tuple[Edge, ...] = ()
        self.pruned: tuple[Edge, ...] = ()
        self.untried: Sequence[int] = ()
        self.priors: list[float] | None = None
        self.texts: list[str] | None = None
        self.chances: list[float] | None = None
        self.proven: tuple[int, ...] | None = None
        self.visits = 0
        self.value = 0
        self.flying = 0
        self.mark = 0
        self.mean = 0.0
        self.was_evaluated = False

    @property
    def wants_priors(self) -> bool:
        """Whether nobody said here how its actions look, and nobody is about to: others evaluated it so far."""
        return not (self.was_evaluated or self.priors is not None or self.flying or self.chances is not None)

    def grow(self, visits: int, value: int, flying: int = 0) -> None:
        """Count more, or less."""
        self.visits += visits
        self.value += value
        self.flying += flying
        if self.proven is None:
            self.mean = self.value / self.visits if self.visits else 0.0

    def prove(self, rewards: tuple[int, ...]) -> None:
        """Know for certain what it is worth."""
        self.proven = rewards
        self.mean = float(rewards[self.mover])

    def open(self) -> list[int]:
        """The numbers of the actions that nobody tried, to be ordered otherwise or taken from."""
        if type(self.untried) is not list:
            self.untried = list(self.untried)
        return self.untried

    def text(self, number: int) -> str:
        """The text of its action of that number."""
        return str(self.actions[number]) if self.texts is None else self.texts[number]

    def prior(self, number: int) -> float:
        """The prior of its action of that number; all have the same unless the problem or an evaluation says more."""
        return 1 / len(self.actions) if self.priors is None else self.priors[number]


class Edge:
    """An action of a position (`home`), the position that it leads to, and the commits that say so.

    `commit` is the one that this tree counts with, `others` the rest: the same action taken after another commit of
    the position. The root is an edge, too, with no action. `spread` is 1 over the square root of `visits`, how unsure
    the mean is: infinite without any, nothing when the position was seen to be proven.
    """

    __slots__ = (
        "action", "child", "commit", "counted", "flying", "home", "is_dirty", "others", "prior", "spread", "squared",
        "text", "value", "visits",
    )  # fmt: skip

    def __init__(self, home: Position, action: Any, text: str, child: Position, prior: float = 1.0) -> None:
        self.home = home
        self.action = action
        self.text = text
        self.child = child
        self.prior = prior
        self.commit: CommitId | None = None
        self.others: tuple[CommitId, ...] = ()
        self.counted = (0, 0, 0)
        self.visits = 0
        self.value = 0
        self.squared = 0
        self.flying = 0
        self.is_dirty = False
        self.spread = UNSEEN

    @property
    def commits(self) -> tuple[CommitId, ...]:
        """All its commits, the one to count with first."""
        return self.others if self.commit is None else (self.commit, *self.others)

    @property
    def statistics(self) -> Statistics:
        """What is known of it, from all writers."""
        return Statistics(self.visits, self.value, self.squared)

    def learn(self, counted: Statistics) -> None:
        """All writers together have counted this much now; it and its position grow by what is new."""
        if counted == self.counted:
            return
        visits, value, squared = map(sub, counted, self.counted)
        self.counted = (counted.visits, counted.value, counted.squared)
        self.visits += visits
        self.value += value
        self.squared += squared
        self.child.grow(visits, value)
        self.measure()

    def take_back(self) -> None:
        """Know only what was counted."""
        visits, value, squared = self.counted
        self.child.grow(visits - self.visits, value - self.value)
        self.visits, self.value, self.squared = visits, value, squared
        self.measure()

    def measure(self) -> None:
        """Make `spread` anew."""
        if self.child.proven is not None:
            self.spread = 0.0
        else:
            self.spread = 1 / sqrt(self.visits) if self.visits else UNSEEN

    def lead_to(self, position: Position) -> None:
        """Turn out to lead to a position that is known already: what was counted on the way belongs to it."""
        if position is not self.child:
            position.grow(self.visits, self.value, self.flying)
            self.child = position
        self.measure()

    def cut(self) -> None:
        """Lead nowhere: the position it led to no longer holds what was counted on this way."""
        before, stump = self.child, Position(self.child.mover)
        stump.grow(self.visits, self.value, self.flying)
        before.grow(-self.visits, -self.value, -self.flying)
        self.child = stump
        self.measure()


def without(edges: Sequence[Edge], edge: Edge) -> tuple[Edge, ...]:
    """All but this one."""
    return tuple([each for each in edges if each is not edge])
