"""One world: machines, network, workloads, the nemesis, and the rules that are checked.

    faults and work  ->  everything mended, no more work  ->  all replicas agree within a bound  ->  final checks

Nothing here knows how trio is made to repeat itself; `runner.py` does that around it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import fields, replace
from typing import cast

import trio

from crdtgraph import LEDGER, Graph, LocalError
from crdtgraph.exchange import Delta
from simulations import checkers
from simulations.acquaintance import check_acquaintance
from simulations.agenda import Agenda
from simulations.checkers import ViolationError
from simulations.clock import SimClock
from simulations.disk import Data, Disk
from simulations.importing import GitImport
from simulations.inspection import Depth, Inspection
from simulations.journal import Journal
from simulations.nemesis import Nemesis, mend_disk
from simulations.network import Network
from simulations.objects import wait_for_objects
from simulations.process import Process
from simulations.promptness import Promptness
from simulations.scenario import Clock, Scenario
from simulations.searchchecks import search_disagreement
from simulations.searches import check_searches
from simulations.seeds import child
from simulations.tallies import Tallies
from simulations.timeline import ImportGit
from simulations.trace import Trace
from sync import Settings
from sync.protocol.limits import CARD_IDLE_ROUNDS, JITTER, ROUND_MAX_S

LOOK_EVERY_S = 1.0
"""Between two cheap checks; a deep one is every tenth."""
DEEP_CHECK_LOOKS = 10
COMMITS_PER_LOOK = 500
"""A deep check reads every commit of every machine: with so many more it comes one look later."""
CONVERGENCE_POLL_S = 0.25
SUMMARY_BYTES, ENTRY_BYTES, PING_BYTES, CARD_BYTES, LINK_BYTES = 170, 12, 20, 300, 60
"""A frame with a summary, each entry of its state vector, a frame with a ping or pong, at most."""


class Pauses:
    """Whose tasks may not run; the runner gives one that really stops them."""

    def pause(self, name: str) -> None:
        """Let no task of a machine's process run."""

    def resume(self, name: str) -> None:
        """Let them go on."""


