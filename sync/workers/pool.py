"""Workers as processes of this machine: a small pool, and a tree that is searched with one.

    if __name__ == "__main__":
        with crdtgraph.open("search.db") as graph, SearchTree(graph, ConnectFour(), name="move 12") as tree:
            spent = search_with_workers(tree, ConnectFour(), Budget(seconds=10), workers=4)
            tree.promote(ref="best")

Each process has the problem and nothing else (`worker.py`); it is started afresh, so what is above has to stand behind
`if __name__ == "__main__"`, and the problem's class in a module that can be imported.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any

import trio

from crdtgraph.errors import CrdtGraphError, LocalError
from crdtgraph.mcts.desk import LEASE_S
from sync.scratch import scratch_folder
from sync.workers.worker import Worker

if TYPE_CHECKING:
    from crdtgraph.mcts import Budget, SearchTree, Spent
    from sync.node import Node
    from sync.workers.desks import Desks

WORKERS_MAX = 64
"""Processes of one pool: half of what a node serves."""
PROGRESS_S = 0.1
"""Between two looks at how the search goes."""
END_S = 10.0
"""How long a process may take to end when its search is over, before it is killed."""
TEXT_SHOWN = 200
"""Characters of what an error of somebody else's code says."""


class Workers:
    """A pool of processes that work for one tree; a context manager that ends them.

    Args:
        problem: the tree's, which can be pickled, or a function without arguments that makes it.
        count: how many processes.
        address: of the node that holds the tree: a path, or "tcp:HOST:PORT".
        search: the name of the tree's search.
        seed: of their randomness, together with their numbers.
        batch: leaves to ask for at a time; by default as many as take about 5 ms.

    Raises LocalError for a problem that cannot be sent to another process, or a number that cannot be.
    """

    def __init__(
        self,
        problem: Any,
        count: int,
        address: str | os.PathLike[str],
        *,
        search: str = "mcts",
        seed: int = 0,
        batch: int | None = None,
    ) -> None:
        if type(count) is not int or not 0 < count <= WORKERS_MAX:
            raise LocalError(f"{count!r:.80} workers", hint=f"it is a number from 1 to {WORKERS_MAX}")
        try:
            sent = pickle.dumps(problem)
        except Exception as error:
            raise LocalError(
                f"{problem!r:.80} cannot be sent to another process: {type(error).__name__}: {error!s:.200}",
                hint="define its class in a module, or give a function of a module that makes it",
            ) from error
        context = get_context("spawn")
        self.processes: list[SpawnProcess] = []
        self._pipes: list[Connection] = []
        try:
            for number in range(count):
                here, there = context.Pipe(duplex=False)
                arguments = (there, sent, os.fspath(address), search, f"worker {number}", f"{seed} {number}", batch)
                process = context.Process(target=_work, args=arguments, name=f"worker {number}", daemon=True)
                process.start()
                there.close()
                self.processes.append(process)
                self._pipes.append(here)
        except BaseException:
            self.close(patience_s=0)
            raise

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(patience_s=END_S if error is None else 0)

    def alive(self) -> int:
        """How many of them run."""
        return sum(process.is_alive() for process in self.processes)

    def ends(self) -> dict[str, str]:
        """How those ended that did not end as they should, by name: what was wrong, or the signal."""
        found = {}
        for process, pipe in zip(self.processes, self._pipes, strict=True):
            if process.exitcode:
                with suppress(EOFError, OSError):
                    if pipe.poll():
                        found[process.name] = pipe.recv()
                        continue
                found[process.name] = _exit_text(process.exitcode)
        return found

    def close(self, *, patience_s: float = END_S) -> None:
        """Wait for all of them so long, and end those that still run. Closing again does nothing."""
        until = monotonic() + patience_s
        for process in self.processes:
            process.join(max(0.0, until - monotonic()))
        for process in self.processes:
            if process.is_alive():
                process.kill()
                process.join()


