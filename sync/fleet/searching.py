"""The search of one node of a fleet: its tree, and what workers and the driver want of it.

The tree lives in the thread of the site, so everything here is a short errand into it. Leaves go to workers as the
actions that lead there; who evaluates them needs the problem and nothing else. What is in flight is told to the other
nodes a hundred times a second, so that they look elsewhere meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import trio

from crdtgraph import LEDGER, CommitId
from crdtgraph.mcts import Node, SearchTree, Task
from sync.fleet.crew import Work
from sync.fleet.evaluating import Answers, Matter, reported
from sync.fleet.plan import Arrived, Feed, Found, Plan, Report
from sync.fleet.site import Site, store_url

TELL_S = 0.01
"""Between two times that the others are told what is in flight here."""

T = TypeVar("T")


class Searching:
    """A site with a tree. Arguments as for `Site`."""

    def __init__(self, plan: Plan, *, name: str, host: str, peers: Sequence[str], feed: Feed) -> None:
        self._plan = plan
        self._name = name
        self._published_at = float("-inf")
        self._is_over = False
        self._site = Site(plan, name=name, host=host, peers=peers, feed=feed)
        self._tree: SearchTree
        try:
            self._do(self._plant)
        except BaseException:
            self._site.close()
            raise

    def arrived(self) -> Arrived:
        """Where it can be reached."""
        address = self._site.do(lambda: self._site.node.addresses[0])
        return Arrived(address, store_url(self._plan.stores, self._name))

    # For the workers

    @property
    def iterations(self) -> int:
        """How many iterations have ended here."""
        return self._tree.iterations

    @property
    def is_over(self) -> bool:
        """Whether the value of the root is certain: nothing that is found could change it."""
        return self._is_over

    def ask(self, count: int) -> Sequence[Task]:
        """Begin so many iterations."""

        def ask() -> list[Task]:
            tasks = self._tree.ask(count)
            self._note()
            return [replace(task, state=None) for task in tasks]

        return self._do(ask)

    def tell(self, results: Answers) -> None:
        """End iterations."""

        def tell() -> None:
            self._tree.tell(results)
            self._note()

        self._do(tell)

    def forget(self, tasks: Sequence[Task]) -> None:
        """These will not be answered."""
        self._do(lambda: self._tree.give_back([task.id for task in tasks]))

    # For the driver

    def report(self, work: Work) -> Report:
        """How it stands."""

        def report() -> Report:
            tree = self._tree
            visits = tree.statistics(tree.root).visits
            children = tree.children()
            second = children[1].visits if len(children) > 1 else 0
            leader = children[0].text if children else None
            lead = (children[0].visits - second) / max(visits, 1) if children else 0.0
            return Report(work, visits, leader, lead, _texts(tree.best_line()))

        return self._do(report)

    def rest(self) -> None:
        """Take back what is in flight, and tell the others all that was counted."""

        def rest() -> None:
            self._tree.flush()
            self._tree.search.flush()
            self._site.node.inflight.publish(self._plan.search, {})

        self._do(rest)

    def digest(self) -> bytes:
        """Of the search, as far as it was heard of here."""

        def digest() -> bytes:
            self._tree.flush()
            return self._site.graph.digest(plane=self._tree.search.plane)

        return self._do(digest)

    def promote(self) -> Found:
        """Promote the best line to the ledger, durably, and close the search everywhere."""

        def promote() -> Found:
            tree, graph = self._tree, self._site.graph
            line = tree.best_line()
            visits = tree.statistics(tree.root).visits
            commit = tree.promote(line)
            tree.close()
            tree.search.close()
            graph.flush()
            return Found(commit, _texts(line), visits)

        return self._do(promote)

    def ledger(self, state_vector: Mapping[int, int]) -> Feed:
        """What a replica with that state vector lacks of the ledger."""
        graph = self._site.graph
        return self._site.do(lambda: [(each.plane, each.update) for each in graph.deltas(LEDGER, state_vector)])

    def close(self) -> None:
        """Close the replica; the peers are told."""
        self._site.close()

    # Inside

    def _plant(self) -> None:
        matter = Matter.unpickled(self._plan.matter)
        graph, name = self._site.graph, self._plan.search
        root = self._plan.root
        # Whoever names a root goes on from what was promoted there.
        options = {"resumed": root is not None, **matter.options}
        self._tree = SearchTree(graph, matter.problem, name=name, root=root, **options)
        self._site.node.inflight.subscribe(name, self._hear)

    def _hear(self, writer: int, counts: Mapping[CommitId, int]) -> None:
        self._tree.set_remote_inflight(f"{writer:x}", counts)

    def _note(self) -> None:
        """After every change."""
        self._is_over = next(self._tree.top(0)).proven is not None
        now = trio.current_time()
        if now - self._published_at >= TELL_S:
            self._published_at = now
            self._site.node.inflight.publish(self._plan.search, self._tree.inflight())

    def _do(self, work: Callable[[], T]) -> T:
        with reported():
            return self._site.do(work)


def _texts(line: Sequence[Node]) -> tuple[str, ...]:
    return tuple([node.text for node in line])
