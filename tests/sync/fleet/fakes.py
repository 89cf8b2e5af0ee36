"""A cluster whose nodes are objects in this process, under a clock that moves when somebody waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import crdtgraph
from crdtgraph import LEDGER, CrdtGraphError, Graph
from crdtgraph.mcts.budget import Budget
from sync.fleet.crew import Work
from sync.fleet.driving import Drive
from sync.fleet.errors import HeadLostError, SiteLostError
from sync.fleet.plan import Arrived, Found, Pace, Place, Report

PACE = Pace(lease_s=1.0, look_s=1.0, head_s=5.0, start_s=60.0, answer_s=10.0)


class FakeSite:
    """A node that does `speed` iterations a second for each worker."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.peers: list[str] = []
        self.workers: list[int] = []
        self.speed = 10
        self.dead = False
        self.silent = False
        self.graph: Graph = crdtgraph.open("memory:")
        self.digests: list[bytes] = []
        self.refuses: CrdtGraphError | None = None

    def hello(self) -> str:
        return "1.0"

    def start(self, peers: list[str], feed: object) -> Arrived:
        self.peers = peers
        return Arrived(f"address of {self.node}", f"store of {self.node}")

    def lease(self, iterations: int, seconds: float, workers: int) -> Report:
        self.workers.append(workers)
        done = min(iterations, round(self.speed * workers * seconds))
        return Report(Work(done, iterations - done, 0, 0, False), 7, "move", 0.5, ("move",))

    def rest(self) -> None:
        pass

    def digest(self) -> bytes:
        return self.digests.pop(0) if self.digests else b"same"

    def promote(self) -> Found:
        if self.refuses is not None:
            raise self.refuses
        commit = self.graph.commit(message=f"found by {self.node}")
        self.graph.flush()
        return Found(commit, ("move",), 7)

    def ledger(self, vector: dict[int, int]) -> list[tuple[str, bytes]]:
        return [(each.plane, each.update) for each in self.graph.deltas(LEDGER, vector)]

    def close(self) -> None:
        self.graph.close()


class FakeCluster:
    """Answers at the next wait. `events` happen at a time, and are given the cluster."""

    def __init__(self, *nodes: str) -> None:
        self.clock = 0.0
        self.there: dict[str, Place] = {node: Place("here", 4.0) for node in nodes}
        self.sites: list[FakeSite] = []
        self.made: Callable[[FakeSite], None] = lambda site: None
        self.head = True
        self.events: list[tuple[float, Callable[[], None]]] = []
        self._open: dict[int, tuple[FakeSite, str, tuple[object, ...]]] = {}
        self._number = 0

    def at(self, time: float, event: Callable[[], None]) -> None:
        self.events.append((time, event))

    def places(self) -> Mapping[str, Place]:
        if not self.head:
            raise HeadLostError("the head does not answer")
        return dict(self.there)

    def start_site(self, node: str, plan: object) -> FakeSite:
        site = FakeSite(node)
        self.made(site)
        self.sites.append(site)
        return site

    def call(self, site: FakeSite, method: str, *arguments: object) -> int:
        self._number += 1
        self._open[self._number] = site, method, arguments
        return self._number

    def wait(self, calls: Sequence[int], timeout_s: float) -> list[int]:
        assert timeout_s >= 0
        ready = [call for call in calls if not self._open[call][0].silent]
        leases = any(self._open[call][1] == "lease" for call in ready)
        self.clock += (timeout_s / 2 if leases else 0.1) if ready else timeout_s
        for event in [each for each in self.events if each[0] <= self.clock]:
            self.events.remove(event)
            event[1]()
        return ready[:1]

    def result(self, call: int) -> Any:
        site, method, arguments = self._open.pop(call)
        if site.dead or (site.node not in self.there and self.head):
            raise SiteLostError(f"the process of {site.node} died")
        return getattr(site, method)(*arguments)

    def kill(self, site: FakeSite) -> None:
        site.dead = True


def drive(cluster: FakeCluster, budget: Budget, workers: int = 4, version: str = "1.0") -> Drive:
    return Drive(
        cluster,
        plan="plan",
        feed="feed",
        workers=workers,
        cpus_per_worker=1.0,
        version=version,
        budget=budget,
        now=lambda: cluster.clock,
        pace=PACE,
    )
