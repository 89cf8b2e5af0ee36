"""Small problems whose answers are known, and trees of several replicas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from crdtgraph import Graph
from crdtgraph.mcts import RandomRollouts, Rewards, SearchTree
from crdtgraph.mcts.nodes import Position
from tests.crdtgraph.searches.exchanging import open_graph, send

__all__ = ["Counted", "Dice", "Line", "Nim", "Ring", "Three", "open_graph", "positions", "send"]


@dataclass(frozen=True)
class Nim(RandomRollouts):
    """Take 1 to 3; who takes the last wins. Lost for who is to move at a multiple of 4."""

    start: int = 21
    players = 2

    def initial(self) -> tuple[int, int]:
        return self.start, 0

    def actions(self, state: Any) -> list[int]:
        return list(range(1, 1 + min(3, state[0])))

    def apply(self, state: Any, action: Any) -> tuple[int, int]:
        return state[0] - action, 1 - state[1]

    def player(self, state: Any) -> int:
        return int(state[1])

    def reward(self, state: Any) -> Rewards:
        return 1.0 if state[1] == 1 else -1.0

    def key(self, state: Any) -> bytes:
        return b"%d %d" % state


@dataclass(frozen=True)
class Line(RandomRollouts):
    """One player sets bits one by one; the reward is the share of ones."""

    length: int = 6
    rewards = (0.0, 1.0)

    def initial(self) -> str:
        return ""

    def actions(self, state: Any) -> list[str]:
        return ["zero", "one"] if len(state) < self.length else []

    def apply(self, state: Any, action: Any) -> str:
        return str(state) + ("1" if action == "one" else "0")

    def reward(self, state: Any) -> Rewards:
        return float(state.count("1") / self.length)

    def changes(self, state: Any) -> Mapping[str, bytes]:
        return {"bits": state.encode()}


@dataclass(frozen=True)
class Ring:
    """Walk around a ring both ways, or stop: positions come again and again. The further from 0 the better."""

    size: int = 6
    rewards = (0.0, 1.0)

    def initial(self) -> tuple[int, bool]:
        return 0, False

    def actions(self, state: Any) -> list[str]:
        return [] if state[1] else ["left", "right", "stop"]

    def apply(self, state: Any, action: Any) -> tuple[int, bool]:
        step = {"left": -1, "right": 1, "stop": 0}[action]
        return (state[0] + step) % self.size, action == "stop"

    def evaluate(self, state: Any, rng: Random) -> float:
        return min(state[0], self.size - state[0]) / self.size

    def key(self, state: Any) -> bytes:
        return b"%d %d" % state


class Three(RandomRollouts):
    """Three players name one of themselves in turn; who is named most often by the end gets all, else all get a bit."""

    players = 3
    rewards = (0.0, 1.0)

    def initial(self) -> tuple[int, ...]:
        return ()

    def actions(self, state: Any) -> list[int]:
        return [0, 1, 2] if len(state) < 6 else []

    def apply(self, state: Any, action: Any) -> tuple[int, ...]:
        return (*state, action)

    def player(self, state: Any) -> int:
        return len(state) % 3

    def reward(self, state: Any) -> Sequence[float]:
        votes = [state.count(player) for player in range(3)]
        return [float(votes[player] == max(votes) and votes.count(max(votes)) == 1) for player in range(3)]


class Dice(RandomRollouts):
    """Roll a good die or a bad one: the good one wins in 3 of 4, the bad one in 1 of 4."""

    rewards = (0.0, 1.0)

    def initial(self) -> str:
        return ""

    def actions(self, state: Any) -> list[str]:
        return {0: ["bad", "good"], 1: ["lost", "won"]}.get(len(state.split()), [])

    def apply(self, state: Any, action: Any) -> str:
        return f"{state} {action}".strip()

    def chance(self, state: Any) -> list[float] | None:
        return {"bad": [0.75, 0.25], "good": [0.25, 0.75]}.get(state)

    def reward(self, state: Any) -> Rewards:
        return float(state.endswith("won"))


class Counted:
    """A problem that counts the calls of another one, and fails when it is told to."""

    def __init__(self, problem: Any) -> None:
        self._problem = problem
        self.calls: dict[str, int] = {}
        self.fails: dict[str, BaseException] = {}

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._problem, name)
        if not callable(found):
            return found

        def call(*arguments: Any) -> Any:
            self.calls[name] = self.calls.get(name, 0) + 1
            if name in self.fails:
                raise self.fails[name]
            return found(*arguments)

        return call


def positions(tree: SearchTree) -> dict[tuple[int, bytes], tuple[int, int]]:
    """Visits and value of every position of a tree that is reached from its root, by key, if it was visited.

    One whose ways all went with what was before them may be there or not, until somebody comes by again.
    """
    found: dict[tuple[int, bytes], tuple[int, int]] = {}
    seen: list[Position] = []
    stack = [tree._growth.root.child]
    while stack:
        position = stack.pop()
        assert position.key is not None
        if position.key in found:
            continue
        found[position.key] = (position.visits, position.value)
        seen.append(position)
        stack += [edge.child for edge in position.edges if edge.child.is_known]
    return {key: total for key, total in found.items() if total[0]}


def graphs(count: int) -> list[Graph]:
    return [open_graph(number) for number in range(count)]
