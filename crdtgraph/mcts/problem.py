"""What is searched: a `Problem` of four methods, and some that it may have besides.

    class Nim:
        players = 2
        def initial(self): return (10, 0)                       # what is left, whose turn it is
        def actions(self, state): return range(1, 1 + min(3, state[0]))
        def apply(self, state, action): return (state[0] - action, 1 - state[1])
        def evaluate(self, state, rng): ...                     # play on at random, say who wins
        def player(self, state): return state[1]

| it may also have | which says | without it |
| --- | --- | --- |
| `players` | how many players there are | one |
| `player(state)` | whose turn it is, from 0 | needed with two players or more |
| `rewards` | the least and the greatest reward, within -1 and 1 | `(-1, 1)` |
| `key(state) -> bytes` | that two states with one key are the same position | every path has a position of its own |
| `chance(state)` | the probabilities of the actions where chance moves, None elsewhere | chance never moves |
| `priors(state)` | how good each action looks, in their order | all the same |
| `evaluate_many(states, rng)` | evaluations of many states at once, as a neural network likes it | one call a state |
| `changes(state)` | path -> bytes that the node's commit holds | commits hold the action's text alone |
| `action_text(state, action)` | the message of the commit an action leads to | `str(action)` |
| `identity` | text that no other problem has, with all parameters in it | the class's name; `repr` of a dataclass |

States are never changed in place. Every method must answer alike for equal arguments, `evaluate` but for its generator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar, runtime_checkable

State = TypeVar("State")
Action = TypeVar("Action")

Rewards = float | Sequence[float]
"""One number: the reward of the only player, or of player 0 of two, whose gain is the other's loss. Or one a player."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is thought of a state: rewards, and if known how good each action looks, in the order of `actions`."""

    rewards: Rewards
    priors: Sequence[float] | None = None


@runtime_checkable
class Problem(Protocol[State, Action]):
    """The four methods that a problem has; see the module for those that it may have."""

    def initial(self) -> State:
        """The state at the root."""
        ...

    def actions(self, state: State) -> Sequence[Action]:
        """What can be done there, each once, in an order that is always the same; nothing where it is over."""
        ...

    def apply(self, state: State, action: Action) -> State:
        """The state that an action leads to; the one given is left as it is."""
        ...

    def evaluate(self, state: State, rng: Random) -> Rewards | Evaluation:
        """What a state is worth: exactly if it is over, else an estimate, such as the end of a random game."""
        ...


class RandomRollouts(ABC):
    """A base for problems that are evaluated by playing on at random to the end; they say what the end is worth."""

    @abstractmethod
    def actions(self, state: object) -> Sequence[object]:
        """As in `Problem`."""

    @abstractmethod
    def apply(self, state: object, action: object) -> object:
        """As in `Problem`."""

    @abstractmethod
    def reward(self, state: object) -> Rewards:
        """What a state is worth that has no actions."""

    def evaluate(self, state: object, rng: Random) -> Rewards | Evaluation:
        """Play on at random and return the reward of the end. Chance moves by its probabilities."""
        chance = getattr(self, "chance", None)
        while actions := self.actions(state):
            weights = chance(state) if chance is not None else None
            if weights is None:
                action = actions[int(rng.random() * len(actions))]
            else:
                action = rng.choices(actions, weights)[0]
            state = self.apply(state, action)
        return self.reward(state)
