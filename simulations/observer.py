"""Watches a world without being part of it: how long agreement takes after each heal, and what every node shows when.

It looks whenever no task can run and time is about to move: what it sees has held since the moment that ends, so the
times it gives are exact. It is called by the agenda and is no task, because a task more would be another schedule, and
a run that is watched must be the run that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import trio

from crdtgraph import LEDGER, Graph
from simulations.process import Process

DIGEST_CHARACTERS = 12
SAMPLES = 500
"""How often a world is sampled in its planned life; while it converges, at the same pace."""
HEALS_MAX = 1_000
"""More than that are not followed."""


class NodeState(StrEnum):
    """What a machine is doing."""

    UP = "up"
    DOWN = "down"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class NodeSample:
    """What one machine showed from a moment on. The digest is the beginning of the projection's, in hex."""

    at_s: float
    state: NodeState
    digest: str = ""
    commits: int = 0
    heads: int = 0
    pending: int = 0
    conflicts: int = 0


@dataclass(slots=True)
class Heal:
    """The end of a fault, and how long it took until every machine had all that was durable anywhere at that time.

    `bytes` were sent by all machines meanwhile. Both are None if it never came to that, as when the next fault did
    not end.
    """

    what: str
    at_s: float
    agreed_after_s: float | None = None
    bytes: int | None = None


@dataclass(slots=True)
class Observation:
    """What was seen of a world."""

    heals: list[Heal] = field(default_factory=list)
    samples: dict[str, list[NodeSample]] = field(default_factory=dict)
    """By machine, one whenever something had changed."""


@dataclass(slots=True)
class _Open:
    """A heal whose agreement is waited for."""

    heal: Heal
    wanted: dict[int, int]
    bytes_before: int
    waiting: list[str]


class Observer:
    """Watches the processes of one world.

    Args:
        processes: the machines by name.
        is_paused: whether a machine is.
        bytes_sent: by all machines so far.
        every_s: between two samples.
        progress: called with the simulated time at every sample.
    """

    def __init__(
        self,
        processes: Mapping[str, Process],
        is_paused: Callable[[str], bool],
        bytes_sent: Callable[[], int],
        *,
        every_s: float,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.seen = Observation(samples={name: [] for name in processes})
        self.error: Exception | None = None
        """What went wrong in looking; the runner raises it, since it is no failure of the world."""
        self._processes = processes
        self._is_paused = is_paused
        self._bytes_sent = bytes_sent
        self._every_s = every_s
        self._progress = progress
        self._next_sample_s = 0.0
        self._open: list[_Open] = []
        self._is_finished = False

    def has_healed(self, what: str) -> None:
        """A fault is over now."""
        if len(self.seen.heals) < HEALS_MAX:
            wanted: dict[int, int] = {}
            for graph in self._graphs().values():
                _raise_to(wanted, graph.state_vector(LEDGER))
            heal = Heal(what, trio.current_time())
            self.seen.heals.append(heal)
            self._open.append(_Open(heal, wanted, self._bytes_sent(), [*self._processes]))

    def has_lost(self) -> None:
        """A disk was replaced: what only that machine had is gone, and waiting for it would be in vain."""
        left: dict[int, int] = {}
        for graph in self._graphs().values():
            _raise_to(left, graph.state_vector(LEDGER))
        for each in self._open:
            each.wanted = {writer: min(clock, left.get(writer, 0)) for writer, clock in each.wanted.items()}

    def look(self) -> None:
        """Time is about to move."""
        if self._is_finished:
            return
        try:
            self._look()
        except Exception as error:  # noqa: BLE001 - whatever it is, the runner raises it
            self.error = self.error or error

    def finish(self) -> Observation:
        """Look for the last time."""
        self._next_sample_s = 0.0
        self._look()
        self._is_finished = True
        return self.seen

    def _look(self) -> None:
        now = trio.current_time()
        if self._open:
            self._open = [each for each in self._open if not self._has_agreed(each, now)]
        if now >= self._next_sample_s:
            self._next_sample_s = now + self._every_s
            for name, process in self._processes.items():
                self._sample(name, process, now)
            self._progress(now)

    def _has_agreed(self, each: _Open, now: float) -> bool:
        while each.waiting:
            process = self._processes[each.waiting[-1]]
            if process.graph is None or not process.is_running:
                return False
            vector = process.graph.state_vector(LEDGER)
            if any(vector.get(writer, 0) < clock for writer, clock in each.wanted.items()):
                return False
            each.waiting.pop()
        each.heal.agreed_after_s = now - each.heal.at_s
        each.heal.bytes = self._bytes_sent() - each.bytes_before
        return True

    def _sample(self, name: str, process: Process, now: float) -> None:
        samples = self.seen.samples[name]
        graph = process.graph
        if graph is None or not process.is_running:
            sample = NodeSample(now, NodeState.DOWN)
        else:
            digest = graph.digest().hex()[:DIGEST_CHARACTERS]
            state = NodeState.PAUSED if self._is_paused(name) else NodeState.UP
            if samples and samples[-1].digest == digest and samples[-1].state == state:
                return
            status = graph.status()
            sample = NodeSample(
                now, state, digest, status.commits, status.heads, status.pending, status.conflicted_refs
            )
        if not samples or samples[-1].state != sample.state or samples[-1].digest != sample.digest:
            samples.append(sample)

    def _graphs(self) -> dict[str, Graph]:
        return {name: process.graph for name, process in self._processes.items() if process.graph is not None}


def _raise_to(vector: dict[int, int], other: Mapping[int, int]) -> None:
    for writer, clock in other.items():
        vector[writer] = max(clock, vector.get(writer, 0))
