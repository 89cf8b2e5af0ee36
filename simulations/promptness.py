"""News travels at once: while all is well, nobody has to wait for the periodic comparison of summaries.

That comparison mends whatever went wrong between two machines, so a world that only has to agree in the end hides
news that was not pushed, not passed on, or dropped without a word. So when everything is mended and all agree, a
machine says a few things in one go and then nobody says anything: everyone must know them within the time that
pushes take, and be it that a queue overflowed on the way and somebody had to ask.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

import trio

from crdtgraph import LEDGER, CommitId
from simulations.checkers import ViolationError
from simulations.network import Network
from simulations.process import Process
from simulations.scenario import Scenario
from simulations.timeline import Pair
from simulations.trace import Trace

ROUNDS = 2
SAID_AT_ONCE = (1, 2, 3, 5, 12)
"""Commits of a round, each in a segment of its own; some are more than a short queue takes."""
STEPS_PER_HOP = 4
"""Messages that go to and fro on a hop at most: a summary that asks, one in return, a want, a diff."""
HOP_BYTES_MAX = 64 << 10
"""What a hop has to carry at most: the news, and in a diff and the summaries what all machines ever did."""
HOP_S = 0.25
"""What a hop takes beside its wires."""
POLL_S = 0.05
CALM_S = 2.0
CALM_BYTES = 8 << 10
"""A path that carried no more in so much time carries no diff, only summaries and pings."""


class Promptness:
    """The rule, for one world."""

    def __init__(
        self,
        scenario: Scenario,
        network: Network,
        processes: Mapping[str, Process],
        trace: Trace,
        rng: random.Random,
    ) -> None:
        self._scenario = scenario
        self._network = network
        self._processes = processes
        self._trace = trace
        self._rng = rng

    @property
    def bound_s(self) -> float:
        """How long news takes at most from any machine to any other."""
        paths = [self._scenario.path(*path) for path in self._paths()]
        delay_s = max((path.latency_s + path.jitter_s for path in paths), default=0.0)
        carry_s = HOP_BYTES_MAX / self._scenario.rate_min
        return self._scenario.diameter * (HOP_S + STEPS_PER_HOP * delay_s + carry_s)

    async def check(self, patience_s: float) -> None:
        """Let some machines speak; ViolationError if news is late, or if there is no rest to speak in after a while."""
        for _ in range(ROUNDS):
            await self._wait_for_calm(patience_s)
            process = self._processes[self._rng.choice(self._scenario.names)]
            assert process.workload is not None
            said = [process.workload.say() for _ in range(self._rng.choice(SAID_AT_ONCE))]
            await self._wait_for(process.name, said)

    async def _wait_for_calm(self, patience_s: float) -> None:
        missing = "nothing yet"
        with trio.move_on_after(patience_s):
            while missing:
                before = self._bytes_sent()
                await trio.sleep(CALM_S)
                missing = self._unconnected() or self._busy(before)
        if missing:
            raise ViolationError("the mended world comes to rest", f"not within {patience_s:.0f} s: {missing}")

    async def _wait_for(self, speaker: str, said: list[CommitId]) -> None:
        bound_s = self.bound_s
        began = trio.current_time()
        with trio.move_on_after(bound_s):
            while self._ignorant(said):  # noqa: ASYNC110 - as above
                await trio.sleep(POLL_S)
        if ignorant := self._ignorant(said):
            raise ViolationError(
                "news travels at once", f"{', '.join(ignorant)} did not hear {speaker} within {bound_s:.1f} s"
            )
        self._trace.note(speaker, "is heard", f"{len(said)} after {trio.current_time() - began:.6f}")

    def _unconnected(self) -> str:
        """Neighbours of which one does not know the other yet, or has not compared with it."""
        missing = [
            f"{one} and {other}"
            for one, other in self._scenario.pairs()
            if not (self._knows(one, other) and self._knows(other, one))
        ]
        return f"not connected are {', '.join(missing)}" if missing else ""

    def _busy(self, before: Mapping[Pair, int]) -> str:
        """Paths that still carry something large."""
        now = self._bytes_sent()
        busy = [
            f"{one} to {other}"
            for one, other in now
            if now[one, other] - before[one, other] > CALM_BYTES or self._network.wire(one, other).backlog_s > POLL_S
        ]
        return f"much is on its way from {', '.join(busy)}" if busy else ""

    def _bytes_sent(self) -> dict[Pair, int]:
        return {path: self._network.wire(*path).bytes_sent for path in self._paths()}

    def _paths(self) -> Iterator[Pair]:
        for one, other in self._scenario.pairs():
            yield one, other
            yield other, one

    def _knows(self, one: str, other: str) -> bool:
        node, graph = self._processes[one].node, self._processes[other].graph
        if node is None or graph is None:
            return False
        peers = [peer for peer in node.gossip.peers.values() if peer.hello.replica == graph.replica_id]
        return any(peer.view(LEDGER).told is not None for peer in peers) and not len(node.gossip.wants)

    def _ignorant(self, said: list[CommitId]) -> list[str]:
        return [
            name
            for name, process in self._processes.items()
            if process.graph is None or any(commit not in process.graph for commit in said)
        ]
