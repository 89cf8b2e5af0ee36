"""One world: machines, network, workloads, the nemesis, and the rules that are checked.

    faults and work  ->  everything mended, no more work  ->  all replicas agree within a bound  ->  final checks

Nothing here knows how trio is made to repeat itself; `runner.py` does that around it.
"""

from __future__ import annotations

from typing import cast

import trio

from crdtgraph import LEDGER, Graph
from sync import Settings

from . import checkers
from .agenda import Agenda
from .checkers import ViolationError
from .clock import SimClock
from .disk import Data, Disk
from .faults import Nemesis, mend_disk
from .journal import Journal
from .network import Network
from .options import Options
from .process import Process
from .reading import Reading
from .seeds import child
from .trace import Trace
from .workload import Workload

LOOK_EVERY_S = 1.0
"""Between two cheap checks; a deep one is every tenth."""
DEEP_CHECK_LOOKS = 10
CONVERGENCE_POLL_S = 0.25


class Pauses:
    """Whose tasks may not run; the runner gives one that really stops them."""

    def pause(self, name: str) -> None:
        """Let no task of a machine's process run."""

    def resume(self, name: str) -> None:
        """Let them go on."""


class World:
    """Everything of one run. `run` returns when all rules held, and raises what went wrong."""

    def __init__(self, seed: int, options: Options, pauses: Pauses, trace: Trace) -> None:
        self.options = options
        self.trace = trace
        self.journal = Journal()
        self.processes: dict[str, Process] = {}
        self.converged_after_s = 0.0
        self._seed = seed
        self._pauses = pauses
        self._agenda = Agenda()
        self._reading = Reading()
        self._is_writing = True
        self._settings = Settings(seed=None)
        self.network = Network(self._agenda, child(seed, "network"), trace, lambda *_: options.wire)
        skews = child(seed, "skew")
        for name in options.names:
            self.processes[name] = self._machine(name, skews.uniform(-options.skew_s, options.skew_s))

    async def run(self) -> None:
        """Live through it."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._agenda.run)
            for process in self.processes.values():
                nursery.start_soon(process.run)
            with trio.move_on_after(self.options.duration_s):
                async with trio.open_nursery() as troubled:
                    troubled.start_soon(Nemesis(self, child(self._seed, "nemesis")).run)
                    troubled.start_soon(self._look)
            self._is_writing = False
            self.mend()
            await self._wait_for_agreement()
            self._check_all(deep=True)
            self._check_losses()
            nursery.cancel_scope.cancel()

    # For the nemesis

    def pause(self, name: str) -> None:
        """Let no task of a machine's process run."""
        self._pauses.pause(name)

    def resume(self, name: str) -> None:
        """Let them go on."""
        self._pauses.resume(name)

    def restore(self, process: Process, copy: object) -> None:
        """Put an earlier copy of a disk back: what was on no other disk may be missing from now on."""
        process.disk.restore(cast(Data, copy))
        self.trace.note(process.name, "is restored")
        disks = [each.disk.copy() for each in self.processes.values()]
        self.journal.forgive(process.name, [said for data in disks for said in self._reading.stored_in(data)])

    def mend(self) -> None:
        """Undo every fault."""
        self.trace.note("world", "is mended")
        for name, process in self.processes.items():
            self._pauses.resume(name)
            mend_disk(process.disk)
            if process.is_running and process.disk.has_failed:
                process.stop()
            process.start()
        self.network.heal_all()

    # Checks

    @property
    def bound_s(self) -> float:
        """Within how much time all agree once everything is mended.

        A dead connection is found out by a ping that nobody answers; then the peer is dialled after a wait; then a
        summary, a want and its answer go from hop to hop, each perhaps only after one anti-entropy round, and once more
        when a want is answered by nobody.
        """
        settings = self._settings
        find_out = settings.ping_after_s + settings.pong_timeout_s + settings.send_timeout_s
        dial = settings.dial_timeout_s + settings.backoff_max_s + settings.handshake_timeout_s
        hop = 1.25 * settings.anti_entropy_s + settings.want_timeout_s
        wire = self.options.wire
        size = max(disk_bytes(process.disk) for process in self.processes.values())
        rate = min(wire.bytes_per_s, wire.window_bytes / (2 * wire.latency_s + wire.jitter_s + 1e-3))
        carry = size * self.options.nodes / rate
        return find_out + dial + (self.options.diameter + 1) * (hop + carry)

    async def _look(self) -> None:
        looks = 0
        while True:
            await trio.sleep(LOOK_EVERY_S)
            looks += 1
            self._check_all(deep=looks % DEEP_CHECK_LOOKS == 0)

    def _check_all(self, *, deep: bool) -> None:
        graphs: dict[str, Graph] = {}
        for name, process in self.processes.items():
            if process.is_running and process.graph is not None and process.node is not None:
                graphs[name] = process.graph
                if process.workload is not None:
                    process.workload.acknowledge()
                checkers.check_bounds(name, process.node)
        checkers.check_equal_sets(graphs)
        if deep:
            for name, graph in graphs.items():
                checkers.check_never_unsees(name, graph, self.processes[name].seen)
                checkers.check_own_durable(name, graph, self.journal)
                checkers.check_document(name, graph)
                checkers.check_parents_visible(name, graph)
                checkers.check_contents(name, graph, self.journal.written)
                checkers.check_from_scratch(name, graph)
                checkers.check_model(name, graph, self._reading.held_by(graph))

    def _judge_alarm(self, name: str, text: str, replica: str) -> None:
        graphs = [process.graph for process in self.processes.values() if process.graph is not None]
        both = [graph for graph in graphs if graph.author == name or graph.replica_id.hex() == replica]
        held = [(graph.state_vector(LEDGER), self._reading.held_by(graph)) for graph in both]
        if len(both) == 2:
            checkers.check_alarm(name, text, held)

    def _check_losses(self) -> None:
        for name, process in self.processes.items():
            if process.graph is not None:
                checkers.check_nothing_lost(name, self._reading.held_by(process.graph), self.journal)

    async def _wait_for_agreement(self) -> None:
        began = trio.current_time()
        bound_s = self.bound_s
        with trio.move_on_after(bound_s):
            while self._disagreement():  # noqa: ASYNC110 - many things may end it
                await trio.sleep(CONVERGENCE_POLL_S)
        disagreement = self._disagreement()
        if disagreement:
            raise ViolationError("all agree once everything is mended", f"not within {bound_s:.0f} s: {disagreement}")
        self.converged_after_s = trio.current_time() - began
        self.trace.note("world", "agrees", next(iter(self.processes.values())).graph.digest().hex()[:16])  # type: ignore[union-attr]

    def _disagreement(self) -> str:
        running = [process for process in self.processes.values() if process.is_running and process.graph is not None]
        if len(running) < len(self.processes):
            return f"{len(self.processes) - len(running)} machines are down"
        graphs = [process.graph for process in running if process.graph is not None]
        if any(graph.flush_due() is not None for graph in graphs):
            return "not everything is written"
        if len({graph.digest() for graph in graphs}) == len({graph.set_digest(LEDGER) for graph in graphs}) == 1:
            return ""
        return ", ".join(
            f"{process.name} {graph.digest().hex()[:8]}/{graph.set_digest(LEDGER).hex()[:8]} {len(graph)} commits"
            for process, graph in zip(running, graphs, strict=True)
        )

    # Inside

    def _machine(self, name: str, skew_s: float) -> Process:
        return Process(
            name,
            peers=self.options.peers(name),
            network=self.network,
            disk=Disk(name, child(self._seed, f"disk {name}"), lambda what: self.trace.note(name, "disk", what)),
            clock=SimClock(child(self._seed, f"entropy {name}"), skew_s=skew_s),
            journal=self.journal,
            trace=self.trace,
            rng=child(self._seed, f"work {name}"),
            settings=self._settings,
            work=self._work,
            on_start=lambda graph: checkers.check_own_durable(name, graph, self.journal),
            on_alarm=lambda text, replica: self._judge_alarm(name, text, replica),
        )

    async def _work(self, workload: Workload) -> None:
        await workload.run(self.options.operations_per_s, lambda: self._is_writing)


def disk_bytes(disk: Disk) -> int:
    """How much is on a disk."""
    return sum(len(value) for entries in disk.copy().values() for value in entries.values())
