"""The cluster as any of its nodes sees it: real nodes over streams in memory, under a clock that jumps."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
import trio
import trio.testing

from crdtgraph import Commit, LocalError, NotFoundError
from sync import Node
from sync.methods import Target
from sync.methods.clustering import CENSUS_S
from sync.protocol.lag import Lag, Reach, lags, ranges, union
from sync.protocol.limits import CARD_WRITERS_MAX, PROTOCOL_VERSION
from sync.requests import LocalCaller, start
from tests.sync.memory_network import memory_nodes, settle
from tests.sync.replicas import grow, replica

Clock = trio.testing.MockClock


async def ask(node: Node, method: str = "cluster", **params: Any) -> Any:
    answer = start(Target(node.graph, node), method, params)  # type: ignore[arg-type]
    return await answer if isinstance(answer, Awaitable) else answer


def members(answer: Any) -> dict[str, Any]:
    return {member["name"]: member for member in answer["members"]}


def states(answer: Any) -> dict[str, str]:
    return {name: member["state"] for name, member in members(answer).items()}


async def test_a_node_knows_those_that_it_is_not_connected_to(autojump_clock: Clock) -> None:
    async with memory_nodes() as (_, run):
        a, b, c = await run(replica("a")), await run(replica("b"), "a:1"), await run(replica("c"), "b:1")
        grow(c.graph, 3)  # type: ignore[arg-type]
        await settle()
        began = trio.current_time()
        answer = await ask(a)
        assert trio.current_time() - began < CENSUS_S / 2
        assert answer["asked"] == a.replica_id
        assert states(answer) == {"a": "up", "b": "up", "c": "up"}
        of_c = members(answer)["c"]
        assert of_c["replica"] == c.replica_id
        assert of_c["addresses"] == ["c:1"]
        assert of_c["protocol"] == PROTOCOL_VERSION
        assert of_c["version"]
        assert of_c["planes"][0]["commits"] == 3
        assert of_c["planes"][0]["digest"] == c.graph.digest(plane="ledger")
        assert of_c["lag"] == {"segments": 0, "exact": True, "commits": 0}
        assert [(link["replica"], link["state"], link["agrees"]) for link in of_c["links"]] == [
            (b.replica_id, "open", True)
        ]
        assert answer["addresses"] == []
        assert len({member["planes"][0]["digest"] for member in answer["members"]}) == 1


async def test_whoever_is_killed_stays_listed_and_is_not_waited_for_again(autojump_clock: Clock) -> None:
    async with memory_nodes() as (network, run):
        a, b = await run(replica("a")), await run(replica("b"), "a:1")
        async with Node(replica("c"), peers=["b:1"], transport=network, name="c") as c:
            await settle()
            assert set(states(await ask(a))) == {"a", "b", "c"}
            for connection in [*b.connections.values()]:
                if connection.peer is not None and connection.peer.replica == c.replica_id:
                    connection.end("cut")
            b.block(c.replica_id.hex())
            await settle(30)
            answer = await ask(a)
            assert states(answer) == {"a": "up", "b": "up", "c": "unreachable"}
            assert 29 < members(answer)["c"]["heard_s"] < 62
            assert members(answer)["b"]["blocked"] == [c.replica_id.hex()]
            began = trio.current_time()
            await ask(a)
            assert trio.current_time() - began < CENSUS_S / 2


async def test_a_node_that_hangs_is_waited_for_so_long_and_no_longer(autojump_clock: Clock) -> None:
    async with memory_nodes() as (network, run):
        a, _ = await run(replica("a")), await run(replica("b"), "a:1")
        await settle()
        for pair in network.streams:
            for stream in pair:
                stream.receive_some = trio.sleep_forever  # type: ignore[assignment,attr-defined]
        for connection in a.connections.values():
            connection._pull_last = lambda _: None
        began = trio.current_time()
        answer = await ask(a, timeout_s=0.5)
        assert trio.current_time() - began == pytest.approx(0.5, rel=0.1)
        assert states(answer) == {"a": "up", "b": "unreachable"}


async def test_a_node_that_stopped_on_purpose_has_left(autojump_clock: Clock) -> None:
    async with memory_nodes() as (network, run):
        a, _ = await run(replica("a")), await run(replica("b"), "a:1")
        async with Node(replica("c"), peers=["b:1"], transport=network, name="c"):
            await settle()
        await settle()
        answer = await ask(a)
        assert states(answer) == {"a": "up", "b": "up", "c": "left"}
        assert members(answer)["c"]["links"] == []


async def test_an_address_where_nobody_ever_answered_is_listed_by_all(autojump_clock: Clock) -> None:
    async with memory_nodes() as (_, run):
        a = await run(replica("a"))
        b = await run(replica("b"), "a:1", "nobody:1")
        await settle()
        assert (await ask(a))["addresses"] == [
            {
                "address": "nobody:1",
                "state": "waiting",
                "failure": "nothing answers at nobody:1",
                "dialled_by": [b.replica_id],
            }
        ]


async def test_the_lag_behind_all_is_counted_in_segments_and_in_commits(autojump_clock: Clock) -> None:
    async with memory_nodes() as (_, run):
        a, b, c = await run(replica("a")), await run(replica("b"), "a:1"), await run(replica("c"), "b:1")
        grow(a.graph, 1)  # type: ignore[arg-type]
        await settle()
        b.block(a.replica_id.hex())
        for node, count in ((a, 3), (c, 2)):
            parents = node.graph.heads()  # type: ignore[attr-defined]
            node.graph.commit_many(Commit(tuple(parents), "x", n, "") for n in range(5))  # type: ignore[attr-defined]
            grow(node.graph, count)  # type: ignore[arg-type]
        await settle(15)
        for node, others in ((a, (b, c)), (b, (a,)), (c, (a,))):
            lag = {member["replica"]: member["lag"] for member in (await ask(node))["members"]}
            assert lag[node.replica_id] == {"segments": 0, "exact": True, "commits": 0}
            behind = (3, 8) if node is a else (2, 7)
            for other in others:
                assert lag[other.replica_id] == {"segments": behind[0], "exact": True, "commits": behind[1]}


async def test_forgetting_a_member(autojump_clock: Clock) -> None:
    async with memory_nodes() as (network, run):
        a, b = await run(replica("a")), await run(replica("b"), "a:1")
        async with Node(replica("c"), peers=["b:1"], transport=network, name="c") as c:
            await settle()
        await settle()
        assert await ask(a, "forget", member=c.replica_id.hex()[:8]) == c.replica_id
        await settle()
        for node in (a, b):
            assert set(states(await ask(node))) == {"a", "b"}
        with pytest.raises(NotFoundError, match="no member"):
            await ask(a, "forget", member=c.replica_id.hex()[:8])
        with pytest.raises(LocalError, match="cannot forget itself"):
            await ask(a, "forget", member=a.replica_id.hex()[:8])
        with pytest.raises(LocalError, match="names no member"):
            await ask(a, "forget", member="abc")


async def test_a_vector_too_long_for_a_card_leaves_a_bound_for_the_lag(autojump_clock: Clock) -> None:
    async with memory_nodes() as (_, run):
        a = await run(replica("a"))
        grow(a.graph, 1)  # type: ignore[arg-type]
        long = dict.fromkeys(range(CARD_WRITERS_MAX + 1), 1)
        a.graph._planes["ledger"].document._vector.update(long)  # type: ignore[attr-defined]
        a.members.refresh()
        await settle()
        [member] = (await ask(a))["members"]
        assert member["planes"][0]["vector"] == {}
        assert member["planes"][0]["reach"] == CARD_WRITERS_MAX + 2
        assert member["lag"] == {"segments": 0, "exact": False, "commits": 0}


def test_a_store_at_rest_belongs_to_no_cluster() -> None:
    with replica("a") as graph, pytest.raises(LocalError, match="needs a running node"):
        LocalCaller(graph).call("cluster")


# --- lag


def test_lag_is_what_the_union_covers_and_the_own_vector_does_not() -> None:
    vectors = [{1: 5, 2: 1}, {1: 3, 2: 4}, {}, {1: 5, 2: 4}]
    reaches = [Reach(sum(vector.values()), vector) for vector in vectors]
    assert union(reaches) == {1: 5, 2: 4}
    assert lags(reaches) == [Lag(3, True), Lag(2, True), Lag(9, True), Lag(0, True)]
    assert list(ranges({2: 1}, {1: 5, 2: 4})) == [(1, 0, 5), (2, 1, 3)]


def test_where_a_vector_is_unknown_lag_is_a_bound() -> None:
    assert lags([Reach(10, {}), Reach(4, {1: 4}), Reach(0, {})]) == [Lag(0, False), Lag(6, False), Lag(10, False)]
    assert lags([]) == []
