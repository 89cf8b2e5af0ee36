"""Large values among running nodes: fetched, given again, collected."""

from __future__ import annotations

import pytest
import trio.testing

from crdtgraph import CorruptError, Durability, Graph, Reference
from crdtgraph.objects import CHUNK_BYTES, chunks_of, hash_of
from crdtgraph.store import Batch, Keyspace
from sync.protocol.codec import decode_message
from sync.protocol.framing import FrameParser
from sync.protocol.limits import OBJECT_WINDOW
from sync.protocol.messages import (
    Delta,
    Object,
    PlaneSummary,
    Summary,
    WantObject,
)
from sync.transport import Address
from tests.sync.memory_network import STEADY, memory_nodes
from tests.sync.object_web import LARGE, OTHER
from tests.sync.replicas import replica
from tests.sync.test_node import HELLO, frame, until


def holds_all(graph: Graph) -> bool:
    return graph.objects.missing == 0


async def test_nodes_fetch_what_commits_name(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        a, b, c = replica("a"), replica("b"), replica("c")
        commit = a.commit(changes={"large": LARGE, "other": OTHER}, ref="main")
        node_a = await start(a)
        node_b = await start(b, *node_a.addresses)
        node_c = await start(c, *node_b.addresses)
        for node, graph in ((node_b, b), (node_c, c)):
            await until(node, lambda graph=graph: commit in graph and holds_all(graph), 30)
            assert graph.read(commit, "large") == LARGE
            assert graph.read(commit, "other") == OTHER
        again = c.commit(parents=[commit], changes={"large": LARGE[1:]}, durability=Durability.CRITICAL)
        await until(node_a, lambda: again in a and holds_all(a), 30)
        assert a.read(again, "large") == LARGE[1:]
        assert not node_b.status().alarms


async def test_a_corrupted_object_is_fetched_again_from_a_peer(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        commit = a.commit(changes={"large": LARGE}, ref="main")
        node_a = await start(a)
        node_b = await start(b, *node_a.addresses)
        await until(node_b, lambda: commit in b and holds_all(b), 30)
        batch = Batch()
        batch.put(Keyspace.OBJECTS, b"b" + hash_of(LARGE[:CHUNK_BYTES]), b"rot")
        a.store.write(batch, sync=True)
        with pytest.raises(CorruptError, match="damaged"):
            a.read(commit, "large")
        assert a.status().missing_objects == 1
        await until(node_a, lambda: holds_all(a), 30)
        assert a.read(commit, "large") == LARGE
        assert not [finding for finding in a.fsck() if finding.problem]


async def test_news_goes_before_what_is_left_of_an_object(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (network, start):
        graph = replica("a")
        large = graph.commit(changes={"large": LARGE}, ref="main")
        await start(graph)
        ours, theirs = trio.testing.lockstep_stream_pair()
        await network.listening[Address("a", 1)].send.send(theirs)
        claims = PlaneSummary("ledger", b"", bytes(32), dict(graph.state_vector("ledger")))
        hashes = [hash_of(chunk) for chunk in chunks_of(LARGE)][:OBJECT_WINDOW]
        await ours.send_all(frame(HELLO) + frame(Summary((claims,))) + frame(WantObject(tuple(hashes))))
        parser = FrameParser()
        said: list[object] = []

        async def read_until(kind: type) -> None:
            while not any(isinstance(message, kind) for message in said):
                parser.feed(await ours.receive_some(1000))
                while (payload := parser.next_payload()) is not None:
                    said.append(decode_message(payload))

        await read_until(Object)
        graph.commit(parents=[large], message="news", durability=Durability.CRITICAL)
        await read_until(Delta)
        assert sum(isinstance(message, Object) for message in said) <= 3
        await ours.aclose()


async def test_a_node_collects_what_nothing_names_any_more(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        dead = a.commit(changes={"large": LARGE}, ref="main")
        kept = a.commit(changes={"other": OTHER})
        node_a = await start(a)
        node_b = await start(b, *node_a.addresses)
        await until(node_b, lambda: kept in b and holds_all(b), 30)
        a.discard(dead)
        with trio.fail_after(3 * STEADY.collect_every_s + 60):
            while len([*a.objects.whole()]) + len([*b.objects.whole()]) > 2:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(60)
        assert a.read(kept, "other") == b.read(kept, "other") == OTHER


async def test_an_object_on_demand(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        reference = a.put_object(OTHER)
        node_a = await start(a)
        node_b = await start(b, *node_a.addresses)
        assert not await node_b.objects.fetch(Reference("object", bytes(32), 5), 30)
        assert await node_b.objects.fetch(reference, 30)
        assert b.object(reference) == OTHER


async def test_what_was_missing_at_the_end_of_a_process_is_fetched_by_the_next(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        commit = a.commit(changes={"large": LARGE}, ref="main")
        for delta in a.deltas("ledger", {}):
            b.receive("ledger", delta.update)
        batch = Batch()
        batch.delete(Keyspace.OBJECTS, b"scanned")
        batch.delete(Keyspace.OBJECTS, b"w" + a.state(commit)["large"].digest)  # type: ignore[union-attr]
        b.store.write(batch, sync=False)
        b.objects.missing = 0
        node_a = await start(a, settings=STEADY)
        node_b = await start(b, *node_a.addresses)
        await until(node_b, lambda: b.has_object(a.state(commit)["large"]), 30)  # type: ignore[arg-type]
        assert b.objects.is_scanned
