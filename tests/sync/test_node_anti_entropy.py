"""Nodes over a network in memory compare again and again: losses mend by themselves, and idle nodes say little."""

from __future__ import annotations

import trio
import trio.testing

from sync import Node, Settings
from sync.protocol.messages import Summary
from tests.sync.memory_network import inline, memory_nodes, settle
from tests.sync.replicas import grow, replica
from tests.sync.test_node import frame


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
