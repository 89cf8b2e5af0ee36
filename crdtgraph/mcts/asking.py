"""The half of a tree that others work for: leaves are asked for, and answers are told.

Between the two a simulation is in flight. It ends when its answer is told or its task given back, and never twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from random import Random
from types import TracebackType
from typing import Any, Self

from crdtgraph.errors import LocalError
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId
from crdtgraph.mcts.growth import NODES_MAX
from crdtgraph.mcts.keeping import Keeper
from crdtgraph.mcts.pruning import Hopeful, Keep, MostVisited, losers
from crdtgraph.mcts.referee import Referee
from crdtgraph.mcts.rules import UCT, Chooser, InFlight, Rule
from crdtgraph.mcts.sharing import SharedGrowth
from crdtgraph.mcts.tasks import Flights, Task
from crdtgraph.mcts.widening import Widening
from crdtgraph.searches.search import Search

FLUSH_EVERY = 512
"""Iterations between two looks at what others did and two counts of what was done here: some ms of a fast problem."""
PRUNED_SHARE = 0.75
"""A tree that has as many nodes as it may have is pruned to this share of them, if rules of keeping allow."""


class Asker:
    """A tree that gives tasks away; `SearchTree` says what its arguments are."""

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
        resumed: bool = False,
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
        self._room_at = FLUSH_EVERY
        self._growth.join(graph, resumed=resumed)
        try:
            self._actions = self._keeper.plant(root)
        except BaseException:
            self._growth.leave()
            raise

    def __enter__(self) -> Self:
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
        self._growth.flush()
        self.look()

    def look(self) -> None:
        """Take over what others did. O(news)."""
        self._since_flush = 0
        self._growth.hear()

    def take_over(self) -> None:
        """Take over all that others made, also where no descent has come by yet: then totals are whole.

        O(tree), with one call of the problem's `apply` for each node that was not seen here.
        """
        self.flush()
        self._growth.enter_all()

    # Throwing away

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
        for edge in found:
            growth.throw_away(edge)
        if found:
            growth.sweep()
        return len(found)

    # Inside

    def _look_around(self, count: int) -> None:
        """Before tasks are made: at once if they are few, since each may take long."""
        self._since_flush += max(count, FLUSH_EVERY // 8)
        if self._since_flush >= FLUSH_EVERY:
            self.flush()
        if self.iterations >= self._room_at:
            self._make_room()

    def _make_room(self) -> None:
        """Prune if the tree is full; after so many iterations and not by the clock, so that equal seeds prune alike."""
        self._room_at = self.iterations + FLUSH_EVERY
        if len(self) < self._growth.nodes_max:
            return
        rules: tuple[Keep, ...] = (Hopeful(3), Hopeful(2), Hopeful(1), MostVisited(0.5))
        for rule in rules:
            if self.prune(rule) and len(self) <= PRUNED_SHARE * self._growth.nodes_max:
                return
