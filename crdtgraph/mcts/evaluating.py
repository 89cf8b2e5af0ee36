"""What a worker does that has a problem and no tree: it comes to the leaves that it is given, and evaluates them.

A leaf is a line of actions from the problem's initial state, by their texts. Lines of one search begin alike, so the
states on the way are kept for a while, and most leaves are one action away from one that is known.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from crdtgraph.errors import LocalError
from crdtgraph.mcts.desk import Order
from crdtgraph.mcts.errors import ProblemError
from crdtgraph.mcts.problem import Evaluation
from crdtgraph.mcts.referee import Referee

STATES_MAX = 10_000
"""States that a worker keeps."""
DETAIL_CHARACTERS_MAX = 4_096
"""Of a traceback: its end, where it happened."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A leaf that could not be evaluated: what was wrong in one line, and the traceback."""

    id: int
    message: str
    detail: str


class Evaluator:
    """Evaluates leaves of one problem. ProblemError for a problem that is none."""

    def __init__(self, problem: Any, rng: Random) -> None:
        self._referee = Referee(problem)
        self._rng = rng
        self._states: dict[tuple[str, ...], Any] = {}

    @property
    def fingerprint(self) -> bytes:
        """Which problem it is; equal for equal problems."""
        return self._referee.fingerprint

    def evaluate(self, orders: Sequence[Order]) -> tuple[list[tuple[int, object]], list[Failure]]:
        """Answers for those leaves that could be evaluated, and what went wrong with the others."""
        answers: list[tuple[int, object]] = []
        failures: list[Failure] = []
        reached: list[tuple[int, Any]] = []
        for order in orders:
            try:
                reached.append((order.id, self._state(order.line)))
            except LocalError as error:
                failures.append(_failure(order.id, error))
        if self._referee.takes_batches and len(reached) > 1:
            try:
                found = self._referee.evaluate_many([state for _, state in reached], self._rng)
                return [
                    (number, self._checked(each, state)) for (number, state), each in zip(reached, found, strict=True)
                ], failures
            except LocalError:
                # One by one, to tell which of them it was.
                pass
        for number, state in reached:
            try:
                answers.append((number, self._checked(self._referee.evaluate_many([state], self._rng)[0], state)))
            except LocalError as error:
                failures.append(_failure(number, error))
        return answers, failures

    def _checked(self, answer: object, state: Any) -> object:
        if isinstance(answer, Evaluation) and answer.priors is not None:
            actions = self._referee.actions(state)
            self._referee.read(answer, actions)
            # Where the game is over nobody looks at priors, whatever they are.
            return answer if actions else Evaluation(answer.rewards)
        self._referee.fixed(answer.rewards if isinstance(answer, Evaluation) else answer)
        return answer

    def _state(self, line: tuple[str, ...]) -> Any:
        states, referee = self._states, self._referee
        length = len(line)
        while length and line[:length] not in states:
            length -= 1
        state = states[line[:length]] if length else referee.initial()
        for place in range(length, len(line)):
            actions = referee.actions(state)
            texts = (referee.texts(state, actions) or list(map(str, actions))) if actions else []
            if line[place] not in texts:
                raise ProblemError(
                    f"{line[place]!r:.80} is no action after {' '.join(line[:place])!r:.200}",
                    hint="do worker and tree have the same problem, and does actions(state) always answer alike?",
                )
            state = referee.apply(state, actions[texts.index(line[place])])
            if len(states) >= STATES_MAX:
                del states[next(iter(states))]
            states[line[: place + 1]] = state
        return state


def _failure(number: int, error: LocalError) -> Failure:
    text = "".join(traceback.format_exception(error.__cause__ or error))
    return Failure(number, error.message, text[-DETAIL_CHARACTERS_MAX:])
