"""Runs one world from one seed so that it can be run again: the only module that touches trio's private names.

trio decides by dice which of the runnable tasks goes first; the dice are seeded and the tasks sorted first, so a run is
one of the possible schedules and the same each time. The clock is the world's agenda, which jumps to what comes next
when nobody can run. `fail_after` around everything makes a deadlock end.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import trio
import trio.lowlevel
from trio._core import _run as trio_run

from simulations.checkers import ViolationError
from simulations.observer import SAMPLES, Observation, Observer
from simulations.process import CURRENT
from simulations.scenario import Scenario
from simulations.seeds import child
from simulations.swarm import draw
from simulations.trace import Trace
from simulations.world import Pauses, World

SIMULATED_S_MAX = 100_000.0
"""No world takes so long; one that does hangs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run. `failure` is empty if all rules held; `rule` names the one that did not.

    Args:
        trace_hash: of everything that happened; equal for equal runs.
        lines: the last of what happened, for people.
        commits: that programs made; `lost` of them died with a process or a disk before they were durable, `pending`
            wait in the end for a parent that is nowhere.
        conflicts: refs that are in conflict in the end.
        bytes_sent: by all machines.
        converged_after_s: from the end of all faults to agreement.
        seen: what an observer saw, if one was asked for.
    """

    seed: int
    scenario: Scenario
    failure: str
    rule: str
    trace_hash: str
    lines: tuple[str, ...]
    events: int
    commits: int
    lost: int
    pending: int
    conflicts: tuple[str, ...]
    bytes_sent: int
    simulated_s: float
    converged_after_s: float
    wall_s: float
    seen: Observation | None = None


class TaskPauses(Pauses, trio.abc.Instrument):
    """Keeps the tasks of a paused machine from running: they become runnable, and wait.

    Nothing else stops: bytes arrive, deadlines pass, other machines go on. That is what a process sees that was
    suspended.
    """

    def __init__(self) -> None:
        self._paused: dict[str, list[trio.lowlevel.Task]] = {}

    def pause(self, name: str) -> None:
        """See `Pauses`."""
        if not self._paused:
            # Trio calls an instrument for every task that becomes runnable, so it is there only while it is needed.
            trio.lowlevel.add_instrument(self)
        self._paused.setdefault(name, [])

    def resume(self, name: str) -> None:
        """See `Pauses`."""
        if name in self._paused:
            trio_run.GLOBAL_RUN_CONTEXT.runner.runq.extend(self._paused.pop(name))
            if not self._paused:
                trio.lowlevel.remove_instrument(self)

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        waiting = self._paused.get(task.context.get(CURRENT, ""))
        if waiting is not None:
            taken = trio_run.GLOBAL_RUN_CONTEXT.runner.runq.pop()
            assert taken is task
            waiting.append(task)


def run(
    seed: int,
    scenario: Scenario | None = None,
    *,
    lines_kept: int | None = 2_000,
    observe: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Outcome:
    """Run a world and say what came of it; never raises for what happens in it.

    Args:
        seed: of all its dice.
        scenario: what it is like; drawn from the seed by default.
        lines_kept: how many of the last events to keep; None for all.
        observe: whether to watch it, for `Outcome.seen`. A run that is watched is the same run.
        progress: called with the simulated time now and then, if it is watched.
    """
    scenario = draw(seed) if scenario is None else scenario
    trace, pauses = Trace(lines_kept), TaskPauses()
    world = World(seed, scenario, pauses, trace)
    observer: Observer | None = None
    if observe:
        every_s = max(scenario.duration_s / SAMPLES, 1e-3)
        observer = Observer(
            world.processes, world.is_paused, lambda: world.network.bytes_sent, every_s=every_s, progress=progress
        )
        world.on_heal, world.on_loss = observer.has_healed, observer.has_lost
        world.agenda.before_jump = observer.look
    world.agenda.is_idle = lambda: not trio_run.GLOBAL_RUN_CONTEXT.runner.runq
    end = _End()

    async def live() -> None:
        with trio.fail_after(SIMULATED_S_MAX):
            try:
                await world.run(lambda: end.note(world, observer))
            finally:
                end.measure(world)

    make_repeatable(seed)
    failure, rule = "", ""
    began = time.perf_counter()
    try:
        trio.run(
            live,
            clock=world.agenda,
            # Raised just anywhere, an interrupt can be lost: cbor2 drops what comes up while it looks at a type.
            restrict_keyboard_interrupt_to_checkpoints=True,
        )
    except (Exception, BaseExceptionGroup) as error:
        if any(isinstance(each, KeyboardInterrupt) for each in _leaves(error)):
            raise
        rule, failure = _explain(error)
    if observer is not None and observer.error is not None:
        raise observer.error
    return Outcome(
        seed=seed,
        scenario=scenario,
        failure=failure,
        rule=rule,
        trace_hash=trace.digest,
        lines=tuple(trace.lines),
        events=trace.counts.total(),
        commits=end.commits,
        lost=end.lost,
        pending=end.pending,
        conflicts=end.conflicts,
        bytes_sent=end.bytes_sent,
        simulated_s=end.at_s,
        converged_after_s=world.converged_after_s,
        wall_s=time.perf_counter() - began,
        seen=observer.seen if observer is not None else None,
    )


def make_repeatable(seed: int) -> None:
    """Let the next `trio.run` of this process take the same turns whenever it is given this seed."""
    vars(trio_run)["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    trio_run._r.seed(child(seed, "scheduler").random())


class _End:
    """What a world was like when all had agreed; what is said after that, to see that it travels at once, is no matter.

    Of a world that came to nothing only what can be measured from outside.
    """

    def __init__(self) -> None:
        self.at_s = 0.0
        self.commits = 0
        self.bytes_sent = 0
        self.lost = 0
        self.pending = 0
        self.conflicts: tuple[str, ...] = ()
        self._is_noted = False

    def measure(self, world: World) -> None:
        if not self._is_noted:
            self.at_s = trio.current_time()
            self.commits = len(world.journal.written)
            self.bytes_sent = world.network.bytes_sent

    def note(self, world: World, observer: Observer | None) -> None:
        self.measure(world)
        self._is_noted = True
        graph = next(process.graph for process in world.processes.values() if process.graph is not None)
        self.lost = world.lost()
        self.pending = graph.status().pending
        self.conflicts = tuple(sorted(ref for ref in graph.refs if len(graph.refs.targets(ref)) > 1))
        if observer is not None:
            observer.finish()


def _explain(error: BaseException) -> tuple[str, str]:
    """The rule that was broken first, or the class of the exception, and all about it."""
    leaves = [each for each in _leaves(error) if not isinstance(each, trio.Cancelled)]
    for each in leaves:
        if isinstance(each, ViolationError):
            return each.rule, str(each)
    text = "".join("".join(traceback.format_exception(each)) for each in leaves)
    return "no exception but the library's own", text


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
