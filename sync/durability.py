"""Write-behind and group commit: who waits for the disk, and how seldom.

What is written with `NORMAL` durability is on disk within 100 ms, and then goes to peers. Whoever asked for `CRITICAL`
over the control socket waits for a *round*: one write and one fsync for all that was said before it began. While one
round waits for the disk the next one gathers, so any number of concurrent callers shares two fsyncs (the group commit
of DeWitt et al., "Implementation Techniques for Main Memory Database Systems", 1984).

The wait for the disk happens in a worker thread (or wherever `run_sync` runs it), because it may take 20 ms on a bad
day and commits must not wait for it. The graph itself is only touched from the event loop. While nothing is buffered
nothing here runs: the graph says when a first record is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from crdtgraph.errors import StoreCorruptError, StoreError
from sync.protocol.limits import Settings
from sync.protocol.replica import LocalReplica

RunSync = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs a blocking function somewhere and waits for it."""


async def run_in_thread(work: Callable[[], None]) -> None:
    """Run a blocking function in one of trio's worker threads."""
    await trio.to_thread.run_sync(work)


class _Round:
    """One write and one fsync: whether anybody waits for it, and how it ended."""

    def __init__(self) -> None:
        self.wanted = False
        self.done = trio.Event()
        self.failure: StoreError | None = None

    def end(self, failure: StoreError | None = None) -> None:
        if not self.done.is_set():
            self.failure = failure
            self.done.set()


class Flusher:
    """Flushes a graph as long as `run` runs, and compacts when there is enough to join.

    A store that refuses to write is reported to `failed`, opened anew when it lets itself be, and tried again; the
    records stay buffered. A corrupt one raises. `took` is told how many seconds the oldest record waited until the disk
    had it.
    """

    def __init__(
        self,
        graph: LocalReplica,
        settings: Settings,
        run_sync: RunSync,
        failed: Callable[[StoreError], None],
        took: Callable[[float], None],
    ) -> None:
        self._graph = graph
        self._settings = settings
        self.run_sync = run_sync
        self._failed = failed
        self._took = took
        self._waiting = trio.lowlevel.ParkingLot()
        self._oldest_at: list[float] = []
        self._next = _Round()
        self._ended: StoreError | None = None
        self._is_refused = False

    async def durable(self) -> None:
        """Return when all that was written before the call is on disk. Concurrent calls share an fsync.

        Raises StoreError when the disk refuses: the records are there and are tried again, and nothing is known to be
        on disk. `run` must be running.
        """
        if self._graph.flush_due() is None:
            await trio.lowlevel.checkpoint()
            return
        if self._ended is not None:
            raise self._ended
        round_ = self._next
        round_.wanted = True
        self._waiting.unpark_all()
        await round_.done.wait()
        if round_.failure is not None:
            raise StoreError(round_.failure.message, round_.failure.hint) from round_.failure

    async def run(self) -> None:
        """Flush for ever."""
        stop = self._graph.on_buffered(self._note_first)
        try:
            while True:
                if self._is_refused:
                    await self._reopen()
                self._graph.announce()
                due = self._graph.flush_due()
                if due is None:
                    self._oldest_at.clear()
                    self._end_round()
                    # Nobody else runs between the look and the parking, so no call can be missed.
                    await self._waiting.park()
                elif due > 0 and not self._next.wanted:
                    with trio.move_on_after(due):
                        await self._waiting.park()
                else:
                    await self._flush()
        finally:
            stop()
            self._ended = StoreError("the node has stopped", hint="open the store again and look what it holds")
            self._end_round(self._ended)

    def note_refusal(self) -> None:
        """The store refused to write: it wants to be opened anew before anybody writes again."""
        self._is_refused = True
        self._waiting.unpark_all()

    def announce_soon(self) -> None:
        """Something became durable that peers have not been told of."""
        self._waiting.unpark_all()

    async def _reopen(self) -> None:
        """Open the store anew, as soon as it lets itself be."""
        while self._is_refused:
            await trio.sleep(self._settings.flush_retry_s)
            try:
                self._graph.store.reopen()
                self._is_refused = False
            except StoreCorruptError:
                raise
            except StoreError as error:
                self._failed(error)
                self._end_round(error)

    def _note_first(self) -> None:
        if not self._oldest_at:
            self._oldest_at.append(trio.current_time())
        self._waiting.unpark_all()

    def _end_round(self, failure: StoreError | None = None) -> None:
        round_, self._next = self._next, _Round()
        round_.end(failure)

    async def _flush(self) -> None:
        graph = self._graph
        # What is said from here on waits for the next time.
        round_, self._next = self._next, _Round()
        try:
            written = graph.write_behind()
            began = [*self._oldest_at]
            self._oldest_at.clear()
            await self.run_sync(graph.store.sync)
            graph.settle(written)
            # From here on it is on disk, whatever else may fail.
            round_.end()
            for at in began:
                self._took(trio.current_time() - at)
            if graph.needs_compaction():
                for _ in graph.compact_steps():
                    await trio.lowlevel.checkpoint()
        except StoreCorruptError as error:
            round_.end(error)
            raise
        except StoreError as error:
            round_.end(error)
            self._is_refused = True
            self._failed(error)
        finally:
            round_.end(StoreError("the node stopped before the disk had it", hint="look what the store holds"))
