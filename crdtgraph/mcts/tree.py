"""`SearchTree`: Monte Carlo tree search in a search of the graph, alone or with any number of others.

    with crdtgraph.open(url) as graph:
        tree = SearchTree(graph, Nim(), name="move 12", seed=7)
        tree.run(Budget(iterations=10_000))
        tree.promote(ref="best")

Inside it is ask and tell: `ask` selects leaves and marks them as in flight, whoever likes evaluates them, `tell` takes
the answers back up the tree. `run` does all three. Trees of other processes on a search of the same name grow the same
tree; what they find is taken over every few iterations, and nobody waits for anybody.

With one writer, equal seeds make equal commits: no clock and no randomness comes in but by arguments.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from random import Random
from types import TracebackType
from typing import Any

from crdtgraph.errors import LocalError
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId
from crdtgraph.mcts.budget import Budget, Meter, Spent, Stop
from crdtgraph.mcts.growth import NODES_MAX, Widening
from crdtgraph.mcts.keeping import Keeper
from crdtgraph.mcts.lines import Best, Node, line, ordered, top, view
from crdtgraph.mcts.nodes import Edge
from crdtgraph.mcts.pruning import Hopeful, Keep, MostVisited, losers
from crdtgraph.mcts.referee import Referee
from crdtgraph.mcts.rules import UCT, Chooser, InFlight, Rule
from crdtgraph.mcts.sharing import SharedGrowth
from crdtgraph.mcts.statistics import Statistics
from crdtgraph.mcts.tasks import Flights, Task
from crdtgraph.search import Search

FLUSH_EVERY = 64
"""Iterations between two looks at what others did and two counts of what was done here: some ms of a fast problem."""
FLUSH_AFTER_S = 0.02
"""The same as a time, for problems that take long."""
BATCH = 16
"""States in one call of a problem that evaluates many."""
LOOK_EVERY = 8
"""Iterations between two looks at who leads at the root, for a budget that asks."""
PRUNED_SHARE = 0.75
"""A tree that has as many nodes as it may have is pruned to this share of them, if rules of keeping allow."""


class SearchTree:
    """A search tree of one problem. A context manager that counts what is left to count at the end.

    Args:
        search: an open search, or a graph, of which the search `name` is opened or joined. A search may have several
            trees, in one process or in many.
        problem: see `Problem`. Trees of one search must have the same.
        name: of the search, when a graph is given.
        root: a commit of the search or the ledger where the tree begins, by default one that stands for the problem's
            initial state. When it, or what it follows from, was made by a tree, its actions are applied first.
        rule: how to select: `UCT()` (the default), `PUCT()` or one of your own.
        rng: the source of all that is random, or `seed` for a new one; by default the seed is 0.
        in_flight: how simulations that are under way count in the selection.
        widening: progressive widening, by default none.
        solve: take over what is proven by the ends of lines that were seen (MCTS solver).
        nodes_max: so many commits in memory at most; beyond, hopeless subtrees are discarded, and if all have hope, no
            new nodes are made.

    Raises ProblemError and ProblemMismatchError for a problem that cannot be searched here, LocalError for what else is
    wrong.
    """

    def __init__(
        self,
        search: Search | Graph,
        problem: Any,
        *,
        name: str = "mcts",
        root: CommitId | None = None,
        rule: Rule | None = None,
        rng: Random | None = None,
        seed: int = 0,
        in_flight: InFlight = InFlight.WU_UCT,
        widening: Widening | None = None,
        solve: bool = True,
        nodes_max: int = NODES_MAX,
    ) -> None:
        if not isinstance(search, Search | Graph):
            raise LocalError(
                f"{search!r:.80} is neither a search nor a graph", hint="SearchTree(graph, problem, name=...)"
            )
        if type(nodes_max) is not int or nodes_max < 1:
            raise LocalError(f"nodes_max is {nodes_max!r:.80}", hint="it is a number of commits, at least 1")
        if widening is not None and not isinstance(widening, Widening):
            raise LocalError(f"widening is {widening!r:.80}", hint="Widening(k=1.0, alpha=0.5)")
        referee = Referee(problem)
        chooser = Chooser(UCT() if rule is None else rule, in_flight, referee.loss, referee.middle)
        graph = search if isinstance(search, Graph) else search._graph
        # A handle of its own: what is written through another one, by another tree of this process, is news here.
        self.search = graph.search(name if isinstance(search, Graph) else search.name)
        self._graph = graph
        self._referee = referee
        self._rng = Random(seed) if rng is None else rng
        self._is_blind = in_flight is InFlight.IGNORED
        self._growth = SharedGrowth(
            self.search, referee, chooser, self._rng, widening=widening, solve=solve, nodes_max=nodes_max
        )
        self._keeper = Keeper(graph, self.search, self._growth)
        self._flights = Flights()
        self.iterations = 0
        """Simulations that this tree has counted."""
        self._since_flush = 0
        self._growth.join(graph)
        try:
            self._actions = self._keeper.plant(root)
        except BaseException:
            self._growth.leave()
            raise

    @classmethod
    def resume(cls, graph: Graph, target: CommitId | str, problem: Any, *, name: str, **options: Any) -> SearchTree:
        """Go on from what an earlier search promoted, in a new search.

        Args:
            graph: whose ledger has it.
            target: a promoted commit, or a ref or another name of one.
            problem: the same as before.
            name: of the new search; that of one that was closed cannot be used again.
            options: as for a new tree.

        The tree begins at the root that the earlier one had, and its promoted nodes begin with what was counted of
        them. Raises LocalError when nothing was promoted there, ProblemMismatchError when it is about another problem.
        """
        root = Keeper.root_of(graph, target, Referee(problem).fingerprint)
        return cls(graph, problem, name=name, root=root, **options)

    def __enter__(self) -> SearchTree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """How many commits it knows of and keeps."""
        return len(self._growth.by_commit)

    def close(self) -> None:
        """Count what is left to count and listen no more; the search stays open. Closing again does nothing."""
        self.give_back([task.id for task in self._flights.tasks()])
        if self.search.is_open:
            self._growth.flush()
            self._growth.leave()

    # Ask and tell

    def ask(self, count: int = 1) -> list[Task]:
        """Begin so many simulations; returns what is to be evaluated, and marks it as in flight.

        Simulations that come to where rewards are certain end at once and are no tasks, so there may be fewer, or none.
        Raises ProblemError when the problem fails; nothing stays in flight then.
        """
        if type(count) is not int or count < 1:
            raise LocalError(f"{count!r:.80} simulations were asked for", hint="ask for 1 or more")
        self._look_around(count)
        growth, tasks = self._growth, []
        try:
            for _ in range(count):
                path = growth.descend()
                position = path[-1].child
                if position.proven is not None:
                    growth.settle(path, position.proven)
                    self.iterations += 1
                    continue
                actions = (*self._actions, *[edge.action for edge in path[1:]])
                state = growth.state(path)
                if not self._is_blind:
                    growth.fly(path, 1)
                tasks.append(self._flights.begin(path, actions, state))
        except BaseException:
            self.give_back([task.id for task in tasks])
            raise
        return tasks

    def tell(self, answers: Iterable[tuple[int, object]]) -> int:
        """End simulations: pairs of a task's id and its evaluation. Returns how many were still awaited.

        Tasks that were given back, or told already, are passed over. Raises ProblemError for an evaluation that is
        none, after all others were counted; its task is given back.
        """
        growth, told, wrong = self._growth, 0, None
        for number, answer in answers:
            path = self._flights.end(number)
            if path is None:
                continue
            if not self._is_blind:
                growth.fly(path, -1)
            position = path[-1].child
            try:
                rewards, priors = self._referee.read(answer, position.actions)
            except LocalError as error:
                wrong = wrong or error
                continue
            growth.think(position, priors)
            growth.settle(path, rewards)
            told += 1
        self.iterations += told
        if wrong is not None:
            raise wrong
        return told

    def give_back(self, tasks: Iterable[int]) -> None:
        """These tasks will not be told: they are no longer in flight."""
        for number in tasks:
            path = self._flights.end(number)
            if path is not None and not self._is_blind:
                self._growth.fly(path, -1)

    def inflight(self) -> dict[CommitId, int]:
        """What is in flight here, by commit: what to tell other trees, which `set_remote_inflight` there."""
        return self._flights.by_commit()

    def set_remote_inflight(self, source: str, flying: Mapping[CommitId, int]) -> None:
        """What somebody else has in flight now. Replaces what was set for this source; nothing is `{}`."""
        if not self._is_blind:
            self._growth.fly_far(source, flying)

    def flush(self) -> None:
        """Count in the search what was not counted yet, and take over what others did."""
        self._since_flush = 0
        self._growth.flush()
        self._growth.hear()
        if len(self._growth.by_commit) >= self._growth.nodes_max:
            self._make_room()

    # Running

    def run(
        self,
        budget: Budget | int,
        *,
        now: Callable[[], float] | None = None,
        batch: int | None = None,
        on_progress: Callable[[SearchTree], object] | None = None,
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
        """The same, and give way to others every few milliseconds: `checkpoint` is `trio.lowlevel.checkpoint`, say."""
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
        start = shown = clock()
        meter = Meter(budget, start)
        stop: Stop | None = None
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
                    self.flush()
                    shown = time
                    yield
                if meter.watches_leader() and meter.iterations % LOOK_EVERY < done:
                    meter.note_leader(*self._leader())
                stop = meter.stop(time)
                if root.proven is not None and stop is None:
                    stop = Stop.PROVEN
        finally:
            if self.search.is_open:
                self.flush()
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
            if priors is not None:
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

    # What was found

    @property
    def root(self) -> CommitId:
        """The commit at the root."""
        commit = self._growth.root.commit
        assert commit is not None, "the root has a commit"
        return commit

    @property
    def actions(self) -> tuple[Any, ...]:
        """The actions from the problem's initial state to the root."""
        return self._actions

    def best_action(self, best: Best = Best.VISITS) -> Any:
        """What to do at the root. Raises LocalError while nothing was tried there."""
        edges = ordered(self._growth.root.child, best, self._referee.middle)
        if not edges:
            raise LocalError("nothing was tried at the root yet", hint="run the tree first")
        return edges[0].action

    def best_line(self, best: Best = Best.VISITS) -> list[Node]:
        """What is likely to happen from the root on: the best child, the best after it, and so on.

        It ends where nothing was tried, where chance moves, and where it would come back to itself.
        """
        edges = line(self._growth.root, best, self._referee.middle)
        return [view(edge, depth) for depth, edge in enumerate(edges, 1)]

    def children(self, line: Sequence[Any] = ()) -> list[Node]:
        """What was tried at the root, or after these actions, the best first. Raises LocalError where nobody was."""
        edge = self._keeper.find(line)
        return [view(child, len(line) + 1) for child in ordered(edge.child, Best.VISITS, self._referee.middle)]

    def top(self, depth: int = 2, visits_min: int = 1) -> Iterator[Node]:
        """The root and what is below it, to a depth, each node after its parent, the best first."""
        for edge, level in top(self._growth.root, depth, visits_min, self._referee.middle):
            yield view(edge, level)

    def statistics(self, commit: CommitId) -> Statistics:
        """What this tree knows to be counted of the position that a commit leads to; nothing of one it never saw.

        Transpositions are added up, what is not flushed yet is in it, squares are those of this way alone.
        """
        edge = self._growth.by_commit.get(commit)
        return Statistics() if edge is None else Statistics(edge.child.visits, edge.child.value, edge.squared)

    # Keeping and throwing away

    def promote(
        self,
        target: CommitId | Sequence[Node] | None = None,
        *,
        ref: str | None = None,
        visits_min: int | None = None,
    ) -> CommitId:
        """Copy a node with all above it to the ledger, together with what was counted of them; returns its commit.

        Args:
            target: a commit of the tree, or a line of nodes; by default the best line.
            ref: point this ref at it; LocalError if it cannot move there.
            visits_min: also copy every node below the root with at least so many visits, for `resume` to go on with.
        """
        self.flush()
        return self._keeper.promote(target, ref=ref, visits_min=visits_min)

    def prune(self, keep: Keep | None = None, *, fraction: float | None = None) -> int:
        """Discard subtrees, here and for all writers, for good; returns how many. O(tree).

        Args:
            keep: the rule; by default `Hopeful()`: what can hardly win any more goes.
            fraction: instead, this share of the children of every node with enough visits, the least visited.
        """
        if fraction is not None:
            keep = MostVisited(fraction)
        growth = self._growth
        growth.flush()
        span = self._referee.high - self._referee.low
        found = losers(growth.root, Hopeful() if keep is None else keep, span, growth.new_mark())
        for position, edge in found:
            growth.throw_away(position, edge)
        if found:
            growth.sweep()
        return len(found)

    def advance(self, action: Any, *, discard: bool = False) -> None:
        """An action was taken: the node it leads to is the root from now on, and the rest of the tree is forgotten.

        With `discard` the rest is thrown away for all writers, too. Raises LocalError for what is no action at the
        root.
        """
        self.flush()
        self._keeper.advance(action, discard=discard)
        self._actions = (*self._actions, self._growth.root.action)

    # Inside

    def _look_around(self, count: int) -> None:
        """Before tasks are made: at once if they are few, since each may take long."""
        self._since_flush += max(count, FLUSH_EVERY // 8)
        if self._since_flush >= FLUSH_EVERY:
            self.flush()

    def _leader(self) -> tuple[Edge | None, float]:
        position = self._growth.root.child
        edges = ordered(position, Best.VISITS, self._referee.middle)
        if not edges:
            return None, 0.0
        second = edges[1].visits if len(edges) > 1 else 0
        return edges[0], (edges[0].visits - second) / max(1, position.visits)

    def _make_room(self) -> None:
        rules: tuple[Keep, ...] = (Hopeful(3), Hopeful(2), Hopeful(1), MostVisited(0.5))
        for rule in rules:
            if self.prune(rule) and len(self) <= PRUNED_SHARE * self._growth.nodes_max:
                return
