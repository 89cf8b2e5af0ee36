"""What a node does for its store when there is time: checkpoints of the projection, and states to be read at once.

Neither is ever needed, so it is done in steps with pauses in between. Each piece of a checkpoint is fsynced before the
next, so that no commit that waits for the disk waits for more than one of them; states wait for whoever syncs next.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio

from crdtgraph.errors import StoreCorruptError, StoreError
from sync.durability import RunSync
from sync.log import Log
from sync.protocol.limits import Settings
from sync.protocol.replica import LocalReplica


async def look_after(
    graph: LocalReplica,
    settings: Settings,
    run_sync: RunSync,
    failed: Callable[[StoreError], None],
    wait_changed: Callable[[], Awaitable[None]],
    log: Log,
) -> None:
    """Say in the log how the graph was opened, then store checkpoints and states for ever, when enough has come.

    `wait_changed` returns when the graph has something new. A store that refuses to write is reported to `failed`; it
    is tried again when more has come.
    """
    recovery = graph.recovery
    for text in recovery.warnings():
        log.warning("recovered", text=text, commits_covered=recovery.covered, commits_folded=recovery.folded)
    while True:
        await trio.sleep(settings.checkpoint_spacing_s)
        worked = False
        try:
            while graph.advance_checkpoint(settings.checkpoint_weight_min):
                worked = True
                await run_sync(graph.store.sync)
                await trio.sleep(settings.checkpoint_step_s)
            if graph.needs_state_checkpoints():
                worked = True
                for _ in graph.checkpoint_states_steps():
                    await trio.sleep(settings.checkpoint_step_s)
        except StoreCorruptError:
            raise
        except StoreError as error:
            failed(error)
        if not worked:
            # What came while it was at work has been looked at by now.
            await wait_changed()
