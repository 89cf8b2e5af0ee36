"""Runs one world from one seed so that it can be run again: the only module that touches trio's private names.

trio decides by dice which of the runnable tasks goes first; the dice are seeded and the tasks sorted first, so a run is
one of the possible schedules and the same each time. The clock is trio's mock clock, which jumps to the next deadline
when nobody can run. `fail_after` around everything makes a deadlock end.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass

import trio
import trio.lowlevel
import trio.testing
from trio._core import _run as trio_run

from .checkers import ViolationError
from .options import Options, draw
from .process import CURRENT
from .seeds import child
from .trace import Trace
from .world import Pauses, World

SIMULATED_S_MAX = 100_000.0
"""No world takes so long; one that does hangs."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run. `failure` is empty if all rules held; `rule` names the one that did not."""

    seed: int
    options: Options
    failure: str
    rule: str
    trace_hash: str
    lines: tuple[str, ...]
    events: int
    commits: int
    simulated_s: float
    converged_after_s: float
    wall_s: float

    @property
    def command(self) -> str:
        """What runs it again."""
        return f"python -m simulations --seed {self.seed}"


class TaskPauses(Pauses, trio.abc.Instrument):
    """Keeps the tasks of a paused machine from running: they become runnable, and wait.

    Nothing else stops: bytes arrive, deadlines pass, other machines go on. That is what a process sees that was
    suspended.
    """

    def __init__(self) -> None:
        self._paused: dict[str, list[trio.lowlevel.Task]] = {}

    def pause(self, name: str) -> None:
        """See `Pauses`."""
        self._paused.setdefault(name, [])

    def resume(self, name: str) -> None:
        """See `Pauses`."""
        trio_run.GLOBAL_RUN_CONTEXT.runner.runq.extend(self._paused.pop(name, ()))

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """See `trio.abc.Instrument`."""
        if self._paused:
            waiting = self._paused.get(task.context.get(CURRENT, ""))
            if waiting is not None:
                taken = trio_run.GLOBAL_RUN_CONTEXT.runner.runq.pop()
                assert taken is task
                waiting.append(task)


def run(seed: int, options: Options | None = None, *, lines_kept: int | None = 2_000) -> Outcome:
    """Run a world; what it is like is drawn from the seed unless `options` say it."""
    if options is None:
        options = draw(child(seed, "options"))
    trace, pauses = Trace(lines_kept), TaskPauses()
    world = World(seed, options, pauses, trace)
    ended_at = 0.0

    async def live() -> None:
        nonlocal ended_at
        with trio.fail_after(SIMULATED_S_MAX):
            try:
                await world.run()
            finally:
                ended_at = trio.current_time()

    vars(trio_run)["_ALLOW_DETERMINISTIC_SCHEDULING"] = True
    trio_run._r.seed(child(seed, "scheduler").random())
    failure, rule = "", ""
    began = time.perf_counter()
    try:
        trio.run(live, clock=trio.testing.MockClock(autojump_threshold=0), instruments=[pauses])
    except (Exception, BaseExceptionGroup) as error:
        if any(isinstance(each, KeyboardInterrupt) for each in _leaves(error)):
            raise
        rule, failure = _explain(error)
    return Outcome(
        seed=seed,
        options=options,
        failure=failure,
        rule=rule,
        trace_hash=trace.digest,
        lines=tuple(trace.lines),
        events=trace.counts.total(),
        commits=len(world.journal.written),
        simulated_s=ended_at,
        converged_after_s=world.converged_after_s,
        wall_s=time.perf_counter() - began,
    )


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
