"""Problems for fleets: small games that are known through and through, and some that fail."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

LINES = [(0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6)]


class TicTacToe:
    """Noughts and crosses from a given board; player 0 is X and began."""

    players = 2

    def __init__(self, board: str = ".........") -> None:
        self.board = board

    def initial(self) -> str:
        return self.board

    def player(self, state: str) -> int:
        return (9 - state.count(".")) % 2

    def winner(self, state: str) -> str | None:
        return next((state[a] for a, b, c in LINES if state[a] != "." and state[a] == state[b] == state[c]), None)

    def actions(self, state: str) -> Sequence[int]:
        return [] if self.winner(state) else [place for place in range(9) if state[place] == "."]

    def apply(self, state: str, action: int) -> str:
        return state[:action] + "XO"[self.player(state)] + state[action + 1 :]

    def key(self, state: str) -> bytes:
        return state.encode()

    def evaluate(self, state: str, rng: Random) -> float:
        while actions := self.actions(state):
            state = self.apply(state, rng.choice(actions))
        return {"X": 1.0, "O": -1.0, None: 0.0}[self.winner(state)]


class Slow(TicTacToe):
    """One that takes its time, so that something can happen meanwhile."""

    def __init__(self, board: str = ".........", pause_s: float = 0.002) -> None:
        super().__init__(board)
        self.pause_s = pause_s

    def evaluate(self, state: str, rng: Random) -> float:
        time.sleep(self.pause_s)
        return super().evaluate(state, rng)


class KillsItsWorker(Slow):
    """Each process ends in its first evaluation, as long as there are lives in a folder to take."""

    def __init__(self, folder: Path, lives: int) -> None:
        super().__init__()
        self.folder = folder
        for life in range(lives):
            (folder / str(life)).touch()

    def evaluate(self, state: str, rng: Random) -> float:
        for life in sorted(self.folder.iterdir()):
            life.unlink(missing_ok=True)
            os._exit(1)
        return super().evaluate(state, rng)


class KillsItsNode(Slow):
    """The process of one node ends in the middle of the search: rules are asked for in its thread of that name."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.calls = 0
        self.life = folder / "life"
        self.life.touch()

    def actions(self, state: str) -> Sequence[int]:
        if threading.current_thread().name.startswith("crdtgraph"):
            self.calls += 1
            if self.calls > 100 and self.life.exists():
                self.life.unlink(missing_ok=True)
                os._exit(1)
        return super().actions(state)


class Raises(TicTacToe):
    """One with a mistake in it."""

    def evaluate(self, state: str, rng: Random) -> float:
        raise ZeroDivisionError("a mistake in the evaluation")


class RaisesDeep(TicTacToe):
    """One with a mistake in its rules."""

    def apply(self, state: str, action: int) -> str:
        if state.count(".") < 8:
            raise KeyError("a mistake in the rules")
        return super().apply(state, action)


class NotANumber(TicTacToe):
    """One that answers nonsense."""

    def evaluate(self, state: str, rng: Random) -> float:
        return float("nan")


class Unpicklable(TicTacToe):
    """One with an open file in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.file = path.open("w")


class NoIdeaOfActions(TicTacToe):
    """One that raises at once."""

    def actions(self, state: str) -> Sequence[int]:
        raise IndexError("a mistake in the actions")


class Over(TicTacToe):
    """One without any moves."""

    def actions(self, state: str) -> Sequence[int]:
        return []
