"""The same cluster with the very nodes: each writer has one, over the simulator's network, in virtual time.

A search may be cut in two for a part of its time. What every worker counts is kept beside, so that the totals that all
agree on in the end can be held against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

import trio

from crdtgraph import CommitId, Graph
from crdtgraph.mcts import UCT, SearchTree
from crdtgraph.opening import attach
from crdtgraph.store.memory import MemoryStore
from simulations.agenda import Agenda
from simulations.clock import SimClock
from simulations.network import Network
from simulations.pgame import PGame
from simulations.process import CLUSTER, PORT
from simulations.runner import make_repeatable
from simulations.seeds import child
from simulations.trace import Trace
from simulations.wire import WireProperties
from sync import Node, Settings

JITTER = 0.25
SEARCH = "move"
POLL_S = 0.05
AGREE_S = 120.0
"""All agree long before."""


@dataclass(frozen=True, slots=True)
class Split:
    """Between which shares of the rollouts the first half of the writers hears nothing of the second."""

    begin: float
    end: float


@dataclass(slots=True)
class Result:
    """What came of it: the move that each writer would choose in the end, the agreed totals, and what was counted."""

    moves: list[int] = field(default_factory=list)
    totals: dict[CommitId, tuple[int, ...]] = field(default_factory=dict)
    counted: dict[CommitId, Counter[int]] = field(default_factory=dict)
    root_visits: int = 0
    sides: list[int] = field(default_factory=list)
    """Rollouts that each half made during the split."""
    agreed_after_s: float = 0.0


class NodeWorld:
    """One run of `rollouts` in all. `rollout_s` is how long one takes, `latency_s` how long news is under way."""

    def __init__(
        self,
        game: PGame,
        writers: int,
        rollouts: int,
        seed: int,
        *,
        c: float,
        rollout_s: float,
        latency_s: float,
        split: Split | None = None,
    ) -> None:
        self.result = Result(sides=[0, 0])
        self._game = game
        self._count = writers
        self._rollouts = rollouts
        self._seed = seed
        self._c = c
        self._rollout_s = rollout_s
        self._split = split
        self._begun = 0
        self._is_cut = False
        self._agenda = Agenda()
        wire = WireProperties(latency_s=latency_s, fragmentation=0.0)
        self._network = Network(self._agenda, child(seed, "network"), Trace(0), lambda _one, _other: wire)
        self._names = [f"n{number}" for number in range(writers)]
        self._graphs: list[Graph] = []
        self._nodes: list[Node] = []
        self._trees: list[SearchTree] = []

    def run(self) -> Result:
        """Search, and wait until all agree if they can; equal arguments give equal results."""
        make_repeatable(self._seed)
        trio.run(self._live, clock=self._agenda)
        return self.result

    async def _live(self) -> None:
        async with trio.open_nursery() as nodes:
            for number, name in enumerate(self._names):
                await nodes.start(self._serve, number, name)
            # The connections are open before anything is searched.
            await trio.sleep(1.0)
            async with trio.open_nursery() as workers:
                for number in range(self._count):
                    workers.start_soon(self._work, number)
            is_whole = not self._is_cut
            if is_whole:
                began = trio.current_time()
                with trio.fail_after(AGREE_S):
                    while not self._agree():  # noqa: ASYNC110 - many things may end it
                        await trio.sleep(POLL_S)
                self.result.agreed_after_s = trio.current_time() - began
            for tree in self._trees:
                tree.flush()
                self.result.moves.append(int(tree.best_action()))
            self._read_totals()
            nodes.cancel_scope.cancel()

    async def _serve(self, number: int, name: str, task_status: trio.TaskStatus[None]) -> None:
        clock = SimClock(child(self._seed, f"entropy {name}"))
        graph = attach(MemoryStore(), cluster=CLUSTER, author=name, host=clock.host())
        node = Node(
            graph,
            listen=[(name, PORT)],
            peers=[(peer, PORT) for peer in self._names[number + 1 :]],
            transport=self._network.add(name),
            settings=Settings(seed=number),
            name=name,
            run_sync=_inline,
        )
        async with node:
            rng = child(self._seed, f"tree {number}")
            tree = SearchTree(graph, self._game, name=SEARCH, rng=rng, rule=UCT(self._c), solve=False)
            vars(tree.search)["count"] = partial(self._note, tree.search.count)
            node.inflight.subscribe(SEARCH, lambda writer, counts: tree.set_remote_inflight(f"{writer:x}", counts))
            self._graphs.append(graph)
            self._nodes.append(node)
            self._trees.append(tree)
            task_status.started()
            await trio.sleep_forever()

    async def _work(self, number: int) -> None:
        tree, node, rng = self._trees[number], self._nodes[number], child(self._seed, f"worker {number}")
        await trio.sleep(rng.uniform(0, self._rollout_s))
        while self._begun < self._rollouts:
            self._begun += 1
            if self._is_cut:
                self.result.sides[number >= self._count // 2] += 1
            self._cut_or_heal()
            tree.flush()
            tasks = tree.ask(1)
            node.inflight.publish(SEARCH, tree.inflight())
            await trio.sleep(self._rollout_s * rng.uniform(1 - JITTER, 1 + JITTER))
            tree.tell([(task.id, self._game.evaluate(task.state, rng)) for task in tasks])
        tree.flush()
        node.inflight.publish(SEARCH, tree.inflight())

    def _cut_or_heal(self) -> None:
        split = self._split
        if split is None:
            return
        is_cut = split.begin <= self._begun / self._rollouts < split.end
        if is_cut and not self._is_cut:
            half = self._count // 2
            self._network.partition([self._names[:half], self._names[half:]])
        elif self._is_cut and not is_cut:
            self._network.heal_all()
        self._is_cut = is_cut

    def _note(self, original: Callable[..., None], commit: CommitId, vector: Iterable[int]) -> None:
        numbers = tuple(vector)
        original(commit, numbers)
        counted = self.result.counted.setdefault(commit, Counter())
        for place, value in enumerate(numbers):
            counted[place] += value

    def _agree(self) -> bool:
        plane = self._trees[0].search.plane
        is_flushed = all(graph.is_flushed(plane) for graph in self._graphs)
        return is_flushed and len({graph.digest(plane=plane) for graph in self._graphs}) == 1

    def _read_totals(self) -> None:
        search, result = self._trees[0].search, self.result
        result.totals = {commit: search.counters(commit) for commit in result.counted if commit in search}
        result.root_visits = search.counters(self._trees[0].root)[0]


async def _inline(work: Callable[[], None]) -> None:
    await trio.lowlevel.checkpoint()
    work()


def check_totals(result: Result) -> None:
    """The totals that all agree on are the sums of what each worker counted, commit by commit, and nothing else."""
    for commit, counted in result.counted.items():
        vector = [counted[place] for place in range(1 + max(counted))]
        while vector and vector[-1] == 0:
            del vector[-1]
        assert result.totals.get(commit) == tuple(vector), (commit.hex(), result.totals.get(commit), vector)
