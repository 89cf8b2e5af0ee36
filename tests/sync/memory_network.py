"""A network in memory, and nodes on it; with a clock that jumps, whatever takes long takes no time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio
import trio.testing

from crdtgraph import Graph, UnreachableError
from sync import Node, Settings
from sync.node import Node as NodeClass
from sync.transport import Address

STEADY = Settings(seed=1)


async def inline(work: Callable[[], None]) -> None:
    await trio.lowlevel.checkpoint()
    work()


class MemoryNetwork:
    """A transport between nodes of one process: pairs of memory streams, and dials that may be refused."""

    def __init__(self) -> None:
        self.listening: dict[Address, MemoryListening] = {}
        self.refused: set[Address] = set()
        self.dials: list[float] = []
        self.streams: list[tuple[trio.testing.MemorySendStream, ...]] = []

    async def dial(self, address: Address) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.dials.append(trio.current_time())
        if address in self.refused or address not in self.listening:
            raise UnreachableError(f"nothing answers at {address.text}")
        ours, theirs = trio.testing.memory_stream_pair()
        self.streams.append((ours, theirs))
        await self.listening[address].send.send(theirs)
        return ours

    async def listen(self, address: Address) -> list[MemoryListening]:
        await trio.lowlevel.checkpoint()
        self.listening[address] = MemoryListening(self, address)
        return [self.listening[address]]


class MemoryListening:
    def __init__(self, network: MemoryNetwork, address: Address) -> None:
        self.network = network
        self.address = address
        self.send, self.receive = trio.open_memory_channel[trio.abc.Stream](10)

    async def accept(self) -> trio.abc.Stream:
        return await self.receive.receive()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()
        self.network.listening.pop(self.address, None)


Start = Callable[..., Awaitable[NodeClass]]


@asynccontextmanager
async def memory_nodes() -> AsyncIterator[tuple[MemoryNetwork, Start]]:
    """Start nodes on a network in memory; they stop together at the end."""
    network = MemoryNetwork()
    async with trio.open_nursery() as nursery:

        async def run(graph: Graph, peers: list[str], settings: Settings, task_status: trio.TaskStatus[Node]) -> None:
            async with Node(
                graph,
                listen=[(graph.author, 1)],
                peers=peers,
                transport=network,
                settings=settings,
                name=graph.author,
                run_sync=inline,
            ) as node:
                task_status.started(node)
                await trio.sleep_forever()

        async def start(graph: Graph, *peers: str, settings: Settings = STEADY) -> Node:
            async def task(task_status: trio.TaskStatus[Node]) -> None:
                await run(graph, list(peers), settings, task_status)

            node: Node = await nursery.start(task)
            return node

        yield network, start
        nursery.cancel_scope.cancel()


async def settle(seconds: float = 1.0) -> None:
    await trio.sleep(seconds)


async def raw_memory_peer(network: MemoryNetwork, node: Node) -> trio.testing.StapledStream:
    stream = await network.dial(Address.parse(node.addresses[0]))
    assert isinstance(stream, trio.StapledStream)
    return stream


async def closed_after(node: Node, stream: trio.abc.Stream) -> float:
    started = trio.current_time()
    try:
        async for _ in stream:
            pass
    except trio.BrokenResourceError:
        pass
    return trio.current_time() - started
