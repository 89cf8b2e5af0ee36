"""The nemesis: does harm at random moments and undoes each a while later, until it is told to stop.

The name is Jepsen's. What each fault does is said at its method; all of it is undone by `World.mend` at the latest.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from typing import Protocol

import trio

from .disk import Disk, DiskFaults
from .network import Network
from .options import FaultKind, Options
from .process import Death, Process
from .trace import Trace

FLAPS_MAX = 20


class Target(Protocol):
    """What the nemesis needs of a world."""

    options: Options
    network: Network
    trace: Trace
    processes: dict[str, Process]

    def pause(self, name: str) -> None:
        """Let no task of a machine's process run."""

    def resume(self, name: str) -> None:
        """Let them go on."""

    def restore(self, process: Process, copy: object) -> None:
        """Put an earlier copy of a disk back."""


class Nemesis:
    """Random faults in one world."""

    def __init__(self, world: Target, rng: random.Random) -> None:
        self._world = world
        self._rng = rng

    async def run(self) -> None:
        """Do harm, for ever."""
        options = self._world.options
        async with trio.open_nursery() as nursery:
            while options.faults:
                await trio.sleep(self._rng.expovariate(1 / options.fault_every_s))
                nursery.start_soon(self._do, self._rng.choice(options.faults))
            await trio.sleep_forever()

    async def _do(self, kind: FaultKind) -> None:
        work: dict[FaultKind, Callable[[], Awaitable[None]]] = {
            FaultKind.PARTITION: self._partition,
            FaultKind.ISOLATION: self._isolate,
            FaultKind.ASYMMETRIC_CUT: self._cut_one_way,
            FaultKind.FLAPPING: self._flap,
            FaultKind.RESET: self._reset,
            FaultKind.STALL: self._stall,
            FaultKind.KILL: self._kill,
            FaultKind.POWER_LOSS: self._lose_power,
            FaultKind.CRASH_IN_WRITE: self._crash_in_write,
            FaultKind.RESTART: self._restart,
            FaultKind.PAUSE: self._pause,
            FaultKind.CLOCK_JUMP: self._jump,
            FaultKind.DISK_ERRORS: self._break_disk,
            FaultKind.DISK_FULL: self._fill_disk,
            FaultKind.BACKUP: self._restore_backup,
        }
        await work[kind]()

    # The network

    async def _partition(self) -> None:
        """Split all machines into two or three groups."""
        names = self._world.options.names
        groups: list[list[str]] = [[] for _ in range(self._rng.randint(2, 3))]
        for name in names:
            self._rng.choice(groups).append(name)
        await self._split(groups)

    async def _isolate(self) -> None:
        """Cut one machine off from all others."""
        names = self._world.options.names
        alone = self._rng.choice(names)
        await self._split([[alone], [name for name in names if name != alone]])

    async def _split(self, groups: list[list[str]]) -> None:
        network = self._world.network
        self._note("splits", " | ".join(",".join(group) for group in groups))
        cuts = network.partition(groups, refuses=self._rng.random() < 0.5)
        await self._wait()
        for source, target in cuts:
            network.heal(source, target)
        self._note("heals", " ".join(f"{source}>{target}" for source, target in cuts))

    async def _cut_one_way(self) -> None:
        """A hears B, and B does not hear A."""
        network = self._world.network
        source, target = self._pair()
        self._note("cuts", f"{source}>{target}")
        network.cut(source, target, refuses=self._rng.random() < 0.5)
        await self._wait()
        self._note("heals", f"{source}>{target}")
        network.heal(source, target)

    async def _flap(self) -> None:
        """A path that goes away and comes back, again and again."""
        network = self._world.network
        source, target = self._pair()
        for _ in range(self._rng.randint(2, FLAPS_MAX)):
            network.cut(source, target)
            network.cut(target, source)
            await trio.sleep(self._rng.expovariate(1.0))
            network.heal(source, target)
            network.heal(target, source)
            await trio.sleep(self._rng.expovariate(1.0))

    async def _reset(self) -> None:
        """Break connections in the middle of whatever they carry."""
        name = self._machine().name
        for stream in self._world.network.streams(name):
            if self._rng.random() < 0.5:
                self._note("resets", name)
                stream.reset()

    async def _stall(self) -> None:
        """One connection carries nothing in one direction for a while, and is not broken."""
        streams = self._world.network.streams(self._machine().name)
        if streams:
            stream = self._rng.choice(streams)
            stream.incoming.hold()
            await self._wait()
            stream.incoming.release()

    # Processes

    async def _kill(self) -> None:
        """Kill a process; it is started again later."""
        await self._crash(Death.KILLED)

    async def _lose_power(self) -> None:
        """Switch a machine off; what it had not synced is gone."""
        await self._crash(Death.POWER_LOSS)

    async def _crash(self, death: Death) -> None:
        process = self._machine()
        self._world.resume(process.name)
        process.crash(death)
        await self._wait()
        process.start()

    async def _crash_in_write(self) -> None:
        """Kill a process in the middle of one of its next writes."""
        process = self._machine()
        process.disk.crash_in_writes = self._rng.randint(1, 20)
        await self._wait()
        process.disk.crash_in_writes = None
        process.start()

    async def _restart(self) -> None:
        """Stop a process cleanly and start it again."""
        process = self._machine()
        process.stop()
        await self._wait()
        process.start()

    async def _pause(self) -> None:
        """Let a process do nothing at all for a while, as in a long garbage collection or under SIGSTOP."""
        name = self._machine().name
        self._note("pauses", name)
        self._world.pause(name)
        await self._wait()
        self._note("resumes", name)
        self._world.resume(name)

    async def _jump(self) -> None:
        """Set a wall clock forward or back, by milliseconds or by hours."""
        process = self._machine()
        seconds = self._rng.choice((-1, 1)) * self._rng.choice((0.01, 1.0, 100.0, 10_000.0)) * self._rng.random()
        self._note("sets the clock of", f"{process.name} {seconds:+.3f}")
        process.clock.jump(seconds)

    # Disks

    async def _break_disk(self) -> None:
        """Some or all writes fail; with a sticky error only a new process can write again."""
        rate, sticky = self._rng.choice((0.1, 0.5, 1.0)), self._rng.random() < 0.5
        await self._harm_disk(DiskFaults(write_error_rate=rate, is_sticky=sticky))

    async def _fill_disk(self) -> None:
        """Little space is left; it can be written again once there is more."""
        await self._harm_disk(DiskFaults(free_bytes=self._rng.choice((0, 300, 5_000)), is_sticky=False))

    async def _harm_disk(self, faults: DiskFaults) -> None:
        process = self._machine()
        self._note("harms the disk of", f"{process.name} {faults}")
        process.disk.faults = faults
        await self._wait()
        self._note("mends the disk of", process.name)
        mend_disk(process.disk)
        if faults.is_sticky:
            await self._crash_and_return(process)

    async def _restore_backup(self) -> None:
        """Copy a disk, and later put the copy back: a machine returns with an older state and its old key."""
        process = self._machine()
        copy = process.disk.copy()
        await self._wait()
        self._world.resume(process.name)
        process.crash(Death.POWER_LOSS)
        self._world.restore(process, copy)
        await self._wait()
        process.start()

    async def _crash_and_return(self, process: Process) -> None:
        self._world.resume(process.name)
        process.crash(Death.KILLED)
        process.start()

    # Dice

    def _machine(self) -> Process:
        return self._world.processes[self._rng.choice(self._world.options.names)]

    def _pair(self) -> tuple[str, str]:
        source, target = self._rng.sample(self._world.options.names, 2)
        return source, target

    async def _wait(self) -> None:
        await trio.sleep(self._rng.expovariate(1 / self._world.options.fault_length_s))

    def _note(self, what: str, detail: str) -> None:
        self._world.trace.note("nemesis", what, detail)


def mend_disk(disk: Disk) -> None:
    """Nothing is wrong with it any more."""
    disk.faults = DiskFaults()
    disk.crash_in_writes = None
