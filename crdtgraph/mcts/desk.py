"""The desk of a tree: workers come, are given leaves to evaluate, and bring answers back, until a budget is spent.

Sans-IO: who the workers are and how they come is the caller's business, the time is an argument. It holds at any
moment, whatever workers do:

- Every simulation that is in flight is with one worker, or waits for one. A worker that leaves, or keeps a task longer
  than its lease, has lost its tasks: they are no longer in flight, and the tree selects anew.
- No more simulations are begun than the budget has left.
- A task that fails is tried again with another worker, if there is one. When one leaf has failed `FAILURES_MAX` times,
  or as many workers were lost over it, the search ends with the error of the last: three workers do not fail on the
  same leaf by chance, and to go on would mean to leave it out in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from crdtgraph.errors import LocalError
from crdtgraph.ids import CommitId
from crdtgraph.mcts.budget import Budget, Meter, Spent, Stop
from crdtgraph.mcts.errors import ProblemError
from crdtgraph.mcts.tasks import Task
from crdtgraph.mcts.tree import SearchTree

FAILURES_MAX = 3
"""The first try and two more."""
LEASE_S = 600.0
"""How long a worker may keep a task: longer than an evaluation takes. One that died is noticed by its connection; this
is for those that hang."""
TASKS_MAX = 1_024
"""That one worker may have at a time."""
FLUSH_AFTER_S = 0.02
"""What was told is counted in the search so often, as in a tree that runs itself."""
TRIES = 8
"""Of asking a tree whose simulations all end at once because they are certain."""


@dataclass(frozen=True, slots=True)
class Order:
    """A leaf for a worker: the texts of the actions that lead to it from the problem's initial state."""

    id: int
    line: tuple[str, ...]


@dataclass(slots=True)
class WorkerCard:
    """What is known of a worker: how many tasks it has, how many it has answered and how many have failed with it."""

    name: str
    tasks: int = 0
    told: int = 0
    failed: int = 0


class WorkersFailedError(ProblemError):
    """A problem failed with several workers on the same leaf; `detail` is the traceback in the last of them."""

    def __init__(self, message: str, hint: str = "", detail: str = "") -> None:
        super().__init__(message, hint)
        self.detail = detail
        if detail:
            self.add_note(detail)


@dataclass(slots=True)
class _Lease:
    """A task that is with a worker."""

    task: Task
    order: Order
    worker: str
    until: float
    failed_with: set[str] = field(default_factory=set)


