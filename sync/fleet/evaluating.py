"""What a worker of a fleet does: it knows the problem, evaluates leaves of it, and has no part in any tree.

This is all that a worker imports, so that its process is there soon.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from crdtgraph.mcts import ProblemError, Task, evaluate_tasks
from sync.fleet.errors import ProblemFailedError

Answers = Sequence[tuple[int, object]]
"""Evaluations by the numbers of their tasks."""


@dataclass(frozen=True, slots=True)
class Matter:
    """What is searched: a problem, and how (the keywords of `SearchTree`)."""

    problem: Any
    options: Mapping[str, Any]

    @classmethod
    def unpickled(cls, data: bytes) -> Matter:
        """Read one; ProblemFailedError when something that it is made of is not there."""
        try:
            found = pickle.loads(data)
        except Exception as error:
            raise ProblemFailedError(
                f"the problem cannot be unpickled in another process: {type(error).__name__}: {error}",
                hint="what it is made of has to be installed on all nodes, or sent along by the runtime_env of Ray",
                report=traceback.format_exc(),
            ) from error
        assert isinstance(found, cls)
        return found


class Evaluator:
    """What a worker does: it evaluates, and knows nothing of any tree."""

    def __init__(self, matter: bytes, seed: str) -> None:
        with reported():
            self._problem = Matter.unpickled(matter).problem
        self._rng = Random(seed)

    def evaluate(self, tasks: Sequence[Task]) -> Answers:
        """The evaluations of tasks."""
        with reported():
            return evaluate_tasks(self._problem, tasks, self._rng)


@contextmanager
def reported() -> Iterator[None]:
    """Let what a problem does wrong out with the traceback of this process, which its exception does not take along."""
    try:
        yield
    except ProblemFailedError:
        raise
    except ProblemError as error:
        raise ProblemFailedError(error.message, error.hint, traceback.format_exc()) from None
