"""Methods of workers that evaluate leaves for a tree that this process holds."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import cast

import trio

from crdtgraph import LocalError
from crdtgraph.mcts import Budget
from crdtgraph.mcts.evaluating import Failure
from sync.methods.target import Handler, Target
from sync.params import Params
from sync.plain import error_to_plain
from sync.protocol.calls import Plain
from sync.workers.answering import WORK_ITEMS_MAX, answer_from_plain, orders_to_plain
from sync.workers.desks import Desks, HostedTree

SEED_MAX = (1 << 63) - 1


def _mcts_open(target: Target, params: Params) -> Plain:
    desks = _desks(target)
    name, fingerprint = params.text("search"), params.blob("fingerprint")
    iterations = params.optional_integer("iterations")
    seconds = params.seconds("seconds", 0) if params.has("seconds") else None
    seed = params.integer("seed", 0, 0, SEED_MAX)
    params.done()
    return _status(desks.open_known(target.graph, name, fingerprint, Budget(iterations, seconds), seed, target.node))


def _mcts_join(target: Target, params: Params) -> Plain:
    desks, caller = _desks(target), target.caller
    name, fingerprint = params.text("search"), params.blob("fingerprint")
    params.done()
    hosted = desks.of(name, fingerprint)
    if caller is None:
        raise LocalError("a worker comes over a connection, which tells when it is gone", hint="use sync.Worker")
    caller.return_over()
    if name in caller.desks:
        raise LocalError(f"worker {caller.name!r} works for search {name!r} already", hint="join once a connection")
    given = hosted.join(caller.name or "worker")
    caller.desks[name] = given, hosted
    caller.lend(hosted, lambda: hosted.leave(given))
    return given


def _mcts_work(target: Target, params: Params) -> Awaitable[Plain]:
    _desks(target)
    name = params.text("search")
    answers = [_answer(params, row) for row in params.entries("answers", WORK_ITEMS_MAX)]
    failures = [_failure(params, row) for row in params.entries("failures", WORK_ITEMS_MAX)]
    count = params.integer("count", 0, 0, WORK_ITEMS_MAX)
    params.done()
    found = target.caller.desks.get(name) if target.caller is not None else None
    if found is None:
        raise LocalError(f"this worker has not joined search {name!r:.80}", hint="call mcts_join first")
    worker, hosted = found

    async def work() -> Plain:
        try:
            orders = await hosted.work(worker, answers, failures, count)
        except LocalError:
            if hosted.desk.error is None:
                raise
            orders = []
        error = hosted.desk.error
        return {
            "tasks": orders_to_plain(orders),
            "over": hosted.desk.is_over,
            "error": None if error is None else error_to_plain(error),
        }

    return work()


def _mcts_status(target: Target, params: Params) -> Plain:
    desks, name = _desks(target), params.text("search")
    params.done()
    return _status(desks.of(name))


def _mcts_stop(target: Target, params: Params) -> Plain:
    desks, name = _desks(target), params.text("search")
    params.done()
    hosted = desks.of(name)
    hosted.stop()
    return _status(hosted)


def _status(hosted: HostedTree) -> Plain:
    desk = hosted.desk
    desk.tick(trio.current_time())
    spent, error = desk.spent, desk.error
    return {
        "root": desk.tree.root,
        "fingerprint": desk.fingerprint,
        "iterations": desk.iterations,
        "in_flight": desk.in_flight,
        "workers": [
            {"name": each.name, "tasks": each.tasks, "told": each.told, "failed": each.failed}
            for each in desk.workers.values()
        ],
        "best_line": [node.text for node in desk.tree.best_line()],
        "stop": None if spent is None else spent.stop.value,
        "seconds": None if spent is None else spent.seconds,
        "error": None if error is None else error_to_plain(error),
    }


def _desks(target: Target) -> Desks:
    if target.caller is not None:
        target.caller.require_greeting()
    if target.desks is None:
        raise LocalError("no trees are worked for in this process", hint="give Target(graph, desks=sync.Desks())")
    return target.desks


def _answer(params: Params, row: Plain) -> tuple[int, object]:
    if type(row) is not list or len(row) != 2 or type(row[0]) is not int:
        raise LocalError(f"{params.method}: an answer is {row!r:.60}", hint="a row of the task's id and its evaluation")
    return row[0], answer_from_plain(row[1])


def _failure(params: Params, row: Plain) -> Failure:
    if type(row) is not list or list(map(type, row)) != [int, str, str]:
        raise LocalError(
            f"{params.method}: a failure is {row!r:.60}", hint="a row of the task's id, message and detail"
        )
    return Failure(*cast("tuple[int, str, str]", row))


TABLE: Mapping[str, Handler] = {
    "mcts_join": _mcts_join,
    "mcts_open": _mcts_open,
    "mcts_status": _mcts_status,
    "mcts_stop": _mcts_stop,
    "mcts_work": _mcts_work,
}
