"""Problems for tests of workers; in a module, so that other processes find them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from random import Random

from crdtgraph.mcts import Evaluation, RandomRollouts
from crdtgraph.mcts.problem import Rewards


@dataclass(frozen=True)
class Nim(RandomRollouts):
    """Take one to three; who takes the last one wins."""

    left: int = 21
    players = 2

    def initial(self) -> tuple[int, int]:
        return self.left, 0

    def actions(self, state: object) -> list[int]:
        left, _ = state  # type: ignore[misc]
        return list(range(1, 1 + min(3, left)))

    def apply(self, state: object, action: object) -> tuple[int, int]:
        left, player = state  # type: ignore[misc]
        return left - action, 1 - player  # type: ignore[operator]

    def player(self, state: tuple[int, int]) -> int:
        return state[1]

    def reward(self, state: object) -> float:
        return 1.0 if state[1] == 1 else -1.0  # type: ignore[index]


@dataclass(frozen=True)
class Moody(Nim):
    """Nim whose evaluation in a worker does something else, once or always, as the folder says.

    Everybody has the same problem, and so the same identity; only a worker knows a folder.
    """

    folder: str = ""
    mood: str = ""
    identity = "moody nim"

    def evaluate(self, state: object, rng: Random) -> Rewards | Evaluation:
        if not self.folder or not self.actions(state):
            return super().evaluate(state, rng)
        if self.mood == "die once" and self._first():
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mood == "die":
            os._exit(3)
        if self.mood == "fail" or (self.mood == "fail once" and self._first()):
            raise ValueError("no such luck")
        if self.mood == "nan":
            return float("nan")
        if self.mood == "text once" and self._first():
            return "much"  # type: ignore[return-value]
        if self.mood == "priors":
            return Evaluation(super().evaluate(state, rng), [1.0] * len(self.actions(state)))  # type: ignore[arg-type]
        if self.mood == "wait":
            while not (Path(self.folder) / "go").exists():
                os.sched_yield()
        return super().evaluate(state, rng)

    def _first(self) -> bool:
        try:
            os.close(os.open(Path(self.folder) / "done", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


def make_nim() -> Nim:
    return Nim()


class Unpicklable(Nim):
    def __reduce__(self) -> str:
        raise TypeError("it holds a socket")
