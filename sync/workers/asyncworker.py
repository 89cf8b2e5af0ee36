"""A worker under trio; `worker.py` says what workers are."""

from __future__ import annotations

import os
from typing import Any

import trio

from crdtgraph.errors import NotFoundError
from sync.client import asks
from sync.client.asyncclient import ControlClient
from sync.client.asyncremote import async_greet
from sync.workers.answering import Job


async def run_worker(
    problem: Any,
    address: str | os.PathLike[str],
    *,
    search: str = "mcts",
    name: str = "",
    seed: object = None,
    batch: int | None = None,
) -> int:
    """Evaluate leaves in a thread until the search is over; arguments, result and errors as for `Worker`.

    Several of them make use of as many processors as the problem's code gives the interpreter's lock away for.
    """
    name = name or f"task of process {os.getpid()}"
    job = Job(problem, search, seed=name if seed is None else seed, batch=batch)
    async with await ControlClient.connect(address) as client:
        await async_greet(client, name)
        joining = job.joining()
        try:
            await client.call(joining.method, **joining.params)
        except NotFoundError as error:
            raise asks.not_hosted(error) from None
        while True:
            ask = job.next_ask()
            answer = ask.read(await client.call(ask.method, **ask.params))
            if answer.is_over:
                return job.evaluated
            await trio.to_thread.run_sync(job.evaluate, answer.orders)
