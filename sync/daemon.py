"""`serve`: one node as a process of its own, from opening the store to a clean stop.

On SIGTERM or SIGINT (or the method `stop`) it flushes, says goodbye to its peers, closes the store and removes its
control socket. On SIGKILL none of that happens and nothing is lost either: what was promised durable is in the store,
and a stale control socket is replaced at the next start.
"""

from __future__ import annotations

import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog
import trio

import crdtgraph
from crdtgraph import CrdtGraphError, LocalError, NotAStoreError
from crdtgraph.metering import Meter
from crdtgraph.store import open_store
from sync.control import open_control, open_workers_port
from sync.log import Log
from sync.methods import Target
from sync.node import Node
from sync.prometheus import scraping
from sync.protocol.limits import DEFAULTS, Settings
from sync.transport import Address, AddressLike, BoundTransport, check_loopback

if TYPE_CHECKING:
    from sync.workers.desks import Desks

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class LogFormat(StrEnum):
    """How log lines look."""

    CONSOLE = "console"
    JSON = "json"


async def serve(
    url: str,
    *,
    listen: Sequence[AddressLike] = (),
    peers: Sequence[AddressLike] = (),
    control: str | None = None,
    control_listen: AddressLike | None = None,
    cluster: str | None = None,
    name: str = "",
    metrics_port: int | None = None,
    problems: Sequence[object] = (),
    settings: Settings = DEFAULTS,
    log: Log | None = None,
) -> None:
    """Run a node until it is told to stop. Logs one event `ready` when it can be talked to.

    Args:
        url: of the store, created if need be.
        listen: addresses to listen on.
        peers: addresses to keep connections to.
        control: path of the control socket; None for none.
        control_listen: where workers can connect over TCP, on loopback; None for nowhere.
        cluster: the name of a new store's cluster; for an existing one it must be the same.
        name: for people.
        metrics_port: where Prometheus can ask over HTTP, on loopback; 0 for any port, None for none.
        problems: those that a client may open a search tree of (`mcts_open`); the node runs their code.
        settings: the times that the node works by.
        log: a structlog logger; by default lines for people on standard error.

    Raises:
        StoreError, LocalError: the store cannot be opened, an address, a port or the control socket cannot be used.
    """
    workers = [] if control_listen is None else [control_listen]
    for addresses, what in ((listen, "listen on"), (workers, "listen on"), (peers, "dial")):
        for address in addresses:
            # Before the store is created or opened: a typing mistake leaves nothing behind.
            check_loopback(Address.of(address), what)
    log = log if log is not None else process_log(LogFormat.CONSOLE)
    stopping = trio.Event()
    with trio.open_signal_receiver(*STOP_SIGNALS) as signals, _single_error():
        async with AsyncExitStack() as stack:
            # Before the store is touched: a port that is taken leaves nothing behind either.
            port = None if metrics_port is None else await stack.enter_async_context(scraping.listen(metrics_port))
            transport = await stack.enter_async_context(_bound(url, [*listen, *workers]))
            graph = stack.enter_context(crdtgraph.open(url, cluster=cluster, meter=Meter(time.perf_counter_ns)))
            stack.enter_context(_frozen_heap())
            nursery = await stack.enter_async_context(trio.open_nursery())
            nursery.start_soon(_watch, signals, stopping, log)
            stack.callback(nursery.cancel_scope.cancel)
            node = await stack.enter_async_context(
                Node(graph, listen=listen, peers=peers, transport=transport, settings=settings, name=name, log=log)
            )
            desks = _desks(problems)
            if desks is not None:
                stack.callback(desks.close)
            if control is not None:
                target = Target(graph, node, stopping.set, desks=desks)
                await stack.enter_async_context(open_control(control, target, log))
            reached = ""
            if control_listen is not None:
                reached = await stack.enter_async_context(
                    open_workers_port(control_listen, Target(graph, node, desks=desks), log, transport=transport)
                )
            if port is not None:
                nursery.start_soon(scraping.serve, port, _exposition_of(node), log)
            log.info(
                "ready",
                replica=graph.replica_id.hex(),
                cluster=graph.cluster,
                addresses=list(node.addresses),
                control=control or "",
                workers=reached,
                metrics=scraping.address(port) if port is not None else "",
                store=graph.url,
                commits=len(graph),
            )
            await stopping.wait()
            log.info("stopping")
    log.info("stopped")


@asynccontextmanager
async def _bound(url: str, addresses: Sequence[AddressLike]) -> AsyncIterator[BoundTransport]:
    """A transport with these addresses bound; LocalError if one is taken."""
    async with BoundTransport() as transport:
        try:
            for address in addresses:
                await transport.bind(Address.of(address))
        except LocalError:
            # Whoever starts a node that runs already is told that, and not that its port is taken.
            with suppress(NotAStoreError):
                open_store(url, create=False).close()
            raise
        yield transport


def process_log(log_format: LogFormat) -> Log:
    """A logger that writes lines to standard error, with timestamps: for people, or as JSON."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format is LogFormat.JSON
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    log: Log = structlog.wrap_logger(
        structlog.WriteLogger(sys.stderr),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    return log


def _desks(problems: Sequence[object]) -> Desks | None:
    """Where trees of these problems are worked for; what that needs is not imported without any."""
    if not problems:
        return None
    from sync.workers.desks import Desks

    return Desks(problems)


def _exposition_of(node: Node) -> scraping.Exposition:
    # Nodes that nobody scrapes do not wait for the client to be imported.
    from sync.prometheus.exposition import CONTENT_TYPE, exposition

    return lambda: (CONTENT_TYPE, exposition(node))


async def _watch(signals: AsyncIterator[int], stopping: trio.Event, log: Log) -> None:
    async for number in signals:
        log.info("signal", name=signal.Signals(number).name)
        stopping.set()


@contextmanager
def _frozen_heap() -> Iterator[None]:
    """Keep the garbage collector away from the graph that was just loaded.

    A full collection looks at every object there is: 0.17 s with 300,000 commits, during which no commit is made.
    What was loaded stays for as long as the process runs, so it is put out of the collector's sight.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _single_error() -> Iterator[None]:
    """Let one error of ours out of the groups that nurseries put around it."""
    try:
        yield
    except BaseExceptionGroup as group:
        leaves = list(_leaves(group))
        if len(leaves) == 1 and isinstance(leaves[0], CrdtGraphError):
            raise leaves[0] from group
        raise


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error
