"""What the recorded searches search: four board games and a boat, each a few lines.

Every problem is a game for one or two players whose states are values. What a state would be in the graph is said by
`paths`; the size of that, in canonical bytes, is the size of the state in a trace. Chance enters through the dice that
are handed in, nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, exp, hypot, pi, sin
from random import Random
from typing import Protocol, TypeVar

State = TypeVar("State")
Board = tuple[int, int, int]
"""Stones of the player to move and of the other one, one bit a square, and the number of moves made."""
Track = tuple[tuple[float, float, float], ...]
"""Where a boat was, and at what time."""
PASS = -1.0


class Problem(Protocol[State]):
    """A game as a search sees it. Values are in [0, 1], as the first player sees them."""

    def start(self) -> State:
        """Where it begins."""
        ...

    def moves(self, state: State, dice: Random) -> Sequence[float]:
        """What can be done at a state that is not decided; a problem with endless choices draws a few."""
        ...

    def play(self, state: State, move: float) -> State:
        """The state after a move."""
        ...

    def result(self, state: State) -> float | None:
        """The value of a decided state, None for any other."""
        ...

    def first_moves(self, state: State) -> bool:
        """Whether the one who chooses here wants large values."""
        ...

    def paths(self, state: State) -> list[tuple[str, int]]:
        """The state as the graph would hold it."""
        ...


def rollout(problem: Problem[State], state: State, dice: Random, steps_max: int = 200) -> float:
    """The value at the end of random play; 0.5 if that is far away."""
    for _ in range(steps_max):
        value = problem.result(state)
        if value is not None:
            return value
        state = problem.play(state, dice.choice(problem.moves(state, dice)))
    return 0.5


class BoardGame:
    """What the board games share. A row has one bit more than squares, so that no line runs over the edge."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.stride = width + 1
        self.squares = [row * self.stride + column for row in range(height) for column in range(width)]
        self.full = sum(1 << square for square in self.squares)

    def start(self) -> Board:
        """The empty board."""
        return 0, 0, 0

    def moves(self, state: Board, dice: Random) -> Sequence[float]:
        """Every free square."""
        taken = state[0] | state[1]
        return [square for square in self.squares if not taken >> square & 1]

    def play(self, state: Board, move: float) -> Board:
        """A stone on a square; it is the other one's turn."""
        mine, other, count = state
        return other, mine | 1 << int(move), count + 1

    def first_moves(self, state: Board) -> bool:
        """The players take turns."""
        return state[2] % 2 == 0

    def paths(self, state: Board) -> list[tuple[str, int]]:
        """One path a stone, and whose turn it is."""
        mine, other, count = state
        stones = [square for square in self.squares if (mine | other) >> square & 1]
        board = [(f"board/{at // self.stride}/{at % self.stride}", mine >> at & 1) for at in stones]
        return [("turn", count), *board]


class Lines(BoardGame):
    """So many in a row win: tic-tac-toe, gomoku, and with `drop` (stones fall to the bottom) connect four."""

    def __init__(self, width: int, height: int, in_a_row: int, *, drop: bool = False) -> None:
        super().__init__(width, height)
        self.in_a_row = in_a_row
        self.drop = drop

    def moves(self, state: Board, dice: Random) -> Sequence[float]:
        """Free squares; those that a stone falls to."""
        free = super().moves(state, dice)
        if not self.drop:
            return free
        taken = state[0] | state[1]
        return [square for square in free if square < self.stride or taken >> int(square) - self.stride & 1]

    def result(self, state: Board) -> float | None:
        """Who has a line; a full board is a draw."""
        mine, other, count = state
        for step in (1, self.stride, self.stride + 1, self.stride - 1):
            line = other
            for distance in range(1, self.in_a_row):
                line &= other >> step * distance
            if line:
                return 0.0 if count % 2 == 0 else 1.0
        return 0.5 if mine | other == self.full else None


class Hex(BoardGame):
    """A chain of neighbours from top to bottom wins for the first player, from left to right for the second."""

    def __init__(self, side: int) -> None:
        super().__init__(side, side)
        self.left = sum(1 << row * self.stride for row in range(side))
        self.top = (1 << side) - 1

    def result(self, state: Board) -> float | None:
        """Whether the one who moved last is through; there is no draw."""
        _, other, count = state
        first = count % 2 == 1
        reached = other & (self.top if first else self.left)
        goal = self.top << self.stride * (self.height - 1) if first else self.left << self.width - 1
        while reached:
            if reached & goal:
                return 1.0 if first else 0.0
            step = self.stride
            near = reached << 1 | reached >> 1 | reached << step | reached >> step
            near |= reached << step - 1 | reached >> step - 1
            grown = reached | near & other
            if grown == reached:
                return None
            reached = grown
        return None


