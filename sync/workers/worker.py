"""A worker that has a problem and nothing else: it evaluates leaves for a tree in another process until that is over.

    Worker(ConnectFour(), "node/control", search="move 12").run()

It needs no replica and no store. `Worker` blocks; `run_worker` is the same under trio, with evaluations in a thread.
"""

from __future__ import annotations

import os
from typing import Any

from crdtgraph.errors import NotFoundError
from sync.client import asks
from sync.client.blocking import BlockingControlClient
from sync.client.remote import greet
from sync.workers.answering import Job


class Worker:
    """One worker.

    Args:
        problem: the same as the tree's, of the same parameters.
        address: of the node: a path, or "tcp:HOST:PORT".
        search: the name of the search whose tree it works for.
        name: for people, in status and errors; by default the number of the process.
        seed: of its randomness; by default its name.
        batch: leaves to ask for at a time; by default as many as take about 5 ms.
    """

    def __init__(
        self,
        problem: Any,
        address: str | os.PathLike[str],
        *,
        search: str = "mcts",
        name: str = "",
        seed: object = None,
        batch: int | None = None,
    ) -> None:
        self.address = address
        self.name = name or f"process {os.getpid()}"
        self._job = Job(problem, search, seed=self.name if seed is None else seed, batch=batch)

    def run(self) -> int:
        """Work until the search is over; returns how many leaves were evaluated.

        What the problem raises here is reported to the tree, which tries the leaf with somebody else.

        Raises:
            UnreachableError: there is no node, or it went away in the middle; the ledger is as it left it.
            LocalError: the node speaks another version, has no such tree, or its tree is about another problem; or the
                search has ended with this error, of another worker perhaps.
        """
        job = self._job
        with BlockingControlClient(self.address) as client:
            greet(client, self.name)
            joining = job.joining()
            try:
                client.call(joining.method, **joining.params)
            except NotFoundError as error:
                raise asks.not_hosted(error) from None
            while True:
                ask = job.next_ask()
                answer = ask.read(client.call(ask.method, **ask.params))
                if answer.is_over:
                    return job.evaluated
                job.evaluate(answer.orders)
