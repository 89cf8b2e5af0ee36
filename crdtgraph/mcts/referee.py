"""The referee: asks a problem, and checks what it answers.

Whatever a problem raises or answers wrongly becomes a `ProblemError` that names the method and the value; nothing else
of a problem's reaches the tree. Rewards are fixed point from here on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from math import isfinite
from random import Random
from typing import Any

from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.errors import LocalError
from crdtgraph.mcts.errors import ProblemError
from crdtgraph.mcts.problem import Evaluation
from crdtgraph.mcts.statistics import UNIT
from crdtgraph.records import Value, ordered_changes

METHODS = ("initial", "actions", "apply", "evaluate")
CHANCE = -1
"""The player where chance moves."""
TOLERANCE = 1e-9
"""By so much a reward may be beyond the range: sums of floats are."""
PLAYERS_MAX = 64
TEXT_MAX = 1_024
"""Characters of an action's text: it is the message of a commit and stands on one line of a listing."""
FORMAT = 1
"""Of what is counted; trees that count otherwise may not share a search."""
RAISED = (Exception, SystemExit)
"""What a problem may raise. One that calls `sys.exit` fails like any other, and does not end the process."""

Fixed = tuple[int, ...]
"""Rewards by player in fixed point."""


class Referee:
    """One problem, checked. Raises ProblemError for one that lacks a method or declares what cannot be."""

    def __init__(self, problem: Any) -> None:
        missing = [name for name in METHODS if not callable(getattr(problem, name, None))]
        if missing:
            raise ProblemError(
                f"{shown(problem)} is no problem: it lacks {', '.join(missing)}",
                hint="a problem has the methods initial, actions, apply and evaluate; see crdtgraph.mcts.Problem",
            )
        self.problem = problem
        self.players = _players(problem)
        self.low, self.high = _range(problem)
        self.identity = _identity(problem)
        self.fingerprint = f"{FORMAT} {self.players} {self.low} {self.high} {self.identity}".encode()
        self._low6, self._high6 = round(self.low * UNIT), round(self.high * UNIT)
        self.middle = (self._low6 + self._high6) / 2
        self.ends = self._low6, self._high6
        """The least and the greatest reward in fixed point."""
        self.key: Callable[[Any], object] | None = _optional(problem, "key")
        self._player: Callable[[Any], object] | None = _optional(problem, "player")
        self._chance: Callable[[Any], object] | None = _optional(problem, "chance")
        self._priors: Callable[[Any], object] | None = _optional(problem, "priors")
        self._changes: Callable[[Any], object] | None = _optional(problem, "changes")
        self._text: Callable[[Any, Any], object] | None = _optional(problem, "action_text")
        self._many: Callable[[Any, Random], object] | None = _optional(problem, "evaluate_many")
        if self.players > 1 and self._player is None:
            raise ProblemError(
                f"a problem with {self.players} players does not say whose turn it is",
                hint="give it a method player(state) that returns 0 for the first player",
            )

    @property
    def loss(self) -> int:
        """The least reward in fixed point."""
        return self._low6

    @property
    def gain(self) -> int:
        """The greatest reward in fixed point."""
        return self._high6

    @property
    def takes_batches(self) -> bool:
        """Whether the problem evaluates many states in one call."""
        return self._many is not None

    # States

    def initial(self) -> Any:
        """The state at the root."""
        return self._ask("initial", self.problem.initial)

    def actions(self, state: Any) -> Sequence[Any]:
        """What can be done in a state; each action and its text once."""
        found = self._ask("actions", self.problem.actions, state)
        if type(found) is not list and type(found) is not tuple:
            found = _sequence(found, state)
        if self._text is None:
            # Integers are told apart faster than their texts are made. Python makes none of very large ones.
            are_short = set(map(type, found)) == {int} and min(found) >= INT64_MIN and max(found) <= INT64_MAX
            texts = found if are_short else self._ask("str", _texts, found)
            if len(set(texts)) != len(found):
                raise _ambiguous(state, found)
        checked: Sequence[Any] = found
        return checked

    def apply(self, state: Any, action: Any) -> Any:
        """The state that an action leads to."""
        try:
            return self.problem.apply(state, action)
        except RAISED as error:
            raise _raised("apply", error, state, action) from error

    def texts(self, state: Any, actions: Sequence[Any]) -> list[str] | None:
        """The texts of all actions of a state, each of which must be unique; None where `str` gives them."""
        if self._text is None:
            for action in actions:
                if type(action) is not int:
                    self._check_text(str(action), action)
            return None
        found = [self._ask("action_text", self._text, state, action) for action in actions]
        for text, action in zip(found, actions, strict=True):
            self._check_text(text, action)
        if len(set(found)) != len(found):
            raise _ambiguous(state, found)
        return found

    def _check_text(self, text: object, action: object) -> None:
        if type(text) is not str or len(text) > TEXT_MAX or not _is_utf8(text):
            raise ProblemError(
                f"the text of the action {shown(action)} is {shown(text)}",
                hint=f"it is a string of at most {TEXT_MAX:,} characters of UTF-8; long things go into changes(state)",
            )
        if text.startswith("<") and " at 0x" in text:
            raise ProblemError(
                f"the action {text:.80} has no text that is the same in every process",
                hint="use strings or integers as actions, or give the problem action_text(state, action)",
            )

    def position(self, state: Any) -> bytes:
        """The key of a state, for a problem that has keys."""
        assert self.key is not None
        found = self._ask("key", self.key, state)
        if type(found) is not bytes:
            raise ProblemError(
                f"key({shown(state)}) is {shown(found)}", hint="a key is bytes, the same for equal positions only"
            )
        return found

    def player(self, state: Any) -> int:
        """Whose turn it is in a state with actions where chance does not move."""
        if self._player is None:
            return 0
        found = self._ask("player", self._player, state)
        if type(found) is not int or not 0 <= found < self.players:
            raise ProblemError(
                f"player({shown(state)}) is {shown(found)}", hint=f"it is a number from 0 to {self.players - 1}"
            )
        return found

    def chances(self, state: Any, actions: Sequence[Any]) -> list[float] | None:
        """The probabilities of the actions where chance moves, None elsewhere."""
        if self._chance is None:
            return None
        found = self._ask("chance", self._chance, state)
        return None if found is None else self.weights("chance", found, actions)

    def priors(self, state: Any, actions: Sequence[Any]) -> list[float] | None:
        """How good each action looks, all together 1; None if the problem does not say."""
        if self._priors is None:
            return None
        found = self._ask("priors", self._priors, state)
        return None if found is None else self.weights("priors", found, actions)

    def weights(self, method: str, found: Any, actions: Sequence[Any]) -> list[float]:
        """Weights that the problem gave actions, made to sum up to 1."""
        try:
            weights = [float(each) for each in found]
        except (TypeError, ValueError, OverflowError):
            weights = []
        total = sum(weights)
        if len(weights) != len(actions) or not isfinite(total) or total <= 0 or min(weights) < 0:
            raise ProblemError(
                f"{method} gave the weights {shown(found)} for {len(actions)} actions",
                hint="return one finite number that is not negative for each action, and not zeros alone",
            )
        return [weight / total for weight in weights]

    def changes(self, state: Any) -> Mapping[str, Value] | None:
        """What a state's commit holds."""
        if self._changes is None:
            return None
        found = self._ask("changes", self._changes, state)
        if found is not None and not isinstance(found, Mapping):
            raise ProblemError(f"changes({shown(state)}) is {shown(found)}", hint="return a dict of path -> bytes")
        if found:
            try:
                ordered_changes(found)
            except LocalError as error:
                raise ProblemError(f"changes({shown(state)}): {error.message}", hint=error.hint) from error
        return found

    # Evaluations

    def evaluate(self, state: Any, rng: Random) -> object:
        """What the problem says of one state, unread."""
        try:
            return self.problem.evaluate(state, rng)
        except RAISED as error:
            raise _raised("evaluate", error, state) from error

    def evaluate_many(self, states: Sequence[Any], rng: Random) -> Sequence[object]:
        """What the problem says of many states, in one call if it can."""
        if self._many is None:
            return [self.evaluate(state, rng) for state in states]
        found = self._ask("evaluate_many", self._many, states, rng)
        try:
            answers = list(found)
        except TypeError:
            answers = []
        if len(answers) != len(states):
            raise ProblemError(
                f"evaluate_many gave {len(answers)} evaluations of {len(states)} states: {shown(found)}",
                hint="return a sequence with one evaluation a state, in their order",
            )
        return answers

    def read(self, answer: object, actions: Sequence[Any]) -> tuple[Fixed, list[float] | None]:
        """The rewards of an evaluation by player in fixed point, and its priors; ProblemError for what is none."""
        if type(answer) is Evaluation:
            priors = answer.priors if actions else None
            weights = None if priors is None else self.weights("evaluate", priors, actions)
            return self.fixed(answer.rewards), weights
        return self.fixed(answer), None

    def fixed(self, rewards: object) -> Fixed:
        """Rewards in fixed point, one a player."""
        if type(rewards) is float and self.low <= rewards <= self.high:
            first = round(rewards * UNIT)
            if self.players == 1:
                return (first,)
            if self.players == 2:
                return first, self._low6 + self._high6 - first
        elif type(rewards) is list and len(rewards) == self.players:
            for reward in rewards:
                if type(reward) is not float or not self.low <= reward <= self.high:
                    break
            else:
                return tuple([round(reward * UNIT) for reward in rewards])
        return self._fixed(rewards)

    def _fixed(self, rewards: object) -> Fixed:
        numbers = _numbers(rewards)
        if len(numbers) == 1 and self.players == 2 and _is_number(rewards):
            numbers = [numbers[0], self.low + self.high - numbers[0]]
        if len(numbers) != self.players:
            raise ProblemError(
                f"an evaluation is {shown(rewards)}, and there {_are(self.players)}",
                hint="return one reward a player; one number is enough for one player, or for two of whom one gains "
                "what the other loses",
            )
        for number in numbers:
            if not isfinite(number):
                raise ProblemError(
                    f"an evaluation is {shown(rewards)}",
                    hint="a reward is a finite number: one that is not would spoil all means",
                )
            if not self.low - TOLERANCE <= number <= self.high + TOLERANCE:
                raise ProblemError(
                    f"a reward is {number!r}, outside of {self.low:g} to {self.high:g}",
                    hint="scale rewards to within -1 and 1, and declare `rewards = (least, greatest)`",
                )
        return tuple([round(number * UNIT) for number in numbers])

    def _ask(self, method: str, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except RAISED as error:
            raise _raised(method, error, *arguments) from error


def shown(value: object) -> str:
    """The beginning of a value's `repr`; of one that has none, such as an integer of 10,000 digits, what it is."""
    try:
        return f"{value!r:.80}"
    except RAISED:
        return f"<{type(value).__name__} that cannot be shown>"


def _optional(problem: Any, name: str) -> Any:
    found = getattr(problem, name, None)
    if found is not None and not callable(found):
        raise ProblemError(
            f"{name} of {shown(problem)} is {shown(found)}, not a method", hint="see crdtgraph.mcts.Problem"
        )
    return found


def _players(problem: Any) -> int:
    found = getattr(problem, "players", 1)
    if type(found) is not int or not 1 <= found <= PLAYERS_MAX:
        raise ProblemError(
            f"players of {shown(problem)} is {shown(found)}", hint=f"it is a number from 1 to {PLAYERS_MAX}"
        )
    return found


def _range(problem: Any) -> tuple[float, float]:
    found = getattr(problem, "rewards", (-1.0, 1.0))
    try:
        low, high = map(float, found)
    except (TypeError, ValueError, OverflowError):
        low, high = 0.0, 0.0
    if not -1 <= low < high <= 1:
        raise ProblemError(
            f"rewards of {shown(problem)} is {shown(found)}",
            hint="it is the least and the greatest reward, within -1 and 1; scale rewards that go beyond",
        )
    return low, high


def _identity(problem: Any) -> str:
    found = getattr(problem, "identity", None)
    if found is None:
        return repr(problem) if is_dataclass(problem) else type(problem).__qualname__
    if type(found) is not str or not found:
        raise ProblemError(f"identity of {shown(problem)} is {shown(found)}", hint="it is a text that is not empty")
    return found


def _sequence(found: object, state: object) -> tuple[Any, ...]:
    if not isinstance(found, Sequence) or isinstance(found, str | bytes):
        raise ProblemError(
            f"actions({shown(state)}) is {shown(found)}, which has no order of its own",
            hint="return a list or a tuple, in an order that is always the same",
        )
    return tuple(found)


def _is_utf8(text: str) -> bool:
    # Halves of a surrogate pair, and nothing else, cannot be written.
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def _numbers(rewards: object) -> list[float]:
    try:
        return [float(rewards)] if _is_number(rewards) else [float(each) for each in rewards]  # type: ignore[arg-type,attr-defined]
    except (TypeError, ValueError):
        raise ProblemError(
            f"an evaluation is {shown(rewards)}, which is no number",
            hint="return a float, one float a player, or an Evaluation",
        ) from None
    except OverflowError:
        raise ProblemError(
            f"an evaluation is {shown(rewards)}, an integer that is greater than any float",
            hint="scale rewards to within -1 and 1, and declare `rewards = (least, greatest)`",
        ) from None


def _is_number(value: object) -> bool:
    # A number of numpy has `__float__` and so does an array of one; only the array has a length.
    return hasattr(value, "__float__") and not (hasattr(value, "__len__") and getattr(value, "ndim", 1) > 0)


def _are(players: int) -> str:
    return "is one player" if players == 1 else f"are {players} players"


def _texts(actions: Sequence[object]) -> list[str]:
    return list(map(str, actions))


def _ambiguous(state: object, actions: Sequence[object]) -> ProblemError:
    texts = _texts(actions)
    twice = next(text for text in texts if texts.count(text) > 1)
    return ProblemError(
        f"two actions of {shown(state)} have the text {shown(twice)}",
        hint="the text names the action for every writer: give each its own, or give the problem action_text",
    )


def _raised(method: str, error: BaseException, *arguments: object) -> ProblemError:
    given = ", ".join(shown(argument) for argument in arguments if not isinstance(argument, Random))
    return ProblemError(
        f"{method}({given}) of the problem raised {type(error).__name__}: {error}",
        hint="the search is as it was before the call; mend the problem and go on",
    )
