"""The half of a tree that works itself: it evaluates what it would ask others for, until a budget is spent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Self

from crdtgraph.errors import LocalError
from crdtgraph.mcts.asking import FLUSH_EVERY, Asker
from crdtgraph.mcts.budget import Budget, Meter, Spent, Stop
from crdtgraph.mcts.lines import Best, line, ordered
from crdtgraph.mcts.nodes import Edge

FLUSH_AFTER_S = 0.05
"""As `FLUSH_EVERY`, for problems that take long."""
GIVE_WAY_S = 0.005
"""So long a tree works at most, in whole iterations, before others may run."""
ALONE_EVERY = 8_192
"""Iterations between two counts while nobody else was heard of on the search: a node that is counted often is counted
once then, and whoever comes learns of it within a second."""
ALONE_AFTER_S = 1.0
"""The same as a time."""
BATCH = 16
"""States in one call of a problem that evaluates many."""
LOOK_EVERY = 8
"""Iterations between two looks at who leads at the root, for a budget that asks."""


class Runner(Asker):
    """A tree that runs."""

    # Running

    def run(
        self,
        budget: Budget | int,
        *,
        now: Callable[[], float] | None = None,
        batch: int | None = None,
        on_progress: Callable[[Self], object] | None = None,
    ) -> Spent:
        """Search until the budget is spent, and count everything.

        Args:
            budget: a `Budget`, or a number of iterations.
            now: a clock in seconds, by default the graph's.
            batch: evaluate so many leaves at once; by default 16 for a problem with `evaluate_many`, else 1.
            on_progress: called now and then, at least every 64 iterations.

        Raises ProblemError when the problem fails, LocalError when there is nothing to choose at the root. What was
        found until then is counted.
        """
        steps = self._steps(Budget.of(budget), now, batch)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                spent: Spent = done.value
                return spent
            if on_progress is not None:
                on_progress(self)

    async def run_async(
        self,
        budget: Budget | int,
        checkpoint: Callable[[], Awaitable[object]],
        *,
        now: Callable[[], float] | None = None,
        batch: int | None = None,
    ) -> Spent:
        """The same, and give way to others every 5 ms.

        Beside a node `checkpoint` is a `sync.Turns()`, which lets it do all that it has to; others may do with
        `trio.lowlevel.checkpoint`, which lets each task that can run take one step.
        """
        steps = self._steps(Budget.of(budget), now, batch)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                spent: Spent = done.value
                return spent
            await checkpoint()

    def _steps(
        self, budget: Budget, now: Callable[[], float] | None, batch: int | None
    ) -> Generator[None, None, Spent]:
        if batch is None:
            batch = BATCH if self._referee.takes_batches else 1
        if type(batch) is not int or batch < 1:
            raise LocalError(f"a batch of {batch!r:.80} leaves", hint="it is a number, at least 1")
        clock = now if now is not None else lambda: self._graph.now_us() / 1e6
        root = self._growth.root.child
        if not root.actions:
            raise LocalError(
                "there is nothing to search: the state at the root has no actions",
                hint="begin at a state that is not over; actions(state) must not be empty there",
            )
        start = shown = counted = clock()
        # When others had their turn; None until the clock is read again, which is done once a simulation.
        gave_way: float | None = start
        meter = Meter(budget, start)
        stop: Stop | None = None
        uncounted = 0
        try:
            while stop is None:
                left = meter.left()
                before = self.iterations
                if batch == 1:
                    self._iterate()
                else:
                    self._iterate_many(batch if left is None else min(batch, left))
                done = self.iterations - before
                meter.iterations += done
                self._since_flush += done
                time = clock()
                if self._since_flush >= FLUSH_EVERY or time - shown >= FLUSH_AFTER_S:
                    uncounted += self._since_flush
                    if self._growth.has_company or uncounted >= ALONE_EVERY or time - counted >= ALONE_AFTER_S:
                        self.flush()
                        counted, uncounted = time, 0
                    else:
                        self.look()
                    shown = time
                    yield
                    gave_way = None
                elif gave_way is None:
                    gave_way = time
                elif time - gave_way >= GIVE_WAY_S:
                    yield
                    gave_way = None
                if self.iterations >= self._room_at:
                    self._make_room()
                if meter.watches_leader() and meter.iterations % LOOK_EVERY < done:
                    meter.note_leader(*self._leader())
                stop = meter.stop(time)
                if root.proven is not None and stop is None:
                    stop = Stop.PROVEN
        finally:
            if self.search.is_open:
                self.flush()
                if len(self) > self._growth.nodes_max:
                    self._make_room()
                # Once a run, and not whenever a clock says so: the same search is to be written the same way.
                self._growth.offer(list(line(self._growth.root, Best.VISITS, self._referee.ends)))
        return meter.spent(clock(), stop)

    def _iterate(self) -> None:
        """One simulation. What is not in flight for others to see needs no taking back either."""
        growth, referee = self._growth, self._referee
        path = growth.descend()
        position = path[-1].child
        rewards = position.proven
        if rewards is None:
            state = position.state
            if state is None:
                state = growth.state(path)
            rewards, priors = referee.read(referee.evaluate(state, self._rng), position.actions)
            if priors is not None or growth.thinks:
                growth.think(position, priors)
        growth.settle(path, rewards)
        self.iterations += 1

    def _iterate_many(self, count: int) -> None:
        tasks = self.ask(count)
        if not tasks:
            return
        try:
            answers = self._referee.evaluate_many([task.state for task in tasks], self._rng)
            self.tell(zip([task.id for task in tasks], answers, strict=True))
        finally:
            self.give_back([task.id for task in tasks])

    def _leader(self) -> tuple[Edge | None, float]:
        position = self._growth.root.child
        edges = ordered(position, Best.VISITS, self._referee.ends)
        if not edges:
            return None, 0.0
        second = edges[1].visits if len(edges) > 1 else 0
        return edges[0], (edges[0].visits - second) / max(1, position.visits)
