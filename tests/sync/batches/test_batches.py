"""Batched calls of clients without a replica, over real sockets: both clients, both kinds of address."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from crdtgraph import (
    CommitId,
    Draft,
    Durability,
    Graph,
    LocalError,
    Reference,
)
from sync import Node
from sync.client.asyncclient import ControlClient
from sync.client.asyncremote import async_remote_ledger, async_remote_search
from sync.client.blocking import BlockingControlClient
from sync.client.remote import RemoteSearch, remote_ledger, remote_search
from tests.sync.batches.serving import SETTINGS, in_thread, served
from tests.sync.replicas import replica


def use(search: RemoteSearch, root: CommitId) -> None:
    """Everything that a blocking client can say in a search."""
    ids = search.commit_many(
        [Draft([root], "a", {"x": b"1", "y": Reference("git-blob", b"z" * 20, 3)}), Draft([0], "b")]
    )
    third = search.commit(parents=[ids[1]], message="c", changes={"x": None}, author="w", time=7)
    search.count_many([(ids[0], [1, 2]), (ids[0], [1, -5]), (ids[1], [4])])
    assert search.counters_many([ids[0], ids[1], third]) == [(2, -3), (4,), ()]
    assert search.children_many([root, ids[0], third]) == [(ids[0],), (ids[1],), ()]
    found = search.get_many([third, ids[0]])
    assert (found[0].author, found[0].time, found[0].parents, found[0].changes) == ("w", 7, (ids[1],), (("x", None),))
    assert found[1].id == ids[0]
    assert search.state_many([ids[0], third]) == [
        {"x": b"1", "y": Reference("git-blob", b"z" * 20, 3)},
        {"y": Reference("git-blob", b"z" * 20, 3)},
    ]
    search.discard_many([ids[1]])
    assert search.are_live([root, ids[0], ids[1], third]) == [True, True, False, False]
    search.assign("best", b"line")
    assert search.values("best") == (b"line",)
    assert search.values("worst") == ()
    search.assign("best", None)
    assert search.values("best") == ()
    assert search.promote(third, ref="best") == [ids[0], ids[1], third]
    with pytest.raises(LocalError, match=r"^item 1: .*nothing of the batch"):
        search.commit_many([Draft([root], "good"), Draft([CommitId(b"?" * 32)], "bad")])
    assert search.children_many([root]) == [(ids[0],)]


@pytest.mark.parametrize("over", ["unix", "tcp"])
async def test_a_blocking_worker_needs_no_replica(graph: Graph, root: CommitId, tmp_path: Path, over: str) -> None:
    async with served(graph, tmp_path) as (path, port):

        def work() -> None:
            with BlockingControlClient(path if over == "unix" else port) as client:
                with remote_search(client, "move 1", "worker 1") as search:
                    use(search, root)
                with pytest.raises(LocalError, match="was closed before"):
                    remote_search(client, "move 1")
                search.close()  # Again does nothing.
                for name in ("x" * 122, "x" * 2_000):
                    with pytest.raises(LocalError, match=f"has {len(name):,} bytes; at most 121 are possible"):
                        remote_search(client, name)

        await in_thread(work)
        assert graph.searches() == []
        assert graph.get(graph.refs["best"]).message == "c"


@pytest.mark.parametrize("over", ["unix", "tcp"])
async def test_a_worker_under_trio_needs_no_replica(graph: Graph, root: CommitId, tmp_path: Path, over: str) -> None:
    async with served(graph, tmp_path) as (path, port):
        async with await ControlClient.connect(path if over == "unix" else port) as client:
            async with await async_remote_search(client, "s") as search:
                ids = await search.commit_many([Draft([root], "a", {"x": b"1"}), Draft([0], "b")])
                third = await search.commit(parents=[ids[1]], message="c")
                await search.count_many([(ids[0], [1]), (ids[0], [1])])
                assert await search.counters_many([ids[0]]) == [(2,)]
                assert await search.children_many([ids[0]]) == [(ids[1],)]
                assert [each.message for each in await search.get_many([*ids, third])] == ["a", "b", "c"]
                assert await search.state_many([third]) == [{"x": b"1"}]
                await search.assign("k", b"v")
                assert await search.values("k") == (b"v",)
                assert await search.promote(ids[0]) == [ids[0]]
                await search.discard_many([ids[1]])
                assert await search.are_live(ids) == [True, False]
                with pytest.raises(LocalError, match=r"^item 0"):
                    await search.count_many([(CommitId(b"?" * 32), [1])])
            ledger = await async_remote_ledger(client)
            (made,) = await ledger.commit_many([Draft([root], "kept")], durability=Durability.CRITICAL)
        assert graph.is_durable(made)
        assert graph.searches() == []


async def test_the_ledger_is_written_in_batches_and_durable_on_request(
    graph: Graph, root: CommitId, tmp_path: Path
) -> None:
    async with served(graph, tmp_path) as (path, _):

        def work() -> list[CommitId]:
            with BlockingControlClient(path) as client:
                ledger = remote_ledger(client)
                ids = ledger.commit_many([Draft([root], "a"), Draft([0], "b")], durability=Durability.CRITICAL)
                ledger.count_many([(ids[0], [3])])
                assert ledger.counters_many(ids) == [(3,), ()]
                ledger.discard_many([ids[1]])
                with pytest.raises(LocalError, match="cannot be speculative"):
                    ledger.commit_many([Draft([root])], durability=Durability.SPECULATIVE)
                with pytest.raises(LocalError, match="is about a search"):
                    client.call("search_values", key="k")
                search = remote_search(client, "s")
                (kept,) = search.commit_many([Draft([root], "kept")], durability=Durability.CRITICAL)
                return [*ids, kept]

        ids = await in_thread(work)
        assert all(graph.is_durable(each) for each in ids)


async def test_large_batches_of_many_workers_do_not_stop_gossip(graph: Graph, root: CommitId, tmp_path: Path) -> None:
    batches, size = 5, 1_000
    with replica("b") as other:
        async with (
            Node(other, listen=["127.0.0.1:0"], settings=SETTINGS) as peer,
            served(graph, tmp_path, *peer.addresses) as (path, _),
        ):
            together: list[list[CommitId]] = []
            reached: list[int] = []

            def work(number: int) -> None:
                with BlockingControlClient(path) as client:
                    search, ids = remote_search(client, "s", f"worker {number}"), [root]
                    for batch in range(batches):
                        parents = [place - 1 if place else ids[-1] for place in range(size)]
                        ids += search.commit_many([Draft([parent], f"{number} {batch}") for parent in parents])
                    together.append(ids[1:])

            async with trio.open_nursery() as nursery:
                for number in range(4):
                    nursery.start_soon(in_thread, partial(work, number))
                while len(together) < 4:
                    tip = graph.commit(parents=[root], message=f"{len(reached)}")
                    assert await peer.wait_for_digest(graph.digest(), 30), "gossip stands still"
                    assert tip in other
                    reached.append(sum(map(len, together)))
            made = set().union(*together)
            assert len(graph.search("s")) == len(made) == 4 * batches * size
            with trio.fail_after(60):
                while len(other.search("s")) < len(made):
                    await peer.wait_changed()
            assert reached[0] == 0, "the first commit was with the peer before the batches were over"


async def test_between_the_steps_of_a_batch_others_are_served(graph: Graph, root: CommitId, tmp_path: Path) -> None:
    async with (
        served(graph, tmp_path) as (path, _),
        await ControlClient.connect(path) as large,
        await ControlClient.connect(path) as small,
    ):
        one, two = await async_remote_search(large, "s"), await async_remote_search(small, "s")
        over = []

        async def many() -> None:
            await one.commit_many([Draft([place - 1 if place else root], "x" * 100) for place in range(1_000)])
            over.append("many")

        async def few() -> None:
            await two.commit(parents=[root], message="few")
            over.append("few")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(many)
            nursery.start_soon(few)
        assert over == ["few", "many"]
        assert len(graph.search("s")) == 1_001
