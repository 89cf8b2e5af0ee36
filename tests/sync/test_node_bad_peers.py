"""Peers that are silent, slow or cut off in mid-frame: a node drops them in time, and keeps little for them."""

from __future__ import annotations

import random
from contextlib import suppress

import pytest
import trio
import trio.testing

from crdtgraph import Durability
from sync.protocol.limits import LINK_BYTES_PER_S_MIN
from sync.protocol.messages import Ping, Want
from sync.transport import Address
from tests.sync.memory_network import closed_after, memory_nodes, raw_memory_peer, settle
from tests.sync.replicas import replica
from tests.sync.test_node import HELLO, frame


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
