"""The workers beside one tree: batches of tasks go out to them, results come back, and whoever is lost is replaced.

A worker always has two batches: one that it works on and one that waits for it, so that it is never idle while its
results are on their way. What a lost worker had goes back to the tree, as if it had never been asked for, and another
is started in its place. Some of that is an accident; a problem that ends every process that evaluates it is not,
so losses in a row without a result in between have a limit.

Nothing here knows Ray: the workers are behind `Pool`, the tree is behind `Desk`, and time is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from sync.fleet.errors import FleetLostError, WorkerLostError

AHEAD = 2
"""Batches that a worker has at once."""
LOSSES_MAX = 5
"""Of workers one after the other, with no result in between, until it is the problem's fault."""
WAIT_S = 0.1
"""At most at once for results, so that a lease ends in time."""

Task = TypeVar("Task")
Result = TypeVar("Result")
Ticket = TypeVar("Ticket")
TicketIn = TypeVar("TicketIn")
TaskIn = TypeVar("TaskIn", contravariant=True)
ResultIn = TypeVar("ResultIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)


class Pool(Protocol[TaskIn, ResultOut, TicketIn]):
    """Workers by number, on this node."""

    def hire(self, number: int) -> None:
        """Start a worker."""

    def dismiss(self, number: int) -> None:
        """End a worker, whatever it is at."""

    def submit(self, number: int, tasks: Sequence[TaskIn]) -> TicketIn:
        """Give a worker a batch; returns at once."""

    def wait(self, tickets: Sequence[TicketIn], timeout_s: float) -> Sequence[TicketIn]:
        """Those of the tickets that are done, as soon as there is one or the time is over."""

    def results(self, ticket: TicketIn) -> Sequence[ResultOut]:
        """What came of a batch that is done; WorkerLostError or ProblemFailedError."""


class Desk(Protocol[Task, ResultIn]):
    """The tree, as far as workers are concerned."""

    @property
    def iterations(self) -> int:
        """How many iterations have ended."""

    @property
    def is_over(self) -> bool:
        """Whether more iterations would change nothing."""

    def ask(self, count: int) -> Sequence[Task]:
        """Begin so many iterations; those that need a worker are tasks, the others end at once."""

    def tell(self, results: Sequence[ResultIn]) -> None:
        """End iterations."""

    def forget(self, tasks: Sequence[Task]) -> None:
        """These will not be answered."""


@dataclass(frozen=True, slots=True)
class Work:
    """What came of one lease.

    Attributes:
        done: iterations that have ended.
        unused: iterations that were granted and not even asked for, or went back to the tree with a lost worker.
        under_way: iterations that are with workers now, and count in a later lease.
        lost: workers that were lost meanwhile.
        exhausted: whether there is nothing more to find.
    """

    done: int
    unused: int
    under_way: int
    lost: int
    exhausted: bool


@dataclass(frozen=True, slots=True)
class _Batch(Generic[Task]):
    worker: int
    tasks: Sequence[Task]
    since: float


class Crew(Generic[Task, Result, Ticket]):
    """The workers of one node.

    Args:
        pool: starts and talks to them.
        desk: where tasks come from and results go.
        batch: tasks in one batch.
        now: seconds, from any origin.
        patience_s: a batch that takes longer counts as a lost worker.
    """

    def __init__(
        self,
        pool: Pool[Task, Result, Ticket],
        desk: Desk[Task, Result],
        *,
        batch: int,
        now: Callable[[], float],
        patience_s: float,
    ) -> None:
        self._pool = pool
        self._desk = desk
        self._batch = batch
        self._now = now
        self._patience_s = patience_s
        self._batches: dict[Ticket, _Batch[Task]] = {}
        self._load: dict[int, int] = {}
        self._losses_in_a_row = 0
        self._lost = 0
        self._returned = 0

    @property
    def under_way(self) -> int:
        """Tasks that are with workers."""
        return sum(len(batch.tasks) for batch in self._batches.values())

    def employ(self, count: int) -> None:
        """Have so many workers from now on. What those that go were at is given back to the tree."""
        for number in range(len(self._load), count):
            self._pool.hire(number)
            self._load[number] = 0
        for number in range(count, len(self._load)):
            self._pool.dismiss(number)
            del self._load[number]
            self._give_back(number)

    def lease(self, iterations: int, seconds: float) -> Work:
        """Work until so many more iterations are done, or for so long.

        Raises ProblemFailedError when the problem raised, FleetLostError when workers do not stay.
        """
        end = self._now() + seconds
        before, granted, self._lost = self._desk.iterations, iterations, 0
        while True:
            granted, self._returned = granted + self._returned, 0
            if not self._desk.is_over:
                granted = self._hand_out(granted)
            left = end - self._now()
            if left <= 0 or not self._load or (not self._batches and (granted <= 0 or self._desk.is_over)):
                break
            if self._batches:
                for ticket in self._pool.wait([*self._batches], min(left, WAIT_S)):
                    self._take(ticket)
                self._replace_the_stuck()
        done = self._desk.iterations - before
        return Work(done, granted + self._returned, self.under_way, self._lost, self._desk.is_over)

    def stop(self) -> None:
        """End all workers."""
        self.employ(0)

    def _hand_out(self, granted: int) -> int:
        """Give every worker something to do; what is left of the grant."""
        for round_ in range(AHEAD):
            for number in self._load:
                if granted <= 0:
                    return 0
                if self._load[number] > round_:
                    continue
                # At the end of a grant all workers get a part of it, rather than one all of it.
                fair = -(-granted // (len(self._load) * AHEAD))
                count = min(self._batch, fair)
                tasks = self._desk.ask(count)
                granted -= count
                if tasks:
                    ticket = self._pool.submit(number, tasks)
                    self._batches[ticket] = _Batch(number, tasks, self._now())
                    self._load[number] += 1
        return granted

    def _take(self, ticket: Ticket) -> None:
        batch = self._batches.get(ticket)
        if batch is None:
            return  # It went back to the tree a moment ago, with others of its worker.
        try:
            results = self._pool.results(ticket)
        except WorkerLostError as error:
            self._replace(batch.worker, error)
            return
        del self._batches[ticket]
        self._load[batch.worker] -= 1
        self._losses_in_a_row = 0
        self._desk.tell(results)

    def _replace_the_stuck(self) -> None:
        # The second batch of a worker waits for the first.
        limit_s = AHEAD * self._patience_s
        before = self._now() - limit_s
        for number in {batch.worker: None for batch in self._batches.values() if batch.since < before}:
            self._replace(number, WorkerLostError(f"a worker did not answer within {limit_s:g} s"))

    def _replace(self, number: int, error: WorkerLostError) -> None:
        self._pool.dismiss(number)
        self._give_back(number)
        self._lost += 1
        self._losses_in_a_row += 1
        if self._losses_in_a_row > LOSSES_MAX:
            raise FleetLostError(
                f"{self._losses_in_a_row} workers were lost one after the other: {error}",
                hint="does evaluating the problem end the process, or take up all memory?",
            ) from error
        self._pool.hire(number)
        self._load[number] = 0

    def _give_back(self, number: int) -> None:
        for ticket, batch in [*self._batches.items()]:
            if batch.worker == number:
                del self._batches[ticket]
                self._desk.forget(batch.tasks)
                self._returned += len(batch.tasks)
