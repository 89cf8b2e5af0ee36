"""One machine and the process on it: opens its store, runs the real node and a workload, dies, comes back.

Ways to end: `stop` (cleanly, as for an upgrade), `crash` (killed at whatever await it is at: the node's tasks are
cancelled with the disk and the network already out of their reach, so nothing of what they do on the way out has an
effect), and a crash in the middle of a write to the disk.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextvars import ContextVar
from enum import StrEnum

import trio

from crdtgraph import Graph, StoreCorruptError, StoreError
from crdtgraph.opening import attach
from simulations.checkers import Seen, check_ending
from simulations.clock import SimClock
from simulations.disk import Disk
from simulations.importing import GitImport
from simulations.journal import Journal
from simulations.network import Network, SimTransport
from simulations.scenario import Workload as Properties
from simulations.tallies import Tallies
from simulations.trace import Trace
from simulations.workload import Order, Workload
from sync import Node, Settings

PORT = 7000
CLUSTER = "simulation"
REOPEN_S = 1.0
"""Between attempts to start on a disk that fails."""

CURRENT: ContextVar[str] = ContextVar("process", default="")
"""The machine that a task runs on."""


class Death(StrEnum):
    """How a process ends against its will."""

    KILLED = "is killed"
    """The machine lives on: what was written is in its memory, and its connections are closed for it."""
    POWER_LOSS = "loses power"
    """What was not synced is gone, and nobody is told."""


class NodeLog:
    """A node's log goes into the trace, and what may not be in it is a violation.

    `on_alarm` is given the text of an alarm and the id of the replica (hex) that it is about.
    """

    def __init__(
        self, name: str, trace: Trace, is_dead: Callable[[], bool], on_alarm: Callable[[str, str], None]
    ) -> None:
        self._name = name
        self._trace = trace
        self._is_dead = is_dead
        self._on_alarm = on_alarm

    def info(self, event: str, **fields: object) -> None:
        """Something happened as it should."""
        self._note(event, fields)

    def warning(self, event: str, **fields: object) -> None:
        """Somebody should know."""
        self._note(event, fields)
        if self._is_dead():
            return
        if event == "replicas disagree":
            self._on_alarm(str(fields["text"]), str(fields["replica"]))
        elif event == "connection closed":
            check_ending(self._name, str(fields["reason"]))

    def error(self, event: str, **fields: object) -> None:
        """Somebody should do something."""
        self._note(event, fields)

    def _note(self, event: str, fields: dict[str, object]) -> None:
        self._trace.note(self._name, event, " ".join(f"{key}={fields[key]}" for key in sorted(fields)))


class Process:
    """A machine. `run` is its task, for ever; `graph` and `node` are there while its process runs."""

    def __init__(
        self,
        name: str,
        *,
        peers: list[str],
        network: Network,
        disk: Disk,
        clock: SimClock,
        journal: Journal,
        tallies: Tallies,
        trace: Trace,
        rng: random.Random,
        settings: Settings,
        sync_s: float,
        properties: Properties,
        is_writing: Callable[[], bool],
        on_start: Callable[[Graph], None],
        on_alarm: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.disk = disk
        self.clock = clock
        self.graph: Graph | None = None
        self.node: Node | None = None
        self.workload: Workload | None = None
        self.seen = Seen()
        self.starts = 0
        self.is_wanted = False
        """Whether it should be running."""
        self.death_in_write = Death.KILLED
        """How it ends if the disk ends it."""
        self._peers = peers
        self._network = network
        self._transport: SimTransport = network.add(name)
        self._journal = journal
        self._tallies = tallies
        self._trace = trace
        self._rng = rng
        self._settings = settings
        self._sync_s = sync_s
        self._properties = properties
        self._is_writing = is_writing
        self._on_start = on_start
        self._on_alarm = on_alarm
        self._wanted = trio.lowlevel.ParkingLot()
        self._imports: list[GitImport] = []
        self._import_news = trio.lowlevel.ParkingLot()
        self._life: trio.CancelScope | None = None
        self._ending = trio.Event()
        self._is_dead = False
        disk.on_crash = lambda: self.crash(self.death_in_write)

    # What may be done to it

    def start(self) -> None:
        """Let it run, now or as soon as its last process is gone."""
        self.is_wanted = True
        self._wanted.unpark_all()

    def stop(self) -> None:
        """End cleanly: everything durable, goodbye to peers."""
        self.is_wanted = False
        self._ending.set()

    def crash(self, death: Death) -> None:
        """End at once and in the middle of whatever it does."""
        self.is_wanted = False
        if self._is_dead or self._life is None:
            return
        if self.workload is not None:
            self.workload.acknowledge()
        self._is_dead = True
        self._trace.note(self.name, death.value)
        if death is Death.POWER_LOSS:
            self.disk.lose_power()
            self._network.power_off(self.name)
        else:
            self.disk.release()
            self._network.kill(self.name)
        self._life.cancel()

    def import_git(self, job: GitImport) -> None:
        """Have a git repository imported, now or as soon as it runs."""
        self._imports.append(job)
        self._import_news.unpark_all()

    def order(self, order: Order) -> None:
        """Have its program do something; a program that is down does not hear it."""
        if self.workload is not None:
            self.workload.order(order)

    @property
    def is_running(self) -> bool:
        """Whether its node is up."""
        return self.node is not None and not self._is_dead

    # Its life

    async def run(self) -> None:
        """Be a machine, for ever."""
        CURRENT.set(self.name)
        while True:
            while not self.is_wanted:
                await self._wanted.park()
            self._network.power_on(self.name)
            try:
                await self._live()
            except* StoreError as errors:
                if not self._is_dead and errors.subgroup(StoreCorruptError) is not None:
                    raise
                self._trace.note(self.name, "gives up", str(errors.exceptions[0])[:200])
                self._network.kill(self.name)
                self.disk.release()
                await trio.sleep(REOPEN_S)

    async def _live(self) -> None:
        self._is_dead = False
        self._ending = trio.Event()
        self.starts += 1
        self.seen = Seen()
        with trio.CancelScope() as self._life:
            try:
                graph = attach(self.disk.open(), cluster=CLUSTER, author=self.name, host=self.clock.host())
                self._trace.note(self.name, "starts", f"{graph.writer:x} with {len(graph)} commits")
                self._on_start(graph)
                node = Node(
                    graph,
                    listen=[(self.name, PORT)],
                    peers=[(peer, PORT) for peer in self._peers],
                    transport=self._transport,
                    settings=self._settings,
                    name=self.name,
                    log=NodeLog(self.name, self._trace, lambda: self._is_dead, self._on_alarm),
                    run_sync=self._sync,
                )
                workload = Workload(
                    graph, self.name, self._journal, self._trace, self._rng, self._properties, self._tallies
                )
                async with node:
                    workload.attend(node)
                    self.graph, self.node, self.workload = graph, node, workload
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(workload.run, self._is_writing)
                        nursery.start_soon(workload.obey)
                        nursery.start_soon(self._import, workload)
                        await self._ending.wait()
                        nursery.cancel_scope.cancel()
                workload.acknowledge()
                graph.close()
                self._trace.note(self.name, "stops")
            finally:
                self.graph = self.node = self.workload = None
                self._life = None

    async def _import(self, workload: Workload) -> None:
        while True:
            while not self._imports:
                await self._import_news.park()
            await self._imports[0].run(workload)
            del self._imports[0]

    async def _sync(self, work: Callable[[], None]) -> None:
        await trio.sleep(self._rng.uniform(0, self._sync_s / 2))
        work()
        await trio.sleep(self._rng.uniform(0, self._sync_s / 2))