class World:
    """Everything of one run. `run` returns when all rules held, and raises what went wrong."""

    def __init__(self, seed: int, scenario: Scenario, pauses: Pauses, trace: Trace) -> None:
        self.scenario = scenario
        self.trace = trace
        self.journal = Journal()
        self.tallies = Tallies()
        self.processes: dict[str, Process] = {}
        self.converged_after_s = 0.0
        self.on_heal: Callable[[str], None] = lambda _: None
        self.on_loss: Callable[[], None] = lambda: None
        self._seed = seed
        self._pauses = pauses
        self._paused: defaultdict[str, set[object]] = defaultdict(set)
        self._downs = Counter(scenario.late)
        self.may_lack_objects = False
        """Whether a disk was replaced that may have been the only one with a large value."""
        self.agenda = Agenda()
        """The clock of the run in which this world lives."""
        self._inspection = Inspection(self.journal, self.tallies)
        self._imports: list[GitImport] = []
        self._is_writing = True
        self._settings = settings_of(scenario)
        self.network = Network(self.agenda, child(seed, "network"), trace, scenario.path)
        clocks = {clock.node: clock for clock in scenario.clocks}
        for name in scenario.names:
            self.processes[name] = self._machine(name, clocks.get(name, Clock(node=name)))

    async def run(self, at_end: Callable[[], None]) -> None:
        """Live through it; `at_end` is called when all agree, before what is said then is listened for."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._resume_at_end)
                for name, process in self.processes.items():
                    if not self._downs[name]:
                        process.start()
                    nursery.start_soon(process.run)
                with trio.move_on_after(self.scenario.duration_s):
                    async with trio.open_nursery() as troubled:
                        troubled.start_soon(Nemesis(self).run)
                        troubled.start_soon(self._look)
                self._is_writing = False
                self.mend()
                await self._wait_for_agreement()
                await wait_for_objects(self.processes, self.bound_s + ROUND_MAX_S, self.may_lack_objects)
                await check_searches(self.processes, self.tallies, self.bound_s + ROUND_MAX_S)
                if self.scenario.expect.quiet_s:
                    await self._check_quiet(self.scenario.expect.quiet_s)
                self._check_expectations()
                at_end()
                dice = child(self._seed, "promptness")
                promptness = Promptness(self.scenario, self.network, self.processes, self.trace, dice)
                await promptness.check(self.bound_s)
                await check_acquaintance(self.processes, self._settings.anti_entropy_s, promptness.bound_s)
                self._inspection.look(self.processes.values(), Depth.WHOLE)
                self._inspection.check_losses(self.processes.values())
                nursery.cancel_scope.cancel()
        finally:
            for each in self._imports:
                each.close()

    # For the nemesis

    def take_down(self, name: str, how: Callable[[Process], None]) -> None:
        """End a machine's process in some way; it is not started again before `bring_up`."""
        self._downs[name] += 1
        # A suspended process can be killed as well.
        self._paused.pop(name, None)
        self._pauses.resume(name)
        how(self.processes[name])

    def bring_up(self, name: str) -> None:
        """One reason less for a machine to be down; start it if there is no other."""
        self._downs[name] -= 1
        if self._downs[name] <= 0:
            self.processes[name].start()

    def pause(self, name: str, reason: object) -> None:
        """Let no task of a machine's process run."""
        self._paused[name].add(reason)
        self._pauses.pause(name)

    def resume(self, name: str, reason: object) -> None:
        """Let them go on, unless there is another reason not to."""
        self._paused[name].discard(reason)
        if not self._paused[name]:
            self._pauses.resume(name)

    def is_paused(self, name: str) -> bool:
        """Whether a machine's process is suspended."""
        return bool(self._paused[name])

    def restore(self, process: Process, copy: object) -> None:
        """Put an earlier copy of a disk back: what was on no other disk may be missing from now on."""
        process.disk.restore(cast(Data, copy))
        self.may_lack_objects = True
        self.trace.note(process.name, "is restored")
        disks = [each.disk.copy() for each in self.processes.values()]
        self.journal.forgive(
            process.name, [said for data in disks for said in self._inspection.reading.stored_in(data)]
        )
        self.on_loss()

    def repository(self, event: ImportGit) -> GitImport:
        """What is to be imported."""
        rng = child(self._seed, f"repository {len(self._imports)}")
        self._imports.append(GitImport(event.commits, event.batch_every_s, rng))
        return self._imports[-1]

    def has_healed(self, what: str) -> None:
        """A cut or an outage is over: from here on it is measured how long agreement takes."""
        self.on_heal(what)

    def mend(self) -> None:
        """Undo every fault."""
        self.trace.note("world", "is mended")
        self._downs.clear()
        self._paused.clear()
        for name, process in self.processes.items():
            self._pauses.resume(name)
            mend_disk(process.disk)
            if process.is_running and process.disk.has_failed:
                process.stop()
            process.start()
        self.network.heal_all()
        self.on_heal("the end of all faults")

    # Checks

    @property
    def bound_s(self) -> float:
        """Within how much time all agree once everything is mended.

        A dead connection is found out by a ping that nobody answers; then the peer is dialled after a wait; then a
        summary, a want and its answer go from hop to hop, each perhaps only after one anti-entropy round, and once more
        when a want is answered by nobody.
        """
        settings = self._settings
        hop = 1.25 * settings.anti_entropy_s + settings.want_timeout_s
        size = max(disk_bytes(process.disk) for process in self.processes.values())
        carry = size * self.scenario.nodes / self.scenario.rate_min
        return self._find_out_s + (self.scenario.diameter + 1) * (hop + carry)

    @property
    def _find_out_s(self) -> float:
        """Within how much time a dead connection is found out and another one is open."""
        settings = self._settings
        find_out = settings.ping_after_s + settings.pong_timeout_s + settings.send_timeout_s
        return find_out + settings.dial_timeout_s + settings.backoff_max_s + settings.handshake_timeout_s

    async def _look(self) -> None:
        looks_left = DEEP_CHECK_LOOKS
        while True:
            await trio.sleep(LOOK_EVERY_S)
            looks_left -= 1
            for name, process in self.processes.items():
                if process.is_running and process.node is not None:
                    now, is_paused = trio.current_time(), self.is_paused(name)
                    checkers.check_waits(name, process.node, process.seen, now, is_paused=is_paused)
            self._inspection.look(self.processes.values(), Depth.DEEP if looks_left <= 0 else Depth.LIGHT)
            if looks_left <= 0:
                looks_left = DEEP_CHECK_LOOKS + len(self.journal.written) * self.scenario.nodes // COMMITS_PER_LOOK

    async def _check_quiet(self, quiet_s: float) -> None:
        """Replicas that agree and are told nothing new only show each other that they live and still agree."""
        settings = self._settings
        # Dead connections are found out first, and dialled anew.
        await trio.sleep(self._find_out_s)
        before = self.network.bytes_sent
        await trio.sleep(quiet_s)
        sent = self.network.bytes_sent - before
        nodes = [process.node for process in self.processes.values() if process.node is not None]
        ends = sum(len(node.connections) for node in nodes)
        writers = len(self.journal.writers)
        planes = max(len(node.graph.planes()) for node in nodes)
        summaries = 1 + quiet_s / (settings.anti_entropy_s * (1 - JITTER))
        pings = 1 + quiet_s / settings.ping_after_s
        # Each end announces a summary, and answers the other's.
        bound = ends * (2 * summaries * planes * (SUMMARY_BYTES + ENTRY_BYTES * writers) + 2 * pings * PING_BYTES)
        # Everyone's card comes along every end, now and then.
        cards = 1 + quiet_s / (CARD_IDLE_ROUNDS * settings.anti_entropy_s * (1 - JITTER))
        card_bytes = CARD_BYTES + LINK_BYTES * len(nodes) + ENTRY_BYTES * writers
        bound += ends * len(nodes) * cards * card_bytes
        checkers.check_quiet(sent, bound)

    def _check_expectations(self) -> None:
        expect = self.scenario.expect
        graph = next(process.graph for process in self.processes.values() if process.graph is not None)
        broken = []
        if len(graph) < expect.commits_min:
            broken.append(f"{len(graph)} commits, and at least {expect.commits_min} were expected")
        lost = self.lost()
        if expect.lost_max is not None and lost > expect.lost_max:
            broken.append(f"{lost} commits are lost, and at most {expect.lost_max} may be")
        conflicted = tuple(sorted(ref for ref in graph.refs if len(graph.refs.targets(ref)) > 1))
        if expect.conflicted is not None and conflicted != tuple(sorted(expect.conflicted)):
            broken.append(f"in conflict are {conflicted}, and {expect.conflicted} were expected")
        if broken:
            raise ViolationError("what the scenario expects", "; ".join(broken))

    def lost(self) -> int:
        """How many commits were made by a program and are visible nowhere: they died with a process or a disk."""
        graphs = [process.graph for process in self.processes.values() if process.graph is not None]
        made = {
            record[1]
            for writer in self.journal.writers.values()
            for record in (*writer.made, *writer.doubtful)
            if record[0] == "commit"
        }
        return sum(all(commit not in graph for graph in graphs) for commit in made)

    async def _wait_for_agreement(self) -> None:
        began = trio.current_time()
        expected_s = self.scenario.expect.agrees_within_s
        bound_s = self.bound_s if expected_s is None else expected_s
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
            return search_disagreement({each.name: each.graph for each in running if each.graph is not None})
        return ", ".join(
            f"{process.name} {graph.digest().hex()[:8]}/{graph.set_digest(LEDGER).hex()[:8]} {len(graph)} commits"
            for process, graph in zip(running, graphs, strict=True)
        )

    # Inside

    async def _resume_at_end(self) -> None:
        """Whatever ends the world, tasks that are suspended must run once more to see that they are cancelled."""
        try:
            await trio.sleep_forever()
        finally:
            for name in self.scenario.names:
                self._pauses.resume(name)

    def _machine(self, name: str, clock: Clock) -> Process:
        return Process(
            name,
            peers=self.scenario.peers(name),
            network=self.network,
            disk=Disk(
                name,
                child(self._seed, f"disk {name}"),
                lambda what: self.trace.note(name, "disk", what),
                self._inspection.reading.take_note,
            ),
            clock=SimClock(child(self._seed, f"entropy {name}"), skew_s=clock.offset_s, rate=clock.rate),
            journal=self.journal,
            tallies=self.tallies,
            trace=self.trace,
            rng=child(self._seed, f"work {name}"),
            settings=self._settings,
            sync_s=self.scenario.sync_s,
            properties=self.scenario.workload,
            is_writing=lambda: self._is_writing,
            on_start=lambda graph: self._watch(name, graph),
            on_alarm=lambda text, replica: checkers.check_alarm(name, f"{text} (about replica {replica})"),
        )

    def _watch(self, name: str, graph: Graph) -> None:
        """A process has opened its graph."""
        checkers.check_own_durable(name, graph, self.journal)
        graph.on_durable(lambda delta: self._note_durable(graph.writer, delta))

    def _note_durable(self, writer: int, delta: Delta) -> None:
        # What a search says is given away as well, and nothing of it is promised.
        if delta.plane == LEDGER:
            self.journal.promise(writer, self._inspection.reading.in_update(delta.update))


def settings_of(scenario: Scenario) -> Settings:
    """What the nodes of a scenario work by; LocalError for a setting that does not exist."""
    known = {each.name for each in fields(Settings)} - {"seed"}
    for name in scenario.settings:
        if name not in known:
            raise LocalError(f"settings names {name!r}, which is no setting of a node", hint=f"use {sorted(known)}")
    usual = Settings()
    given = {name: type(getattr(usual, name))(value) for name, value in scenario.settings.items()}
    return replace(usual, seed=None, **given)


def disk_bytes(disk: Disk) -> int:
    """How much is on a disk."""
    return sum(len(value) for entries in disk.copy().values() for value in entries.values())
