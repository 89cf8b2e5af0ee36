"""The trees of this process that workers may work for: a desk each, and whoever waits at one.

    desks = Desks()
    async with open_control(path, Target(graph, node, desks=desks)):
        hosted = desks.open(SearchTree(graph, problem, name="move 12"), Budget(iterations=10_000))
        spent = await hosted.result()

Workers come over the control socket or the port for workers (docs/workers.md). What they do at the desk is in
`crdtgraph.mcts.desk`; here is what waits: for tasks, for answers, for the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.graph import Graph
from crdtgraph.ids import CommitId
from crdtgraph.mcts import Budget, SearchTree, Spent
from crdtgraph.mcts.desk import LEASE_S, Desk, Order
from crdtgraph.mcts.evaluating import Failure
from crdtgraph.mcts.referee import Referee

if TYPE_CHECKING:
    from sync.node import Node

WAIT_S = 1.0
"""How long a worker waits at the desk for others to answer first, before it is told that there is nothing yet."""
HOSTED_MAX = 64
"""Trees at once; those that are over are remembered until others need their place."""
FEW = 64
"""Simulations in flight of which others are told at every change."""
STEP_ITEMS = 32
"""Answers that are taken, and tasks that are made, before others are served: a millisecond or two."""


class HostedTree:
    """A tree that workers work for, while this process does other things.

    With a node, other trees on the same search hear what is in flight here, and this one hears of theirs.
    """

    def __init__(self, desk: Desk, node: Node | None = None) -> None:
        self.desk = desk
        self._changed = trio.Event()
        self._node = node
        self._told_at = float("-inf")
        self._end_hearing: Callable[[], None] | None = None
        self._heard: dict[str, None] = {}
        if node is not None:
            self._end_hearing = node.inflight.subscribe(desk.tree.search.name, self._hear)

    async def result(self) -> Spent:
        """How the search went, once its budget is spent.

        Raises WorkersFailedError when the problem failed with several workers on the same leaf, ProblemError when it
        failed here. What was found until then is in the search.
        """
        desk = self.desk
        while not desk.is_over:
            await self._wait_until(desk.deadline)
            desk.tick(trio.current_time())
        self._notify()
        if desk.error is not None:
            raise desk.error
        assert desk.spent is not None, "what is over without an error was spent"
        return desk.spent

    def stop(self) -> Spent:
        """End it now; what is in flight is given back."""
        spent = self.desk.stop(trio.current_time())
        self._notify()
        return spent

    # What workers do

    def join(self, name: str) -> str:
        """A worker has come; returns the name that it has here, with a number if somebody else has the same."""
        given, number = name, 1
        while given in self.desk.workers:
            number += 1
            given = f"{name} #{number}"
        self.desk.join(given)
        return given

    def leave(self, worker: str) -> None:
        """A worker is gone."""
        self.desk.leave(worker)
        self._notify()

    async def work(
        self, worker: str, answers: Sequence[tuple[int, object]], failures: Iterable[Failure], count: int
    ) -> list[Order]:
        """Take what a worker brings, and give it at most so many leaves; none if there are none for a second."""
        desk = self.desk
        for start in range(0, len(answers), STEP_ITEMS):
            desk.tell(worker, answers[start : start + STEP_ITEMS], trio.current_time())
            await trio.lowlevel.cancel_shielded_checkpoint()
        for failure in failures:
            desk.fail(worker, failure.id, failure.message, failure.detail)
        self._notify()
        orders: list[Order] = []
        until = trio.current_time() + WAIT_S
        while len(orders) < count and not desk.is_over:
            found = desk.ask(worker, min(count - len(orders), STEP_ITEMS), trio.current_time())
            orders += found
            if found:
                await trio.lowlevel.cancel_shielded_checkpoint()
            elif orders or trio.current_time() >= until:
                break
            elif desk.in_flight:
                await self._wait_until(min(until, desk.deadline))
            else:
                # All simulations ended at once. They are counted, so this ends.
                await trio.lowlevel.checkpoint()
        self._notify()
        return [] if desk.is_over else orders

    async def _wait_until(self, deadline: float) -> None:
        changed = self._changed
        with trio.move_on_at(deadline):
            await changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()
        if self._node is None or self._end_hearing is None:
            return
        name, now = self.desk.tree.search.name, trio.current_time()
        if self.desk.is_over:
            self._end_hearing()
            self._end_hearing = None
            for source in self._heard:
                self.desk.tree.set_remote_inflight(source, {})
            self._node.inflight.publish(name, {})
        elif self.desk.in_flight <= FEW or now - self._told_at >= self._node.settings.inflight_every_s:
            # With many in flight it takes a while to add them up, and then the next call is not far.
            self._told_at = now
            self._node.inflight.publish(name, self.desk.tree.inflight())

    def _hear(self, writer: int, counts: Mapping[CommitId, int]) -> None:
        self._heard[f"{writer:x}"] = None
        self.desk.tree.set_remote_inflight(f"{writer:x}", counts)


class Desks:
    """Hosted trees by the name of their search.

    Args:
        problems: those that a client may open a tree of. A node runs the code of no others.
    """

    def __init__(self, problems: Iterable[object] = ()) -> None:
        self._problems = {Referee(problem).fingerprint: problem for problem in problems}
        self._hosted: dict[str, HostedTree] = {}
        self._own: dict[str, SearchTree] = {}

    def close(self) -> None:
        """End all searches that are not over, and let go of the trees that were opened for clients."""
        for hosted in self._hosted.values():
            if not hosted.desk.is_over:
                hosted.stop()
        self._hosted.clear()
        for name in list(self._own):
            self._own.pop(name).close()

    def open(
        self, tree: SearchTree, budget: Budget | int, *, lease_s: float = LEASE_S, node: Node | None = None
    ) -> HostedTree:
        """Let workers work for a tree until a budget is spent; nobody else may run it meanwhile.

        With the node of its graph it shares what is in flight with trees elsewhere.

        Raises LocalError when one is worked for in a search of that name, or there is nothing to search.
        """
        name = tree.search.name
        earlier = self._hosted.get(name)
        if earlier is not None and not earlier.desk.is_over:
            raise LocalError(
                f"workers are working for a tree on search {name!r} already", hint="stop that, or use another name"
            )
        hosted = HostedTree(Desk(tree, budget, now=trio.current_time(), lease_s=lease_s), node)
        over = [key for key, each in self._hosted.items() if each.desk.is_over]
        for key in over if len(self._hosted) >= HOSTED_MAX else {name}.intersection(over):
            self._forget(key)
        if len(self._hosted) >= HOSTED_MAX:
            raise LocalError(f"workers are working for {HOSTED_MAX} trees, as many as can be", hint="stop one of them")
        self._hosted[name] = hosted
        return hosted

    def open_known(
        self, graph: Graph, name: str, fingerprint: bytes, budget: Budget, seed: int, node: Node | None = None
    ) -> HostedTree:
        """The tree of a search, opened if need be with the problem of that fingerprint.

        Raises NotFoundError for a problem that this process was not given, LocalError for another one than the tree's.
        """
        hosted = self._hosted.get(name)
        if hosted is not None and not hosted.desk.is_over:
            return self.of(name, fingerprint)
        problem = self._problems.get(fingerprint)
        if problem is None:
            known = ", ".join(sorted(each.decode() for each in self._problems)) or "none"
            raise NotFoundError(
                f"this node was given no problem {fingerprint.decode(errors='replace')!r:.200}",
                hint=f"it has: {known}; a node is given problems by serve(problems=[...])",
            )
        tree = SearchTree(graph, problem, name=name, seed=seed)
        try:
            hosted = self.open(tree, budget, node=node)
        except BaseException:
            tree.close()
            raise
        self._own[name] = tree
        return hosted

    def _forget(self, name: str) -> None:
        del self._hosted[name]
        tree = self._own.pop(name, None)
        if tree is not None:
            tree.close()

    def of(self, name: str, fingerprint: bytes | None = None) -> HostedTree:
        """The tree of a search; NotFoundError if there is none, LocalError if it is about another problem."""
        hosted = self._hosted.get(name)
        if hosted is None:
            known = ", ".join(map(repr, sorted(self._hosted))) or "none"
            raise NotFoundError(f"no tree is worked for on search {name!r:.80}", hint=f"searches with one: {known}")
        if fingerprint is not None and fingerprint != hosted.desk.fingerprint:
            ours, theirs = (each.decode(errors="replace") for each in (hosted.desk.fingerprint, fingerprint))
            raise LocalError(
                f"search {name!r} is about {ours:.200}, this worker's problem is {theirs:.200}",
                hint="start the worker with the problem of the search, of the same version and parameters",
            )
        return hosted
