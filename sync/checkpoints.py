"""Checkpoints of a running node's graph, in the background, and what it says about how the graph was opened.

One is made when enough has come, a piece of some 300 kB every few milliseconds, each fsynced before the next, so that
no commit that waits for the disk waits for more. While nothing comes nothing here runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from crdtgraph.errors import StoreCorruptError, StoreError
from sync.durability import RunSync
from sync.limits import Settings
from sync.log import Log
from sync.replica import LocalReplica


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
