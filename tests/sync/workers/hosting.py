"""A search tree for workers, and a node that serves its desk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from crdtgraph import Graph
from crdtgraph.mcts import SearchTree
from sync import Node, Settings
from sync.control import open_control, open_workers_port
from sync.methods import Target
from sync.workers.desks import Desks
from tests.sync.problems import Nim

WAIT_S = 60
SETTINGS = Settings(seed=1, goodbye_timeout_s=0.2)


def tree_of(graph: Graph, problem: Nim | None = None) -> SearchTree:
    return SearchTree(graph, problem if problem is not None else Nim(), name="s", solve=False)


def settled(tree: SearchTree) -> int:
    """How many simulations are counted in the search, all of them over."""
    assert tree.inflight() == {}
    return tree.search.counters(tree.root)[0]


@asynccontextmanager
async def hosting(graph: Graph, folder: Path, desks: Desks) -> AsyncIterator[tuple[str, str]]:
    path = str(folder / "control")
    async with Node(graph, settings=SETTINGS) as node:
        target = Target(graph, node, desks=desks)
        async with open_control(path, target), open_workers_port("127.0.0.1:0", target) as port:
            with trio.fail_after(WAIT_S):
                yield path, port
