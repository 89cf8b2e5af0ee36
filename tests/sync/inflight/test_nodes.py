"""Nodes that share what is in flight, alone and with search trees beside them, and the topics that carry it."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from crdtgraph.ids import CommitId, ReplicaId
from sync.protocol.inflightcodec import TOPIC
from sync.protocol.limits import INFLIGHT_EXPIRY_S
from sync.protocol.topics import Topics
from tests.sync.inflight.exchanging import commit
from tests.sync.memory_network import memory_nodes, settle
from tests.sync.replicas import replica

# --- topics


def test_a_topic_has_any_number_of_subscribers_who_may_leave() -> None:
    heard: list[str] = []
    topics = Topics(lambda sender, topic, payload: heard.append(f"all {topic}"))
    sender = ReplicaId(bytes(16))
    end = topics.subscribe("a", lambda *_: heard.append("first"))
    topics.subscribe("a", lambda *_: end())
    topics.subscribe("a", lambda *_: heard.append("second"))
    topics.receive(sender, "a", b"")
    topics.receive(sender, "a", b"")
    topics.receive(sender, "b", b"")
    end()
    assert heard == ["all a", "first", "second", "all a", "second", "all b"]


# --- nodes


async def test_nodes_in_a_line_share_what_is_in_flight(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        a, b, c = replica("a"), replica("b"), replica("c")
        first = await start(a)
        middle = await start(b, "a:1")
        last = await start(c, "b:1")
        await settle()
        heard: list[tuple[int, dict[CommitId, int]]] = []
        end = last.inflight.subscribe("s", lambda writer, counts: heard.append((writer, dict(counts))))
        first.inflight.publish("s", {commit(1): 3})
        await settle(0.1)
        assert middle.inflight.counts("s") == last.inflight.counts("s") == {commit(1): 3}
        await settle(3 * INFLIGHT_EXPIRY_S)
        assert last.inflight.counts("s") == {commit(1): 3}
        first.inflight.publish("s", {})
        await settle(0.1)
        assert last.inflight.counts("s") == {}
        assert heard == [(a.writer, {commit(1): 3}), (a.writer, {})]
        end()
        first.inflight.publish("s", {commit(2): 1})
        await settle(0.1)
        assert len(heard) == 2


async def test_trees_beside_nodes_share_what_they_have_in_flight(autojump_clock: trio.testing.MockClock) -> None:
    class Tree:
        def __init__(self) -> None:
            self.own: dict[CommitId, int] = {}
            self.others: dict[str, Mapping[CommitId, int]] = {}

        def inflight(self) -> dict[CommitId, int]:
            return dict(self.own)

        def set_remote_inflight(self, source: str, flying: Mapping[CommitId, int]) -> None:
            self.others[source] = flying

    async with memory_nodes() as (_network, start):
        a, b = replica("a"), replica("b")
        first, second = await start(a), await start(b, "a:1")
        ours, theirs = Tree(), Tree()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(second.inflight.share, "s", theirs)
            scope = trio.CancelScope()

            async def share() -> None:
                with scope:
                    await first.inflight.share("s", ours)

            nursery.start_soon(share)
            await settle()
            ours.own, theirs.own = {commit(1): 2}, {commit(1): 1, commit(3): 4}
            await settle(0.1)
            assert theirs.others == {f"{a.writer:x}": {commit(1): 2}}
            assert ours.others == {f"{b.writer:x}": {commit(1): 1, commit(3): 4}}
            scope.cancel()
            await settle(0.1)
            assert theirs.others == {f"{a.writer:x}": {}}
            assert ours.others == {f"{b.writer:x}": {}}, "nobody tells it any more"
            nursery.cancel_scope.cancel()


async def test_in_a_search_that_was_closed_nothing_is_in_flight(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        a, b = replica("a"), replica("b")
        first, second = await start(a), await start(b, "a:1")
        search = b.search("s")
        search.commit(parents=(), message="root")
        await settle()
        first.inflight.publish("s", {commit(1): 3})
        await settle(0.1)
        assert second.inflight.counts("s") == {commit(1): 3}
        # Closed elsewhere, and whoever searches has not looked yet.
        search.close()
        await settle(2 * INFLIGHT_EXPIRY_S)
        assert "s" in a.closed_searches()
        assert [node.inflight.is_known for node in (first, second)] == [False, False]
        first.inflight.publish("s", {commit(2): 1})
        await settle(0.1)
        assert [node.inflight.is_known for node in (first, second)] == [False, False]


async def test_a_peer_that_sends_nonsense_on_the_topic_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        first = await start(replica("a"))
        second = await start(replica("b"), "a:1")
        await settle()
        [before] = first.connections
        second.broadcast(TOPIC, b"nonsense")
        await settle()
        assert before not in first.connections


async def test_a_node_has_subscribers_by_topic(autojump_clock: trio.testing.MockClock) -> None:
    async with memory_nodes() as (_network, start):
        first = await start(replica("a"))
        second = await start(replica("b"), "a:1")
        await settle()
        heard: list[tuple[str, bytes]] = []
        first.topics.subscribe("presence", lambda _, topic, payload: heard.append((topic, payload)))
        second.broadcast("presence", b"here")
        second.broadcast("other", b"there")
        await settle(0.1)
        assert heard == [("presence", b"here")]
