"""P-games: random game trees of which the truth is known, the standard trial of searches by simulation.

A game is a tree of even branching and depth in which MAX and MIN move in turn. Each move has a value that neither
knows; at a leaf the values on the way there are added up, and the sign of the sum says who has won. So, as in Go,
what counts is the whole way, and a good move makes all that follows it better on average: that is what a search by
simulation can find. After Smith and Nau, "An analysis of forward pruning" (AAAI 1994), with the parameters of Kocsis
and Szepesvari, "Bandit based Monte-Carlo planning" (ECML 2006): values drawn evenly from 0 to 127 for moves of MAX
and from -127 to 0 for those of MIN, trees of branching 2 and depth 20 and of branching 8 and depth 8.

Nothing of a tree is stored: a move's value is a hash of the game's seed and the place in the tree, so equal seeds are
equal games on any machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import NamedTuple

VALUE_MAX = 127
PUBLISHED = ((2, 20), (8, 8))
"""Branching and depth of the trees in the paper's first figure."""

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Place(NamedTuple):
    """A state: the number of the node in the tree, counted level by level, its depth, and the sum on the way there."""

    node: int
    depth: int
    total: int


class PGame:
    """One game, by its seed. MAX moves first; rewards are MAX's: 1 for a win, 0 for a draw, -1 for a loss."""

    players = 2
    rewards = (-1.0, 1.0)

    def __init__(self, branching: int, depth: int, seed: int) -> None:
        self.branching = branching
        self.depth = depth
        self.seed = seed
        self._actions = tuple(range(branching))
        self._salt = _mix(_mix(seed + _GOLDEN) + branching * 1_000 + depth)

    # --- what a search asks

    @property
    def identity(self) -> str:
        """What no other game has."""
        return f"P-game of branching {self.branching} and depth {self.depth}, seed {self.seed}"

    def initial(self) -> Place:
        """The root."""
        return Place(0, 0, 0)

    def actions(self, state: Place) -> tuple[int, ...]:
        """The moves, by number; none at a leaf."""
        return self._actions if state.depth < self.depth else ()

    def apply(self, state: Place, action: int) -> Place:
        """The state after a move."""
        node = state.node * self.branching + 1 + action
        return Place(node, state.depth + 1, state.total + self._value(node, state.depth))

    def player(self, state: Place) -> int:
        """Whose turn it is: 0 is MAX, 1 is MIN."""
        return state.depth % 2

    def evaluate(self, state: Place, rng: random.Random) -> float:
        """MAX's reward at the end of a game that goes on with random moves. O(depth)."""
        node, total, branching = state.node, state.total, self.branching
        for depth in range(state.depth, self.depth):
            node = node * branching + 1 + int(rng.random() * branching)
            total += self._value(node, depth)
        return float(_sign(total))

    # --- the truth

    def truth(self) -> list[int]:
        """MAX's reward of each move at the root with best play. About 10 ms for the published trees."""
        root = self.initial()
        return [self._solve(*self.apply(root, action), -1, 1) for action in self._actions]

    def regret(self, action: int, truth: list[int]) -> int:
        """What a move at the root loses against the best one: 0, 1 or 2."""
        return max(truth) - truth[action]

    def _value(self, node: int, depth: int) -> int:
        drawn = _mix(self._salt + node * _GOLDEN) >> 57
        return -drawn if depth % 2 else drawn

    def _solve(self, node: int, depth: int, total: int, low: int, high: int) -> int:
        """The reward with best play, if it is between `low` and `high`, or the nearer of the two; alpha-beta."""
        left = self.depth - depth
        of_min = (left + depth % 2) // 2
        if total > VALUE_MAX * of_min:
            return 1
        if total + VALUE_MAX * (left - of_min) < 0:
            return -1
        if not left:
            return _sign(total)
        first = node * self.branching + 1
        moves = [(self._value(each, depth), each) for each in range(first, first + self.branching)]
        is_max = depth % 2 == 0
        moves.sort(reverse=is_max)
        best = -1 if is_max else 1
        for value, child in moves:
            found = self._solve(child, depth + 1, total + value, low, high)
            if is_max:
                best = max(best, found)
                low = max(low, best)
            else:
                best = min(best, found)
                high = min(high, best)
            if low >= high:
                break
        return best


def decisions(branching: int, depth: int) -> Iterator[tuple[PGame, list[int]]]:
    """Games with their truth, by seed from 0 on, without those in which all moves at the root are alike."""
    seed = 0
    while True:
        game = PGame(branching, depth, seed)
        truth = game.truth()
        if min(truth) < max(truth):
            yield game, truth
        seed += 1


def _mix(number: int) -> int:
    """A number of 64 bits of which each depends on all of the given ones (splitmix64, Steele et al. 2014)."""
    number &= _MASK
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & _MASK
    return number ^ (number >> 31)


def _sign(total: int) -> int:
    return (total > 0) - (total < 0)
