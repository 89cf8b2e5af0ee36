"""Connections of nodes over a network in memory: who dials whom, which of two stays, and who is blocked."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from crdtgraph import LocalError, NotFoundError
from crdtgraph.ids import ReplicaId
from sync.connection import Direction, loser
from sync.transport import Address
from tests.sync.memory_network import STEADY, memory_nodes, raw_memory_peer, settle
from tests.sync.replicas import grow, replica
from tests.sync.test_node import HELLO, frame, open_peers


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


async def test_the_same_seed_gives_the_same_dials(autojump_clock: trio.testing.MockClock) -> None:
    runs = []
    for _ in range(2):
        async with memory_nodes() as (network, start):
            base = trio.current_time()
            await start(replica("a"), "nowhere:1")
            await settle(30)
            runs.append([round(at - base, 6) for at in network.dials])
    assert runs[0] == runs[1]