class Othello(BoardGame):
    """Stones between the new one and another of the same colour turn; who cannot move passes."""

    def start(self) -> Board:
        """Four stones in the middle."""
        row, column = self.height // 2 - 1, self.width // 2 - 1
        corner = row * self.stride + column
        return 1 << corner + 1 | 1 << corner + self.stride, 1 << corner | 1 << corner + self.stride + 1, 0

    def moves(self, state: Board, dice: Random) -> Sequence[float]:
        """Free squares where something turns, or to pass."""
        mine, other, _ = state
        return self._placements(mine, other) or [PASS]

    def play(self, state: Board, move: float) -> Board:
        """Place and turn."""
        mine, other, count = state
        if move == PASS:
            return other, mine, count + 1
        turned = self._turned(mine, other, int(move))
        return other & ~turned, mine | turned | 1 << int(move), count + 1

    def result(self, state: Board) -> float | None:
        """Once neither can move: who has more."""
        mine, other, count = state
        if self._placements(mine, other) or self._placements(other, mine):
            return None
        ahead = mine.bit_count() - other.bit_count()
        if count % 2:
            ahead = -ahead
        return 0.5 + ahead / (2 * len(self.squares))

    def _placements(self, mine: int, other: int) -> list[float]:
        free = self.full & ~(mine | other)
        found = 0
        for step in (1, self.stride, self.stride + 1, self.stride - 1):
            up, down = mine << step & other, mine >> step & other
            for _ in range(self.width - 3):
                up |= up << step & other
                down |= down >> step & other
            found |= up << step | down >> step
        found &= free
        return [square for square in self.squares if found >> square & 1]

    def _turned(self, mine: int, other: int, square: int) -> int:
        turned = 0
        for step in (1, self.stride, self.stride + 1, self.stride - 1):
            for sign in (step, -step):
                line, at = 0, square + sign
                while at >= 0 and other >> at & 1:
                    line |= 1 << at
                    at += sign
                if at >= 0 and mine >> at & 1:
                    turned |= line
        return turned


class Sailing:
    """A boat crosses a bay against the wind, which turns from place to place; a move is a heading, any angle.

    The state keeps the track, so that it grows with every leg. After Vanderbei's sailing problem, as used to study UCT
    by Kocsis and Szepesvari (2006), with continuous headings.
    """

    LEG = 0.08
    GOAL = (0.9, 0.9)

    def start(self) -> Track:
        """One corner of the bay."""
        return ((0.1, 0.1, 0.0),)

    def moves(self, state: Track, dice: Random) -> Sequence[float]:
        """Two headings out of all."""
        return [dice.uniform(-pi, pi), dice.uniform(-pi, pi)]

    def play(self, state: Track, move: float) -> Track:
        """Sail one leg; it takes the longer the closer it is to the wind."""
        x, y, time = state[-1]
        wind = pi * (1.25 + 0.5 * sin(5 * x) * cos(4 * y))
        against = cos(move - wind - pi)
        speed = 1.15 - max(against, 0.0) ** 3
        x, y = min(max(x + self.LEG * cos(move), 0.0), 1.0), min(max(y + self.LEG * sin(move), 0.0), 1.0)
        return (*state, (x, y, time + self.LEG / speed))

    def result(self, state: Track) -> float | None:
        """How early it arrived, or how close it came until time was up."""
        x, y, time = state[-1]
        away = hypot(x - self.GOAL[0], y - self.GOAL[1])
        if away < self.LEG or len(state) > 60:
            return exp(-time / 4 - 3 * max(away - self.LEG, 0.0))
        return None

    def first_moves(self, state: Track) -> bool:
        """There is only one player."""
        return True

    def paths(self, state: Track) -> list[tuple[str, int]]:
        """The track in fixed point, three paths a leg."""
        return [
            (f"track/{leg}/{name}", round(number * 1e6))
            for leg, at in enumerate(state)
            for name, number in zip("xyt", at, strict=True)
        ]
