"""Leaving time to others: a long computation in the thread of a node gives way to it.

A module of its own, as a node gives way to nobody and trio's tools for tests take as long to import as trio itself.
"""

from __future__ import annotations

import trio
from trio.testing import wait_all_tasks_blocked

TURN_MOST = 4
"""A computation beside a node that has more to do than there is time for keeps a fifth of it."""


class Turns:
    """To be awaited between the slices of a long computation: all other tasks of the thread run until they are done.

        await tree.run_async(Budget(seconds=60), sync.Turns())

    A single checkpoint lets each task take one step only, and to read, check, fold and pass on what a peer sends takes
    a dozen: a node beside a computation that gives way like that falls behind its peers, further and further. So one
    turn lasts until nothing can run any more, but no longer than `TURN_MOST` times the slice before it.
    """

    def __init__(self) -> None:
        self._since = trio.current_time()

    async def __call__(self) -> None:
        """Let others run."""
        began = trio.current_time()
        # Not only for tests, where trio has it: it asks the loop itself whether anything can run or has come in.
        until = began + TURN_MOST * (began - self._since)
        with trio.move_on_at(until):
            await wait_all_tasks_blocked()
        self._since = trio.current_time()
