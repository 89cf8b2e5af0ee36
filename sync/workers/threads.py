"""Workers in the tree's own process: tasks that evaluate in threads, beside a tree that selects and counts.

For problems whose evaluation gives the interpreter's lock away, as numpy and neural networks do, and for those that
wait for something. Others are searched faster with processes (`pool.py`).
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import trio

from crdtgraph.errors import CrdtGraphError, LocalError
from crdtgraph.mcts.evaluating import Evaluator

if TYPE_CHECKING:
    from crdtgraph.mcts import Budget, SearchTree, Spent
    from sync.workers.desks import HostedTree

THREADS_MAX = 256


async def search_with_threads(
    tree: SearchTree, problem: Any, budget: Budget | int, *, threads: int, seed: int = 0, batch: int = 1
) -> Spent:
    """Search a tree with so many threads of this process, under trio, until the budget is spent.

    Args:
        tree: nobody else may run it meanwhile. It is only touched by the task that calls this.
        problem: the tree's problem; its methods are called in several threads at once.
        budget: as for `SearchTree.run`.
        threads: how many evaluate at the same time.
        seed: of their randomness, together with their numbers.
        batch: leaves that one of them evaluates at a time, in one call for a problem with `evaluate_many`.

    Raises WorkersFailedError when the problem failed three times on one leaf, ProblemError when it failed in selecting,
    LocalError when it is not the tree's problem.
    """
    from sync.workers.desks import Desks

    if type(threads) is not int or not 0 < threads <= THREADS_MAX:
        raise LocalError(f"{threads!r:.80} threads", hint=f"it is a number from 1 to {THREADS_MAX}")
    desks = Desks()
    hosted = desks.open(tree, budget)
    limiter = trio.CapacityLimiter(threads)
    try:
        async with trio.open_nursery() as nursery:
            for number in range(threads):
                evaluator = Evaluator(problem, Random(f"{seed} {number}"))
                desks.of(tree.search.name, evaluator.fingerprint)
                nursery.start_soon(_work, hosted, evaluator, hosted.join(f"thread {number}"), batch, limiter)
            spent = await hosted.result()
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        ours, others = group.split(CrdtGraphError)
        if ours is not None and others is None:
            raise ours.exceptions[0] from None
        raise
    finally:
        if not hosted.desk.is_over:
            hosted.stop()
    return spent


async def _work(hosted: HostedTree, evaluator: Evaluator, name: str, batch: int, limiter: trio.CapacityLimiter) -> None:
    answers, failures = evaluator.evaluate([])
    while not hosted.desk.is_over:
        try:
            orders = await hosted.work(name, answers, failures, batch)
        except LocalError:
            if hosted.desk.error is None:
                raise
            return  # Whoever waits for the result is told.
        evaluate = partial(evaluator.evaluate, orders)
        answers, failures = await trio.to_thread.run_sync(evaluate, limiter=limiter, abandon_on_cancel=True)