class Desk:
    """Hands the tasks of one tree to workers.

    Args:
        tree: nobody else may run it meanwhile.
        budget: as for `SearchTree.run`.
        now: seconds of the clock that all calls use.
        lease_s: how long a worker may keep a task.

    Raises LocalError when there is nothing to choose at the root, as `SearchTree.run` does.
    """

    def __init__(self, tree: SearchTree, budget: Budget | int, *, now: float, lease_s: float = LEASE_S) -> None:
        if not tree._growth.root.child.actions:
            raise LocalError(
                "there is nothing to search: the state at the root has no actions",
                hint="begin at a state that is not over; actions(state) must not be empty there",
            )
        self.tree = tree
        self.workers: dict[str, WorkerCard] = {}
        self.spent: Spent | None = None
        """How the search went, once it is over."""
        self.error: LocalError | None = None
        """Why it ended before its budget was spent; `spent` stays None then."""
        self.budget = Budget.of(budget)
        self._meter = Meter(self.budget, now)
        self._ends_at = now + self.budget.seconds if self.budget.seconds is not None else float("inf")
        self._begun_at = tree.iterations
        self._lease_s = lease_s
        self._leases: dict[int, _Lease] = {}
        self._again: list[_Lease] = []
        self._failures: Counter[CommitId] = Counter()
        self._root_line = _root_line(tree)
        self._flushed = now

    @property
    def is_over(self) -> bool:
        """Whether nobody needs to work any more."""
        return self.spent is not None or self.error is not None

    @property
    def in_flight(self) -> int:
        """How many simulations are under way."""
        return len(self._leases) + len(self._again)

    @property
    def fingerprint(self) -> bytes:
        """Which problem it is about; a worker must have the same."""
        return self.tree._referee.fingerprint

    @property
    def iterations(self) -> int:
        """How many simulations have ended."""
        return self.tree.iterations - self._begun_at

    @property
    def deadline(self) -> float:
        """When `tick` has something to do at the latest."""
        return min([lease.until for lease in self._leases.values()] + [self._ends_at])

    def join(self, worker: str) -> None:
        """A worker has come. Its name must be its own: LocalError if another one has it."""
        if worker in self.workers:
            raise LocalError(f"a worker {worker!r} is here already", hint="give each worker a name of its own")
        self.workers[worker] = WorkerCard(worker)

    def ask(self, worker: str, count: int, now: float) -> list[Order]:
        """At most so many leaves for a worker. None at all: the search is over, or others have to answer first.

        Raises ProblemError when the problem fails here; the search is over then.
        """
        card = self.workers[worker]
        self.tick(now)
        orders: list[Order] = []
        count = min(count, TASKS_MAX - card.tasks)
        for _ in range(TRIES):
            if len(orders) >= count or self.is_over:
                break
            orders += self._retries(worker, count - len(orders), now) or self._fresh(worker, count - len(orders), now)
        return orders

    def tell(self, worker: str, answers: Iterable[tuple[int, object]], now: float) -> None:
        """Answers of a worker. Those to tasks that it has not, or no longer, are passed over."""
        card, good = self.workers[worker], []
        for number, answer in answers:
            lease = self._leases.get(number)
            if lease is None or lease.worker != worker:
                continue
            try:
                self._check(number, answer)
            except ProblemError as error:
                self.fail(worker, number, f"{error.message}; {error.hint}", "")
                continue
            del self._leases[number]
            card.tasks -= 1
            card.told += 1
            self._failures.pop(lease.task.commit, None)
            good.append((number, answer))
        if good and self._is_open():
            with self._ending():
                self.tree.tell(good)
            self._note(now)

    def fail(self, worker: str, number: int, message: str, detail: str) -> None:
        """A worker could not evaluate a task: what was wrong in one line, and the traceback."""
        lease = self._leases.get(number)
        if lease is None or lease.worker != worker:
            return
        del self._leases[number]
        card = self.workers[worker]
        card.tasks -= 1
        card.failed += 1
        lease.failed_with.add(worker)
        commit = lease.task.commit
        self._failures[commit] += 1
        self._again.append(lease)
        if self._failures[commit] >= FAILURES_MAX:
            self._end(
                WorkersFailedError(
                    f"worker {worker!r}: {message}",
                    hint=f"failed {FAILURES_MAX} times after {_shown(lease.order.line)}; what was found until then is "
                    "counted in the search",
                    detail=detail,
                )
            )

    def leave(self, worker: str) -> None:
        """A worker is gone, as it should or not: what it had is in flight no more."""
        if self.workers.pop(worker, None) is not None:
            self._lose([lease for lease in self._leases.values() if lease.worker == worker])

    def tick(self, now: float) -> None:
        """Take back what was kept too long, and see whether the time is over."""
        late = [lease for lease in self._leases.values() if lease.until <= now]
        for lease in late:
            self.workers[lease.worker].tasks -= 1
        self._lose(late)
        self._note(now)

    def stop(self, now: float) -> Spent:
        """End the search now, whatever the budget says; what is in flight is given back."""
        self._finish(self._meter.stop(now) or Stop.TIME, now)
        return self._meter.spent(now, Stop.TIME) if self.spent is None else self.spent

    # Inside

    def _retries(self, worker: str, count: int, now: float) -> list[Order]:
        """What failed with others, or with everybody who is here."""
        here = self.workers.keys()
        found = [lease for lease in self._again if worker not in lease.failed_with or here <= lease.failed_with][:count]
        for lease in found:
            self._again.remove(lease)
            lease.worker, lease.until = worker, now + self._lease_s
            self._leases[lease.task.id] = lease
        self.workers[worker].tasks += len(found)
        return [lease.order for lease in found]

    def _fresh(self, worker: str, count: int, now: float) -> list[Order]:
        left = self._meter.left()
        room = count if left is None else min(count, left - self.in_flight)
        if room < 1:
            return []
        with self._ending():
            tasks = self.tree.ask(room)
        orders = [Order(task.id, (*self._root_line, *self._line(task.id))) for task in tasks]
        for task, order in zip(tasks, orders, strict=True):
            self._leases[task.id] = _Lease(task, order, worker, now + self._lease_s)
        self.workers[worker].tasks += len(tasks)
        self._note(now)
        return [] if self.is_over else orders

    def _line(self, number: int) -> list[str]:
        return [edge.text for edge in self.tree._flights.path(number)[1:]]

    def _check(self, number: int, answer: object) -> None:
        self.tree._referee.read(answer, self.tree._flights.path(number)[-1].child.actions)

    def _lose(self, leases: Sequence[_Lease]) -> None:
        """Tasks whose worker is gone, or might be."""
        for lease in leases:
            del self._leases[lease.task.id]
            self._failures[lease.task.commit] += 1
        self.tree.give_back([lease.task.id for lease in leases])
        for lease in leases:
            if self._failures[lease.task.commit] >= FAILURES_MAX and not self.is_over:
                line = _shown(lease.order.line)
                self._end(
                    WorkersFailedError(
                        f"{FAILURES_MAX} workers were lost or failed while they evaluated {line}, the last of them was "
                        f"{lease.worker!r}",
                        hint="see how they ended; a task is lost when its worker goes, or keeps it for "
                        f"{self._lease_s:g} s",
                    )
                )

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """What the tree raises is the end of the search."""
        try:
            yield
        except LocalError as error:
            self._end(error)
            raise

    def _is_open(self) -> bool:
        """Whether to go on. Somebody may have closed the search, here or elsewhere."""
        if not self.is_over and not self.tree.search.is_open:
            self._end(
                LocalError(
                    f"search {self.tree.search.name!r} was closed while workers worked for it",
                    hint="what was promoted is in the ledger",
                )
            )
        return not self.is_over

    def _note(self, now: float) -> None:
        if not self._is_open():
            return
        meter = self._meter
        meter.iterations = self.iterations
        if meter.watches_leader():
            meter.note_leader(*self.tree._leader())
        stop = meter.stop(now) or (Stop.PROVEN if self.tree._growth.root.child.proven is not None else None)
        if stop is not None:
            self._finish(stop, now)
        elif now - self._flushed >= FLUSH_AFTER_S:
            self._flushed = now
            with self._ending():
                self.tree.flush()

    def _finish(self, stop: Stop, now: float) -> None:
        if not self.is_over:
            self._give_everything_back()
            self.spent = self._meter.spent(now, stop)

    def _end(self, error: LocalError) -> None:
        if not self.is_over:
            self.error = error
            self._give_everything_back()

    def _give_everything_back(self) -> None:
        leases = [*self._leases.values(), *self._again]
        self._leases.clear()
        self._again.clear()
        for card in self.workers.values():
            card.tasks = 0
        self.tree.give_back([lease.task.id for lease in leases])
        if self.tree.search.is_open:
            self.tree.flush()


def _root_line(tree: SearchTree) -> tuple[str, ...]:
    """The texts of the actions that lead to a tree's root."""
    referee, texts = tree._referee, []
    state = referee.initial()
    for action in tree.actions:
        actions = referee.actions(state)
        found = referee.texts(state, actions) or list(map(str, actions))
        texts.append(found[list(actions).index(action)])
        state = referee.apply(state, action)
    return tuple(texts)


def _shown(line: Sequence[str]) -> str:
    text = " ".join(line)
    return repr(text) if len(text) <= 200 else repr("... " + text[-200:])
