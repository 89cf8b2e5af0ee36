"""The node's disk: write-behind, and checkpoints in the background.

What is written with `NORMAL` durability is on disk within 100 ms, and then goes to peers.

The wait for the disk happens in a worker thread (or wherever `run_sync` runs it), because it may take 20 ms on a bad
day and commits must not wait for it. The graph itself is only touched from the event loop. While nothing is buffered
nothing here runs: the graph says when a first record is. A checkpoint is made when enough has come, a piece of some
300 kB every few milliseconds, each fsynced before the next, so that no commit that waits for the disk waits for more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from crdtgraph.errors import StoreCorruptError, StoreError
from sync.limits import Settings
from sync.log import Log
from sync.replica import LocalReplica

RunSync = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs a blocking function somewhere and waits for it."""


async def run_in_thread(work: Callable[[], None]) -> None:
    """Run a blocking function in one of trio's worker threads."""
    await trio.to_thread.run_sync(work)


async def write_behind(
    graph: LocalReplica,
    settings: Settings,
    run_sync: RunSync,
    failed: Callable[[StoreError], None],
    took: Callable[[float], None] = lambda _: None,
) -> None:
    """Flush for ever, and compact when there is enough to join.

    A store that refuses to write is reported to `failed` and tried again; the records stay buffered. A corrupt one
    raises. `took` is told how many seconds the oldest record waited until the disk had it.
    """
    waiting = trio.lowlevel.ParkingLot()
    oldest_at: list[float] = []

    def note_first() -> None:
        if not oldest_at:
            oldest_at.append(trio.current_time())
        waiting.unpark_all()

    stop = graph.on_buffered(note_first)
    try:
        while True:
            due = graph.flush_due()
            if due is None:
                oldest_at.clear()
                # Nobody else runs between the look and the parking, so no call can be missed.
                await waiting.park()
            elif due > 0:
                await trio.sleep(due)
            else:
                await _flush(graph, settings, run_sync, failed, took, oldest_at)
    finally:
        stop()


async def checkpoint_behind(
    graph: LocalReplica,
    settings: Settings,
    run_sync: RunSync,
    failed: Callable[[StoreError], None],
    wait_changed: Callable[[], Awaitable[None]],
    log: Log,
) -> None:
    """Say in the log how the graph was opened, then checkpoint for ever when enough has come since the last time.

    `wait_changed` returns when the graph has something new. A store that refuses to write is reported to `failed`; the
    checkpoint is tried again when more has come.
    """
    recovery = graph.recovery
    for text in recovery.warnings():
        log.warning("recovered", text=text, commits_covered=recovery.covered, commits_folded=recovery.folded)
    while True:
        await wait_changed()
        await trio.sleep(settings.checkpoint_spacing_s)
        try:
            while graph.advance_checkpoint(settings.checkpoint_weight_min):
                await run_sync(graph.store.sync)
                await trio.sleep(settings.checkpoint_step_s)
        except StoreCorruptError:
            raise
        except StoreError as error:
            failed(error)


async def _flush(
    graph: LocalReplica,
    settings: Settings,
    run_sync: RunSync,
    failed: Callable[[StoreError], None],
    took: Callable[[float], None],
    oldest_at: list[float],
) -> None:
    try:
        written = graph.write_behind()
        # What is buffered from here on waits for the next time.
        began = [*oldest_at]
        oldest_at.clear()
        await run_sync(graph.store.sync)
        graph.settle(written)
        for at in began:
            took(trio.current_time() - at)
        if graph.needs_compaction():
            for _ in graph.compact_steps():
                await trio.lowlevel.checkpoint()
    except StoreCorruptError:
        raise
    except StoreError as error:
        failed(error)
        await trio.sleep(settings.flush_retry_s)
