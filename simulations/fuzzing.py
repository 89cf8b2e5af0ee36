"""Many seeds, one world each, in as many processes as wanted."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import islice
from multiprocessing import get_context, resource_tracker
from typing import TypeVar

from crdtgraph.errors import LocalError
from simulations.runner import Outcome, run

LINES_KEPT = 60
"""Of each world: enough for a first look; a replay shows all."""
QUEUED_PER_JOB = 2
"""Items handed to the workers in advance, so that none has to wait for the next."""
WORLDS_PER_PROCESS = 200
"""Then a fresh process takes over, so that no leak in any library adds up."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def fuzz(seeds: Iterable[int], *, jobs: int = 1) -> Generator[Outcome, None, None]:
    """The outcomes of the worlds that these seeds draw, in order of completion; with one job, of the seeds.

    Close the iterator to stop; worlds that are under way are waited for. Raises LocalError if a worker process dies,
    which no world should be able to do.
    """
    yield from spread(partial(run, lines_kept=LINES_KEPT), seeds, jobs=jobs)


def spread(work: Callable[[Item], Result], items: Iterable[Item], *, jobs: int) -> Generator[Result, None, None]:
    """What `work` makes of each item, in order of completion; with one job, of the items, and in this process.

    Items are asked for a few ahead of the results. Closing, and errors, as in `fuzz`.
    """
    if jobs <= 1:
        yield from map(work, items)
        return
    context = get_context("spawn")
    waiting = iter(items)
    under_way: dict[Future[Result], Item] = {}
    # This starts a process and lets interrupts through again, so it has to be done before they are held back.
    resource_tracker.ensure_running()
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=WORLDS_PER_PROCESS) as pool:
        try:
            while True:
                for item in islice(waiting, jobs * QUEUED_PER_JOB - len(under_way)):
                    with _interrupts_held():
                        under_way[pool.submit(work, item)] = item
                if not under_way:
                    return
                for future in wait(under_way, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del under_way[future]
                    yield result
        except BrokenProcessPool as failure:
            lost = ", ".join(sorted(map(str, under_way.values())))
            raise LocalError(
                f"a worker process died while it ran one of the seeds {lost}", hint="run them one by one"
            ) from failure
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Ctrl-C goes to all processes of a terminal; those that are started in the block, by any thread, never see it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
