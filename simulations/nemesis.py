"""The nemesis: does what a scenario's timeline says when it says so, and undoes it when its time is over.

The name is Jepsen's. What each event means is said in `timeline.py`; whatever still lasts at the end is undone by
`World.mend`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import trio

from simulations import timeline
from simulations.disk import Disk, DiskFaults
from simulations.importing import GitImport
from simulations.network import Network
from simulations.process import Death, Process
from simulations.scenario import Scenario
from simulations.timeline import AnyEvent
from simulations.trace import Trace
from simulations.workload import Order

ORDER_EVERY_S = 0.01
"""Between two portions of an operation that is ordered many times."""
ROUNDING = 1e-9
"""What sums of floats may lack."""


class Target(Protocol):
    """What the nemesis needs of a world."""

    scenario: Scenario
    network: Network
    trace: Trace
    processes: dict[str, Process]

    def take_down(self, name: str, how: Callable[[Process], None]) -> None:
        """End a machine's process in some way; it is not started again before `bring_up`."""

    def bring_up(self, name: str) -> None:
        """One reason less for a machine to be down; start it if there is no other."""

    def pause(self, name: str, reason: object) -> None:
        """Let no task of a machine's process run."""

    def resume(self, name: str, reason: object) -> None:
        """Let them go on, unless there is another reason not to."""

    def restore(self, process: Process, copy: object) -> None:
        """Put an earlier copy of a disk back."""

    def repository(self, event: timeline.ImportGit) -> GitImport:
        """What is to be imported."""

    def has_healed(self, what: str) -> None:
        """A cut or an outage is over: from here on it is measured how long agreement takes."""


