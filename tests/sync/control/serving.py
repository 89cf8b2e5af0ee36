"""A node that serves a control socket, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from crdtgraph import Graph
from sync import Node, Settings
from sync.client.asyncclient import ControlClient
from sync.control import open_control
from sync.methods import Target

SETTINGS = Settings(seed=1, goodbye_timeout_s=0.2)


@asynccontextmanager
async def served(graph: Graph, path: Path) -> AsyncIterator[ControlClient]:
    async with (
        Node(graph, settings=SETTINGS) as node,
        open_control(path, Target(graph, node)),
        await ControlClient.connect(path) as client,
    ):
        yield client