def search_with_workers(
    tree: SearchTree,
    problem: Any,
    budget: Budget | int,
    *,
    workers: int,
    seed: int = 0,
    batch: int | None = None,
    lease_s: float = LEASE_S,
    on_progress: Callable[[SearchTree], object] | None = None,
) -> Spent:
    """Search a tree with so many processes beside this one, until the budget is spent. Blocks; `async_` for trio.

    Args:
        tree: made in this process, which selects and counts; nobody else may run it meanwhile.
        problem: the tree's problem again, or a function of a module that makes it; it is pickled.
        budget: as for `SearchTree.run`.
        workers: how many processes.
        seed: of their randomness. With several workers the order of answers differs from run to run all the same.
        batch: leaves that a worker asks for at a time; by default as many as take about 5 ms.
        lease_s: how long a worker may keep a leaf before it is taken back; longer than an evaluation takes.
        on_progress: called ten times a second with the tree.

    Raises:
        WorkersFailedError: the problem failed three times on one leaf; `detail` is the last traceback in a worker.
        LocalError: all workers have ended before the search was over, and how.
        ProblemError: the problem failed in this process.

    What was found until then is counted in the search. A worker that is killed costs what it had in hand.
    """

    async def run() -> Spent:
        return await async_search_with_workers(
            tree, problem, budget, workers=workers, seed=seed, batch=batch, lease_s=lease_s, on_progress=on_progress
        )

    return trio.run(run)


async def async_search_with_workers(
    tree: SearchTree,
    problem: Any,
    budget: Budget | int,
    *,
    workers: int,
    seed: int = 0,
    batch: int | None = None,
    lease_s: float = LEASE_S,
    on_progress: Callable[[SearchTree], object] | None = None,
    node: Node | None = None,
    desks: Desks | None = None,
) -> Spent:
    """The same under trio, for a program whose graph is a node's, perhaps: other tasks go on meanwhile.

    With `desks`, those that the program's own control socket has, workers of other machines may come as well.
    """
    # Whoever only starts a worker needs none of these.
    from sync.control import open_control
    from sync.methods import Target
    from sync.workers.desks import Desks as OwnDesks

    desks, graph = desks if desks is not None else OwnDesks(), tree._graph
    with scratch_folder() as folder:
        path = str(folder / "control")
        try:
            async with open_control(path, Target(graph, node, desks=desks)):
                hosted = desks.open(tree, budget, lease_s=lease_s, node=node)
                pool = Workers(problem, workers, path, search=tree.search.name, seed=seed, batch=batch)
                try:
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(_watch, pool, tree, on_progress)
                        spent = await hosted.result()
                        nursery.cancel_scope.cancel()
                    # They hear that it is over with their next question, which is answered here meanwhile.
                    await trio.to_thread.run_sync(pool.close, abandon_on_cancel=True)
                finally:
                    if not hosted.desk.is_over:
                        hosted.stop()
                    pool.close(patience_s=0)
        except BaseExceptionGroup as group:
            raise _only(group) from None
    if on_progress is not None:
        on_progress(tree)
    return spent


async def _watch(pool: Workers, tree: SearchTree, on_progress: Callable[[SearchTree], object] | None) -> None:
    while True:
        await trio.sleep(PROGRESS_S)
        if not pool.alive():
            ends = pool.ends()
            name, text = next(iter(ends.items()), ("a worker", "it ended too early"))
            raise LocalError(
                f"all {len(pool.processes)} workers have ended before the search was over; {name}: {text}",
                hint="what was found until then is counted in the search",
            )
        if on_progress is not None:
            on_progress(tree)


def _only(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a group of one holds; of several the first of ours."""
    flat: list[BaseException] = []
    stack: list[BaseException] = [group]
    while stack:
        error = stack.pop()
        if isinstance(error, BaseExceptionGroup):
            stack += error.exceptions
        else:
            flat.append(error)
    return next((error for error in flat if isinstance(error, CrdtGraphError)), flat[0])


def _work(pipe: Connection, sent: bytes, address: str, search: str, name: str, seed: str, batch: int | None) -> None:
    # Ctrl-C goes to all processes of a terminal; the one that has the tree decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        problem = pickle.loads(sent)
        if isinstance(problem, type) or not hasattr(problem, "evaluate"):
            problem = problem()
        Worker(problem, address, search=search, name=name, seed=seed, batch=batch).run()
    except CrdtGraphError as error:
        pipe.send(error.message)
        raise SystemExit(1) from None
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error
    except BaseException as error:  # noqa: BLE001 (whatever it is, the other process is told)
        # Ctrl-C does not come here, so it is the problem's own.
        pipe.send(f"the problem raised {raised_text(error)}")
        raise SystemExit(1) from None


def raised_text(error: BaseException) -> str:
    """What somebody else's code raised, and where, in a line."""
    where = traceback.extract_tb(error.__traceback__)
    line = f", {Path(where[-1].filename).name} line {where[-1].lineno}" if where else ""
    text = (str(error).splitlines() or [""])[0][:TEXT_SHOWN]
    return f"{type(error).__name__}{text and f': {text}'}{line}"


def _exit_text(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    try:
        return f"it was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was ended by signal {-code}"
