"""Evaluations and leaves as plain values, and what a worker says and hears; sans-IO.

An answer is a number, a list of one number a player, or {rewards, priors}.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from time import perf_counter
from typing import Any, NamedTuple, cast

from crdtgraph.errors import LocalError
from crdtgraph.mcts import Evaluation
from crdtgraph.mcts.desk import Order
from crdtgraph.mcts.evaluating import Evaluator, Failure
from sync.client.asks import Ask
from sync.plain import error_from_plain
from sync.protocol.calls import Plain
from sync.protocol.packing import RemoteMessageError

WORK_ITEMS_MAX = 256
"""Leaves in one call."""
BATCH_FIRST = 4
WORTH_S = 0.005
"""A worker asks for as many leaves as take it about so long: the way to the node and back takes a tenth of it."""


class Answer(NamedTuple):
    """What the node says to a worker: the next leaves, and whether the search is over."""

    orders: list[Order]
    is_over: bool


class Job:
    """One worker's part in one search: what to ask next, and what to do with the answer.

    Args:
        problem: the same as the tree's.
        search: its name.
        seed: of the worker's own randomness.
        batch: leaves to ask for at a time; by default as many as take about 5 ms.
    """

    def __init__(self, problem: Any, search: str, *, seed: object, batch: int | None = None) -> None:
        if batch is not None and (type(batch) is not int or not 0 < batch <= WORK_ITEMS_MAX):
            raise LocalError(f"a batch of {batch!r:.80} leaves", hint=f"it is a number from 1 to {WORK_ITEMS_MAX}")
        self.search = search
        self.evaluated = 0
        self._evaluator = Evaluator(problem, Random(f"{seed}"))
        self._answers: list[tuple[int, object]] = []
        self._failures: list[Failure] = []
        self._fixed = batch
        self._count = batch if batch is not None else BATCH_FIRST

    def joining(self) -> Ask[str]:
        """Come to the desk; the name that this worker has there."""
        return Ask("mcts_join", {"search": self.search, "fingerprint": self._evaluator.fingerprint}, str)

    def next_ask(self) -> Ask[Answer]:
        """Bring what was evaluated, and ask for more."""
        params: dict[str, Plain] = {
            "search": self.search,
            "answers": [[number, answer_to_plain(answer)] for number, answer in self._answers],
            "failures": [[each.id, each.message, each.detail] for each in self._failures],
            "count": self._count,
        }
        return Ask("mcts_work", params, _answer)

    def evaluate(self, orders: Sequence[Order]) -> None:
        """Evaluate leaves. What a problem raises is reported to the tree and not here."""
        began = perf_counter()
        self._answers, self._failures = self._evaluator.evaluate(orders)
        self.evaluated += len(self._answers)
        if self._fixed is None and orders:
            fitting = round(WORTH_S / max(1e-6, (perf_counter() - began) / len(orders)))
            self._count = max(1, min(WORK_ITEMS_MAX, fitting, 2 * self._count))


def answer_to_plain(answer: object) -> Plain:
    """An evaluation that was checked, as a plain value; numbers of numpy and the like become floats."""
    if isinstance(answer, Evaluation):
        priors = None if answer.priors is None else [float(each) for each in answer.priors]
        return {"rewards": _numbers(answer.rewards), "priors": cast("Plain", priors)}
    return _numbers(answer)


def answer_from_plain(data: Plain) -> object:
    """The inverse; what it is worth is for the tree to check."""
    if isinstance(data, dict):
        return Evaluation(cast("Any", data.get("rewards")), cast("Any", data.get("priors")))
    return data


def orders_to_plain(orders: Sequence[Order]) -> Plain:
    """Leaves as [id, texts]."""
    return [[order.id, list(order.line)] for order in orders]


def _numbers(rewards: object) -> Plain:
    if hasattr(rewards, "__len__"):
        return [float(each) for each in cast("Sequence[float]", rewards)]
    return float(cast("float", rewards))


def _answer(data: Plain) -> Answer:
    match data:
        case {"tasks": list() as tasks, "over": bool() as over, "error": error}:
            if error is not None:
                raise error_from_plain(error)
            rows = cast("list[tuple[int, list[str]]]", tasks)
            return Answer([Order(number, tuple(line)) for number, line in rows], over)
    raise RemoteMessageError(
        f"the node answered {data!r:.60} where tasks were expected", hint="are worker and node of the same version?"
    )
