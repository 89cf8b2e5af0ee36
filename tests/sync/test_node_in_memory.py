"""Nodes over a network in memory, with a clock that jumps: silence, losses, deadlines."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from crdtgraph import Durability, Graph, LocalError, NotFoundError, StoreError, UnreachableError
from crdtgraph.ids import ReplicaId
from sync import Node, Settings
from sync.connection import Direction, loser
from sync.limits import LINK_BYTES_PER_S_MIN
from sync.messages import Ping, Summary, Want
from sync.node import Node as NodeClass
from sync.transport import Address
from tests.sync.replicas import grow, replica
from tests.sync.test_node import HELLO, frame, open_peers

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


@pytest.mark.parametrize("ours, stays", [(b"A" * 16, Direction.DIALLED), (b"Z" * 16, Direction.ACCEPTED)])
def test_of_two_dials_at_once_the_one_of_the_smaller_replica_stays(ours: bytes, stays: Direction) -> None:
    hello = replace(HELLO, replica=ReplicaId(b"M" * 16))
    dialled = SimpleNamespace(direction=Direction.DIALLED, started_at=10.0, peer=hello)
    accepted = SimpleNamespace(direction=Direction.ACCEPTED, started_at=10.1, peer=hello)
    for old, new in ((dialled, accepted), (accepted, dialled)):
        goes: Any = loser(old, new, ReplicaId(ours), STEADY)  # type: ignore[arg-type]
        assert goes.direction is not stays


def test_otherwise_the_newer_connection_stays() -> None:
    """The hazard: a peer restarts or loses its connection, and ours is half open and knows nothing of it."""
    old = SimpleNamespace(direction=Direction.DIALLED, started_at=10.0, peer=HELLO)
    for new in (
        SimpleNamespace(direction=Direction.DIALLED, started_at=10.1, peer=HELLO),
        SimpleNamespace(direction=Direction.ACCEPTED, started_at=60.0, peer=HELLO),
        SimpleNamespace(direction=Direction.ACCEPTED, started_at=10.1, peer=replace(HELLO, nonce=b"N" * 16)),
    ):
        for ours in (b"A" * 16, b"Z" * 16):
            goes: Any = loser(old, new, ReplicaId(ours), STEADY)  # type: ignore[arg-type]
            assert goes is old


async def test_two_nodes_that_dial_each_other_keep_one_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        node_a = await start(a, "b:1")
        node_b = await start(b, "a:1")
        await settle(3)
        assert [len(node.connections) for node in (node_a, node_b)] == [1, 1]
        grow(a, 1)
        await settle()
        assert a.digest() == b.digest()


async def test_two_addresses_of_one_peer_do_not_fight(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (network, start):
        node_b = await start(replica("b"))
        network.listening[Address("alias", 1)] = network.listening[Address("b", 1)]
        node_a = await start(replica("a"), "b:1", "alias:1")
        await settle(5)
        dials = len(network.dials)
        await settle(60)
        assert len(network.dials) == dials
        assert len(node_a.connections) == len(node_b.connections) == 1


async def test_back_off_doubles_up_to_a_maximum_and_is_jittered(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (network, start):
        await start(replica("a"), "nowhere:1")
        await settle(120)
        waits = [later - earlier for earlier, later in zip(network.dials, network.dials[1:], strict=False)]
        assert waits[0] <= 0.05
        assert all(2.5 <= wait <= 5.0 for wait in waits[10:])
        assert len(set(waits)) == len(waits)


async def test_a_blocked_peer_is_cut_off_and_comes_back(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        node_a, node_b = await start(a, "b:1"), await start(b, "a:1")
        await settle()
        assert node_a.block(b.replica_id.hex()[:8]) == [b.replica_id.hex()]
        await settle(20)
        assert not open_peers(node_a)
        assert not open_peers(node_b)
        grow(a, 1)
        grow(b, 1)
        await settle(20)
        assert a.digest() != b.digest()
        assert node_a.status().blocked == (b.replica_id.hex()[:8],)
        node_a.unblock(b.replica_id.hex()[:8])
        await settle(6)
        assert a.digest() == b.digest()


async def test_blocking_by_address_works_whoever_dials(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        node_a, node_b = await start(replica("a"), "b:1"), await start(replica("b"), "a:1")
        await settle()
        node_a.block("b:1")
        await settle(20)
        assert not open_peers(node_a)
        assert not open_peers(node_b)
        node_a.unblock("b:1")
        await settle(6)
        assert len(open_peers(node_a)) == 1


async def test_blocking_takes_sense_only(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        node = await start(replica("a"))
        for nonsense in ("", "abc", "xyzw", "0" * 33):
            with pytest.raises(LocalError, match="names no peer"):
                node.block(nonsense)
        with pytest.raises(NotFoundError, match="is not blocked"):
            node.unblock("abcd")


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


async def test_a_peer_that_stops_in_mid_frame_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (network, start):
        node = await start(replica("a"))
        stream = await raw_memory_peer(network, node)
        await stream.send_all(frame(HELLO) + frame(Want("ledger", {}))[:-3])
        assert 19 <= await closed_after(node, stream) <= 32
        await settle(2)
        assert not node.connections


async def test_a_peer_that_says_nothing_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (network, start):
        node = await start(replica("a"))
        stream = await raw_memory_peer(network, node)
        assert 10 <= await closed_after(node, stream) <= 12


async def test_a_stream_that_ends_in_mid_frame(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (network, start):
        node = await start(replica("a"))
        stream = await raw_memory_peer(network, node)
        await stream.send_all(frame(HELLO) + frame(Want("ledger", {}))[:-3])
        await settle(0.1)
        (connection,) = node.connections.values()
        await stream.aclose()
        await connection.closed.wait()
        assert connection.ending is not None
        assert "3 bytes are missing" in connection.ending.text


async def test_a_peer_that_does_not_read_is_dropped_and_bounded(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (network, start):
        graph = replica("a")
        node = await start(graph)
        ours, theirs = trio.testing.lockstep_stream_pair()
        await network.listening[Address("a", 1)].send.send(theirs)
        await settle(0.1)
        (connection,) = node.connections.values()
        with trio.move_on_after(45), suppress(trio.BrokenResourceError):
            await ours.send_all(frame(HELLO))
            while not connection.closed.is_set():
                # It is alive and well, and reads nothing.
                await trio.sleep(3)
                await ours.send_all(frame(Want("ledger", {})))
        assert connection.closed.is_set()
        assert connection.ending is not None
        assert "did not read" in connection.ending.text


@pytest.mark.parametrize("rate, is_kept", [(LINK_BYTES_PER_S_MIN + 50, True), (LINK_BYTES_PER_S_MIN - 50, False)])
async def test_a_peer_that_reads_slowly_is_given_all_and_one_below_the_slowest_link_is_dropped(
    rate: int, is_kept: bool, autojump_clock: trio.testing.MockClock
) -> None:
    size = 100_000
    async with memory_nodes() as (network, start):
        graph = replica("a")
        pieces = {f"blob/{each}": random.Random(each).randbytes(10_000) for each in range(size // 10_000)}
        graph.commit(changes=pieces, durability=Durability.CRITICAL)
        node = await start(graph)
        ours, theirs = trio.testing.lockstep_stream_pair()
        await network.listening[Address("a", 1)].send.send(theirs)
        await settle(0.1)
        (connection,) = node.connections.values()
        got = 0

        async def read() -> None:
            nonlocal got
            while data := await ours.receive_some(rate):
                got += len(data)
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await ours.send_all(frame(HELLO) + frame(Want("ledger", {})))
            with trio.move_on_after(size / rate + 60), suppress(trio.BrokenResourceError):
                while not connection.closed.is_set():
                    await trio.sleep(3)
                    await ours.send_all(frame(Ping(1)))
            nursery.cancel_scope.cancel()
        assert connection.closed.is_set() is not is_kept
        assert (got > size) is is_kept


class BrokenStore(StoreError):
    pass


async def test_a_full_disk_is_reported_and_tried_again(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        node_a, _ = await start(a, "b:1"), await start(b)
        await settle()
        with monkeypatch.context() as patch:

            def full() -> None:
                raise StoreError("no space left")

            patch.setattr(a, "write_behind", full)
            a.commit(message="waits for space")
            await settle(30)
            assert node_a.store_failures >= 2
            assert len(b) == 0
        await settle(30)
        assert a.digest() == b.digest()


async def test_a_store_that_refuses_what_a_peer_gives_costs_only_the_connection(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        node_a, node_b = await start(a), await start(b, "a:1")
        await settle()
        with monkeypatch.context() as patch:

            def full(*_: object) -> None:
                raise StoreError("no space left")

            patch.setattr(a, "receive_steps", full)
            grow(b, 1)
            await settle(2)
            assert node_a.store_failures >= 1
            assert "store" in node_b.status().peers[0].failure
        await settle(10)
        assert a.digest() == b.digest()


async def test_a_bug_is_not_swallowed(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = replica("a"), replica("b")

    def buggy(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(a, "receive_steps", buggy)

    async def run() -> None:
        async with memory_nodes() as (_, start):
            await start(a)
            await start(b, "a:1")
            grow(b, 1)
            await settle(5)

    with pytest.raises(BaseExceptionGroup) as caught:
        await run()
    assert caught.group_contains(ZeroDivisionError, match="a bug")


async def test_a_peer_that_restarted_replaces_its_dead_connection(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (network, start):
        node = await start(replica("a"))
        first = await raw_memory_peer(network, node)
        await first.send_all(frame(HELLO))
        await settle(0.1)
        second = await raw_memory_peer(network, node)
        await second.send_all(frame(replace(HELLO, nonce=b"N" * 16)))
        await settle(2)
        (connection,) = node.connections.values()
        assert connection.peer is not None
        assert connection.peer.nonce == b"N" * 16


async def test_anti_entropy_repeats_without_any_news(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        a, b = replica("a"), replica("b")
        node_a, _ = await start(a, "b:1"), await start(b)
        await settle(30)
        assert node_a.status().peers[0].last_exchange_s is not None
        assert node_a.status().peers[0].last_exchange_s < 13
        assert node_a.status().peers[0].agrees


async def test_a_partition_heals_by_itself(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        graphs = [replica(name) for name in "abcd"]
        nodes = [await start(graph, *(f"{other}:1" for other in "abcd" if other != graph.author)) for graph in graphs]
        await settle(5)
        left, right = nodes[:2], nodes[2:]
        for here, there in ((left, right), (right, left)):
            for node in here:
                for other in there:
                    node.block(other.replica_id.hex())
        for graph in graphs:
            grow(graph, 3)
        await settle(5)
        assert len({graph.digest() for graph in graphs}) == 2
        for node in nodes:
            for entry in node.status().blocked:
                node.unblock(entry)
        await settle(10)
        assert len({graph.digest() for graph in graphs}) == 1
        assert len(graphs[0]) == 12
        assert all(node.status().alarms_total == 0 for node in nodes)


async def test_the_same_seed_gives_the_same_dials(autojump_clock: trio.testing.MockClock) -> None:
    runs = []
    for _ in range(2):
        async with memory_nodes() as (network, start):
            base = trio.current_time()
            await start(replica("a"), "nowhere:1")
            await settle(30)
            runs.append([round(at - base, 6) for at in network.dials])
    assert runs[0] == runs[1]


async def test_summaries_are_all_that_idle_nodes_say(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        node_a, node_b = await start(replica("a"), "b:1"), await start(replica("b"))
        await settle(5)
        before = node_a.status().peers[0].bytes_out
        await settle(100)
        after = node_a.status().peers[0].bytes_out
        rounds = 100 / 10 * 2
        assert after - before < rounds * 3 * len(frame(Summary(()))) * 10
        assert node_b.gossip.alarms.total == 0


async def test_what_was_written_last_reaches_the_peers_before_a_node_stops(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with memory_nodes() as (network, start):
        a, b = replica("a"), replica("b")
        await start(b)
        async with Node(a, peers=["b:1"], transport=network, run_sync=inline, settings=Settings(seed=1)):
            await settle()
            commit = a.commit(message="written and gone")
        assert commit in b


async def test_a_want_that_a_lost_peer_leaves_has_a_deadline_again(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        nodes = [await start(replica("a")), await start(replica("b"), "a:1"), await start(replica("c"), "a:1", "b:1")]
        await settle()
        grow(nodes[0].graph, 2)  # type: ignore[arg-type]
        nodes[2].block(nodes[0].replica_id.hex())
        await settle()
        assert nodes[2].graph.digest(plane="ledger") == nodes[0].graph.digest(plane="ledger")
        assert nodes[2]._time.waits_until <= nodes[2].gossip.deadline
