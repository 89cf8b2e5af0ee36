"""Simulations that are under way: what is to be evaluated, by whom so ever, and the way back up the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from crdtgraph.ids import CommitId
from crdtgraph.mcts.nodes import Edge
from crdtgraph.mcts.referee import Referee


@dataclass(frozen=True, slots=True)
class Task:
    """A leaf to evaluate: `actions` lead to it from the problem's initial state, `commit` is its node.

    `state` is there for who evaluates it in this process; who is elsewhere applies the actions.
    """

    id: int
    commit: CommitId
    actions: tuple[Any, ...]
    state: Any = field(default=None, repr=False)


class Flights:
    """What one tree has in flight."""

    def __init__(self) -> None:
        self._flights: dict[int, tuple[Task, list[Edge]]] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._flights)

    def begin(self, path: list[Edge], actions: tuple[Any, ...], state: Any) -> Task:
        """A simulation along a path begins."""
        commit = path[-1].commit
        assert commit is not None, "every edge of a path has a commit"
        self._number += 1
        task = Task(self._number, commit, actions, state)
        self._flights[task.id] = task, path
        return task

    def end(self, number: int) -> list[Edge] | None:
        """The path of a task that is over; None if it was over before."""
        found = self._flights.pop(number, None)
        return None if found is None else found[1]

    def path(self, number: int) -> list[Edge]:
        """The edges from the root to the leaf of a task that is under way."""
        return self._flights[number][1]

    def tasks(self) -> list[Task]:
        """Those that are under way, the oldest first."""
        return [task for task, _ in self._flights.values()]

    def by_commit(self) -> dict[CommitId, int]:
        """How many go through each commit."""
        found: dict[CommitId, int] = {}
        for _, path in self._flights.values():
            for edge in path:
                if edge.commit is not None:
                    found[edge.commit] = found.get(edge.commit, 0) + 1
        return found


def evaluate_tasks(problem: Any, tasks: Sequence[Task], rng: Random) -> list[tuple[int, object]]:
    """Evaluate tasks for `SearchTree.tell`, in one call if the problem can; what every worker does.

    Raises ProblemError when the problem fails.
    """
    referee = Referee(problem)
    states = []
    for task in tasks:
        state = task.state
        if state is None:
            state = referee.initial()
            for action in task.actions:
                state = referee.apply(state, action)
        states.append(state)
    answers = referee.evaluate_many(states, rng)
    return list(zip([task.id for task in tasks], answers, strict=True))
