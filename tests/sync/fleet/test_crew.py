"""A crew with workers that are a list, and a tree that is a counter."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest

from sync.fleet.crew import AHEAD, LOSSES_MAX, Crew
from sync.fleet.errors import FleetLostError, ProblemFailedError, WorkerLostError


class Counter:
    """A tree that numbers its tasks; a result is the task's number."""

    def __init__(self, size: int = 10**9) -> None:
        self.left = size
        self.asked = 0
        self.at_once = 0
        self.answers_itself = False
        self.in_flight: set[int] = set()
        self.told: list[int] = []

    @property
    def iterations(self) -> int:
        return len(self.told) + self.at_once

    @property
    def is_over(self) -> bool:
        return self.left <= 0 and not self.in_flight

    def ask(self, count: int) -> list[int]:
        count = min(count, self.left)
        self.left -= count
        if self.answers_itself:
            self.at_once += count
            return []
        tasks = [*range(self.asked, self.asked + count)]
        self.asked += count
        self.in_flight |= {*tasks}
        return tasks

    def tell(self, results: Sequence[int]) -> None:
        self.in_flight -= {*results}
        self.told += results

    def forget(self, tasks: Sequence[int]) -> None:
        assert {*tasks} <= self.in_flight
        self.in_flight -= {*tasks}
        self.left += len(tasks)


class Hands:
    """Workers who answer when they are waited for, a second a wait; `fails` says which batches end how."""

    def __init__(self, clock: list[float]) -> None:
        self.clock = clock
        self.hired: list[int] = []
        self.dismissed: list[int] = []
        self.sizes: list[int] = []
        self.most_at_once = 0
        self.fails: dict[int, Exception] = {}
        self.stuck: set[int] = set()
        self._open: dict[int, tuple[int, list[int]]] = {}

    def hire(self, number: int) -> None:
        self.hired.append(number)
        self.stuck.discard(number)

    def dismiss(self, number: int) -> None:
        self.dismissed.append(number)

    def submit(self, number: int, tasks: Sequence[int]) -> int:
        ticket = len(self.sizes)
        self.sizes.append(len(tasks))
        self._open[ticket] = number, [*tasks]
        return ticket

    def wait(self, tickets: Sequence[int], timeout_s: float) -> list[int]:
        self.most_at_once = max(self.most_at_once, len(tickets))
        self.clock[0] += 1
        return [ticket for ticket in tickets if self._open[ticket][0] not in self.stuck][:1]

    def results(self, ticket: int) -> list[int]:
        _, tasks = self._open.pop(ticket)
        if ticket in self.fails:
            raise self.fails[ticket]
        return tasks


class Scene:
    def __init__(self, workers: int, size: int = 10**9, patience_s: float = 1000.0) -> None:
        self.clock = [0.0]
        self.tree = Counter(size)
        self.hands = Hands(self.clock)
        self.crew: Crew[int, int, int] = Crew(
            self.hands, self.tree, batch=10, now=lambda: self.clock[0], patience_s=patience_s
        )
        self.crew.employ(workers)


def test_a_lease_is_worked_off_to_the_last_iteration() -> None:
    scene = Scene(workers=2)
    work = scene.crew.lease(95, seconds=1000)
    assert (work.done, work.unused, work.under_way, work.lost, work.exhausted) == (95, 0, 0, 0, False)
    assert sorted(scene.tree.told) == [*range(95)]
    assert max(scene.hands.sizes) == 10
    assert scene.hands.most_at_once == 2 * AHEAD


def test_a_small_lease_is_shared_by_all_workers() -> None:
    scene = Scene(workers=4)
    scene.crew.lease(8, seconds=1000)
    assert scene.hands.sizes == [1] * 8


def test_at_the_end_of_its_time_a_lease_leaves_what_is_under_way_to_the_next() -> None:
    scene = Scene(workers=2)
    first = scene.crew.lease(100, seconds=3)
    assert first.done == 30
    assert first.under_way == 40
    assert first.done + first.unused + first.under_way == 100
    second = scene.crew.lease(first.unused, seconds=1000)
    assert (second.done, second.under_way) == (70, 0)


def test_what_a_lost_worker_had_is_done_by_another() -> None:
    scene = Scene(workers=2)
    scene.hands.fails = {1: WorkerLostError("killed"), 4: WorkerLostError("killed")}
    work = scene.crew.lease(100, seconds=1000)
    assert (work.done, work.unused, work.lost) == (100, 0, 2)
    assert not scene.tree.in_flight
    assert len(scene.hands.hired) == 4
    assert len(scene.hands.dismissed) == 2


def test_a_worker_that_does_not_answer_is_replaced() -> None:
    scene = Scene(workers=1, patience_s=10)
    scene.hands.stuck = {0}
    work = scene.crew.lease(20, seconds=1000)
    assert (work.done, work.lost) == (20, 1)
    assert scene.hands.hired == [0, 0]


def test_workers_that_are_lost_one_after_the_other_end_the_search() -> None:
    scene = Scene(workers=1)
    scene.hands.fails = {ticket: WorkerLostError("killed by signal 11") for ticket in range(1000)}
    with pytest.raises(FleetLostError, match="killed by signal 11"):
        scene.crew.lease(100, seconds=1000)
    assert len(scene.hands.hired) == 1 + LOSSES_MAX
    assert not scene.tree.in_flight


def test_many_losses_with_results_between_them_are_accidents() -> None:
    scene = Scene(workers=1)
    scene.hands.fails = {ticket: WorkerLostError("killed") for ticket in range(0, 8 * LOSSES_MAX, 4)}
    work = scene.crew.lease(400, seconds=1000)
    assert work.done == 400
    assert work.lost > LOSSES_MAX


def test_what_a_problem_raises_is_raised() -> None:
    scene = Scene(workers=1)
    scene.hands.fails = {1: ProblemFailedError("the problem raised", report="Traceback ...")}
    with pytest.raises(ProblemFailedError, match="the problem raised"):
        scene.crew.lease(100, seconds=1000)


def test_a_tree_in_which_nothing_is_left_to_find_ends_a_lease() -> None:
    scene = Scene(workers=2, size=25)
    work = scene.crew.lease(100, seconds=1000)
    assert (work.done, work.under_way, work.exhausted) == (25, 0, True)


def test_iterations_that_need_no_worker_count() -> None:
    scene = Scene(workers=2)
    scene.tree.answers_itself = True
    work = scene.crew.lease(100, seconds=1000)
    assert (work.done, work.unused, work.exhausted) == (100, 0, False)


def test_workers_come_and_go() -> None:
    scene = Scene(workers=3)
    first = scene.crew.lease(60, seconds=1)
    scene.crew.employ(1)
    assert scene.hands.dismissed == [1, 2]
    # What the others had is done by the one that is left.
    second = scene.crew.lease(first.unused, seconds=1000)
    assert (first.done + second.done, second.under_way) == (60, 0)
    scene.crew.employ(2)
    assert scene.hands.hired == [0, 1, 2, 1]
    scene.crew.stop()
    assert scene.crew.lease(10, seconds=1).done == 0


def test_a_failure_survives_pickling_with_the_worker_s_traceback() -> None:
    error = pickle.loads(pickle.dumps(ProblemFailedError("it raised", "mend it", "Traceback\nValueError: x")))
    assert (error.message, error.hint, error.report) == ("it raised", "mend it", "Traceback\nValueError: x")
    assert error.__notes__ == ["On the node:\nTraceback\nValueError: x"]
