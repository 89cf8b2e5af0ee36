"""A node that workers can ask, over a Unix socket and a TCP port."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from crdtgraph import (
    Graph,
)
from sync import Node, Settings
from sync.control import open_control, open_workers_port
from sync.methods import Target

SETTINGS = Settings(seed=1, goodbye_timeout_s=0.2)


@asynccontextmanager
async def served(graph: Graph, folder: Path, *peers: str) -> AsyncIterator[tuple[str, str]]:
    """A node's addresses for workers: a Unix socket and a TCP port."""
    path = str(folder / "control")
    async with Node(graph, settings=SETTINGS, peers=peers) as node:
        target = Target(graph, node)
        async with open_control(path, target), open_workers_port("127.0.0.1:0", target) as port:
            yield path, port


async def in_thread(work: Callable[[], Any]) -> Any:
    with trio.fail_after(60):
        return await trio.to_thread.run_sync(work)