class Nemesis:
    """The timeline of one world, as it happens."""

    def __init__(self, world: Target) -> None:
        self._world = world
        self._network = world.network
        self._work: dict[type, Callable[[Any], Awaitable[None]]] = {
            timeline.Partition: self._partition,
            timeline.OneWayCut: self._cut_one_way,
            timeline.Flapping: self._flap,
            timeline.Reset: self._reset,
            timeline.Stall: self._stall,
            timeline.Kill: self._kill,
            timeline.PowerLoss: self._lose_power,
            timeline.CrashInWrite: self._crash_in_write,
            timeline.Restart: self._restart,
            timeline.Pause: self._pause,
            timeline.Starvation: self._starve,
            timeline.ClockJump: self._jump,
            timeline.DiskErrors: self._break_disk,
            timeline.DiskFull: self._fill_disk,
            timeline.Backup: self._restore_backup,
            timeline.Join: self._join,
            timeline.Do: self._order,
            timeline.ImportGit: self._import,
        }

    async def run(self) -> None:
        """Do everything, then wait for ever."""
        async with trio.open_nursery() as nursery:
            for event in sorted(self._world.scenario.timeline, key=lambda event: event.at_s):
                await trio.sleep_until(event.at_s)
                nursery.start_soon(self._do, event)
            await trio.sleep_forever()

    async def _do(self, event: AnyEvent) -> None:
        about = " ".join(timeline.nodes_of(event))
        self._world.trace.note("nemesis", event.kind, about)
        await self._work[type(event)](event)
        if event.until_s > event.at_s:
            self._world.trace.note("nemesis", f"{event.kind} is over:", about)

    # The network

    async def _partition(self, event: timeline.Partition) -> None:
        rest = set(self._world.scenario.names) - {name for group in event.groups for name in group}
        cuts = self._network.partition([*event.groups, *([name] for name in sorted(rest))], refuses=event.refuses)
        await trio.sleep(event.for_s)
        for source, target in cuts:
            self._network.heal(source, target, refuses=event.refuses)
        self._world.has_healed(event.kind)

    async def _cut_one_way(self, event: timeline.OneWayCut) -> None:
        self._network.cut(event.source, event.target, refuses=event.refuses)
        await trio.sleep(event.for_s)
        self._network.heal(event.source, event.target, refuses=event.refuses)
        self._world.has_healed(event.kind)

    async def _flap(self, event: timeline.Flapping) -> None:
        source, target = event.between
        while trio.current_time() < event.until_s:
            self._network.cut(source, target)
            self._network.cut(target, source)
            await trio.sleep(event.down_s)
            self._network.heal(source, target)
            self._network.heal(target, source)
            await trio.sleep(event.up_s)
        self._world.has_healed(event.kind)

    async def _reset(self, event: timeline.Reset) -> None:
        streams = self._network.streams(event.node)
        for stream in streams[: round(len(streams) * event.share)]:
            stream.reset()

    async def _stall(self, event: timeline.Stall) -> None:
        streams = self._network.streams(event.node)
        if streams:
            streams[0].incoming.hold()
            await trio.sleep(event.for_s)
            streams[0].incoming.release()
            self._world.has_healed(event.kind)

    # Processes

    async def _kill(self, event: timeline.Kill) -> None:
        await self._take_down(event.node, lambda process: process.crash(Death.KILLED), event)

    async def _lose_power(self, event: timeline.PowerLoss) -> None:
        await self._take_down(event.node, lambda process: process.crash(Death.POWER_LOSS), event)

    async def _restart(self, event: timeline.Restart) -> None:
        await self._take_down(event.node, lambda process: process.stop(), event)

    async def _take_down(
        self, name: str, how: Callable[[Process], None], event: timeline.Kill | timeline.PowerLoss | timeline.Restart
    ) -> None:
        self._world.take_down(name, how)
        await trio.sleep(event.for_s)
        self._world.bring_up(name)
        self._world.has_healed(event.kind)

    async def _crash_in_write(self, event: timeline.CrashInWrite) -> None:
        process = self._world.processes[event.node]
        process.disk.crash_in_writes = event.writes
        process.disk.crash_moment = event.moment
        process.death_in_write = Death.POWER_LOSS if event.loses_power else Death.KILLED
        await trio.sleep(event.for_s)
        process.disk.crash_in_writes = None
        if not process.is_wanted:
            process.start()
            self._world.has_healed(event.kind)

    async def _pause(self, event: timeline.Pause) -> None:
        self._world.pause(event.node, event)
        await trio.sleep(event.for_s)
        self._world.resume(event.node, event)
        self._world.has_healed(event.kind)

    async def _starve(self, event: timeline.Starvation) -> None:
        while trio.current_time() < event.until_s:
            self._world.pause(event.node, event)
            await trio.sleep(event.slice_s * (1 - event.share))
            self._world.resume(event.node, event)
            await trio.sleep(event.slice_s * event.share)
        self._world.has_healed(event.kind)

    async def _jump(self, event: timeline.ClockJump) -> None:
        self._world.processes[event.node].clock.jump(event.by_s)

    async def _join(self, event: timeline.Join) -> None:
        self._world.bring_up(event.node)
        self._world.has_healed(event.kind)

    # Disks: of two faults of one disk the later one counts, and whichever ends first mends it.

    async def _break_disk(self, event: timeline.DiskErrors) -> None:
        await self._harm_disk(event, DiskFaults(write_error_rate=event.share, is_sticky=event.is_sticky))

    async def _fill_disk(self, event: timeline.DiskFull) -> None:
        await self._harm_disk(event, DiskFaults(free_bytes=event.free_bytes, is_sticky=False))

    async def _harm_disk(self, event: timeline.DiskErrors | timeline.DiskFull, faults: DiskFaults) -> None:
        process = self._world.processes[event.node]
        process.disk.faults = faults
        await trio.sleep(event.for_s)
        mend_disk(process.disk)
        if faults.is_sticky:
            # An operator would do the same: nothing can be written any more, and after a reboot it can.
            self._world.take_down(event.node, lambda process: process.crash(Death.POWER_LOSS))
            self._world.bring_up(event.node)
        self._world.has_healed(event.kind)

    async def _restore_backup(self, event: timeline.Backup) -> None:
        process = self._world.processes[event.node]
        copy = process.disk.copy()
        await trio.sleep(event.for_s)
        self._world.take_down(event.node, lambda process: process.crash(Death.POWER_LOSS))
        self._world.restore(process, copy)
        await trio.sleep(event.down_s)
        self._world.bring_up(event.node)
        self._world.has_healed(event.kind)

    # Deeds

    async def _order(self, event: timeline.Do) -> None:
        done = 0
        began = trio.current_time()
        while done < event.count:
            passed = trio.current_time() - began
            share = passed / event.for_s if event.for_s else 1.0
            due = min(event.count, 1 + int(event.count * share + ROUNDING))
            for name in event.nodes if due > done else ():
                self._world.processes[name].order(Order(event.operation, due - done, event.ref, event.commits))
            done = due
            if done < event.count:
                await trio.sleep(max(ORDER_EVERY_S, event.for_s / event.count))

    async def _import(self, event: timeline.ImportGit) -> None:
        self._world.processes[event.node].import_git(self._world.repository(event))


def mend_disk(disk: Disk) -> None:
    """Nothing is wrong with it any more."""
    disk.faults = DiskFaults()
    disk.crash_in_writes = None
