"""Taking in connections that others dial."""

from __future__ import annotations

from collections.abc import Callable, Collection

import trio

from sync.connection import Connection, refuse
from sync.log import Log
from sync.protocol.limits import CONNECTIONS_MAX, Settings
from sync.transport import Listening

ACCEPT_RETRY_S = 0.1
"""After `accept` failed, for want of file descriptors as a rule."""


async def accept(
    listening: Listening,
    connections: Callable[[], Collection[Connection]],
    settings: Settings,
    log: Log,
    serve: Callable[[trio.abc.Stream], object],
) -> None:
    """Take in connections for ever and hand each to `serve`; one too many is told so and closed."""
    while True:
        try:
            stream = await listening.accept()
        except OSError as error:
            log.error("cannot accept connections", address=listening.address.text, error=str(error))
            await trio.sleep(ACCEPT_RETRY_S)
            continue
        greeting = sum(not each.is_open for each in connections())
        if len(connections()) >= CONNECTIONS_MAX or greeting >= CONNECTIONS_MAX // 2:
            await refuse(stream, settings)
        else:
            serve(stream)
