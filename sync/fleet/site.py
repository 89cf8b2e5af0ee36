"""One node of a fleet: a graph, a running `sync.Node` and a search tree, in a thread of their own.

A graph is used by one thread; here that is the one in which trio runs. Everybody else says what is to be done in it:

    site = Site(plan, name="node 1", host="127.0.0.1", peers=[...])
    site.do(site.graph.flush)
    site.close()

Nothing here knows Ray, so a test can run several sites in one process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import trio

import crdtgraph
from crdtgraph import Graph, LocalError
from sync.fleet.plan import IN_MEMORY, Feed, Plan
from sync.node import Node
from sync.transport import Address, TcpTransport

T = TypeVar("T")


class Site:
    """A replica that talks to its peers as long as it is not closed. Made ready to use; that takes some milliseconds.

    Args:
        plan: of the fleet.
        name: of the Ray node; its store is a directory of that name.
        host: where to listen, at any port.
        peers: addresses of sites that are there already.
        feed: deltas of the ledger that the search builds on, as pairs of plane and update.

    Raises:
        CrdtGraphError: the store cannot be opened, or the address cannot be listened on.
    """

    graph: Graph
    node: Node

    def __init__(self, plan: Plan, *, name: str, host: str, peers: Sequence[str], feed: Feed) -> None:
        self._plan = plan
        self._name = name
        self._listen = Address(host, 0)
        self._peers = peers
        self._feed = feed
        self._started = threading.Event()
        self._failure: BaseException | None = None
        self._token: trio.lowlevel.TrioToken
        self._stopping: trio.Event
        # A daemon: a process that was told to end does not wait for it.
        self._thread = threading.Thread(target=self._run, name=f"crdtgraph {name}", daemon=True)
        self._thread.start()
        self._started.wait()
        self._check()

    def do(self, work: Callable[[], T]) -> T:
        """Run a function in the thread of the graph, and return what it returns."""
        self._check()
        try:
            return trio.from_thread.run_sync(work, trio_token=self._token)
        except trio.RunFinishedError:
            self._thread.join()
            self._check()
            raise LocalError("the site is closed", hint="start another one") from None

    def close(self) -> None:
        """Flush, say goodbye to the peers, and close the store. Closing again does nothing."""
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._stopping.set)
        self._thread.join()
        self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            trio.run(self._live)
        except BaseException as error:  # noqa: BLE001 (whoever asks for something next is told)
            self._failure = _single(error)
        finally:
            self._started.set()

    async def _live(self) -> None:
        plan = self._plan
        self._token, self._stopping = trio.lowlevel.current_trio_token(), trio.Event()
        with crdtgraph.open(store_url(plan.stores, self._name), cluster=plan.cluster) as self.graph:
            for plane, update in self._feed:
                self.graph.receive(plane, update)
            self._feed = []
            node = Node(
                self.graph,
                listen=[self._listen],
                peers=self._peers,
                transport=TcpTransport(beyond_loopback=plan.beyond_loopback),
                name=self._name,
            )
            async with node as self.node:
                self._started.set()
                await self._stopping.wait()


def store_url(stores: str, name: str) -> str:
    """What opens the store of one node."""
    if stores == IN_MEMORY:
        return stores
    folder = Path(stores)
    folder.mkdir(parents=True, exist_ok=True)
    return f"rocksdb:{folder / name}"


def _single(error: BaseException) -> BaseException:
    """A single error out of the groups that nurseries put around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
