"""The clients of a node: of several threads and tasks each has its own answer, and what is broken off harms nobody."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio
import trio.testing

from crdtgraph import CommitId, Draft, NotFoundError, UnreachableError
from sync import (
    AsyncRemoteSearch,
    BlockingControlClient,
    ControlClient,
    RemoteSearch,
    async_remote_search,
    open_control,
)
from sync.client.remote import remote_search
from sync.methods import Target
from tests.sync.replicas import replica

THREADS = 4
BATCHES = 25


async def test_threads_that_share_a_client_have_each_its_own_answers(tmp_path: Path) -> None:
    def work(search: RemoteSearch, root: CommitId, number: int) -> None:
        for batch in range(BATCHES):
            ids = search.commit_many([Draft([root], f"{number} {batch} {item}") for item in range(3)])
            assert [commit.message for commit in search.get_many(ids)] == [f"{number} {batch} {i}" for i in range(3)]

    def workers(path: Path, root: CommitId) -> None:
        with BlockingControlClient(path, timeout_s=5) as client, ThreadPoolExecutor(THREADS) as pool:
            search = remote_search(client, "shared")
            for done in [pool.submit(work, search, root, number) for number in range(THREADS)]:
                done.result()

    with replica("a") as graph:
        root = graph.commit(message="root")
        path = tmp_path / "control"
        async with open_control(path, Target(graph)):
            with trio.fail_after(60):
                await trio.to_thread.run_sync(partial(workers, path, root))
        assert len(graph.search("shared")) == THREADS * BATCHES * 3


async def test_a_batch_of_nothing_is_answered_with_nothing(tmp_path: Path) -> None:
    async def use(search: AsyncRemoteSearch) -> None:
        assert await search.commit_many([]) == []
        assert await search.get_many([]) == await search.children_many([]) == await search.counters_many([]) == []
        assert await search.are_live([]) == await search.state_many([]) == []
        await search.count_many([])
        await search.discard_many([])

    with replica("a") as graph:
        path = tmp_path / "control"
        async with open_control(path, Target(graph)), await ControlClient.connect(path) as client:
            await use(await async_remote_search(client, "nothing"))


async def test_what_is_asked_of_a_closed_search_is_told_so(tmp_path: Path) -> None:
    with replica("a") as graph:
        root = graph.commit(message="root")
        path = tmp_path / "control"
        async with open_control(path, Target(graph)), await ControlClient.connect(path) as client:
            search = await async_remote_search(client, "move 12")
            await search.commit_many([Draft([root], "first")])
            graph.close_search("move 12")
            with pytest.raises(NotFoundError, match="search 'move 12' is closed"):
                await search.commit_many([Draft([root], "late")])


async def test_a_request_that_is_broken_off_in_its_midst_is_the_clients_last() -> None:
    # Nobody reads: of a large request a part stays behind.
    ours, theirs = trio.testing.lockstep_stream_pair()
    client = ControlClient(ours, "node/control")
    with trio.move_on_after(0.01) as scope:
        await client.call("resolve", revs=["x" * 1_000])
    assert scope.cancelled_caught
    with pytest.raises(UnreachableError, match="broken off"):
        await client.call("heads")
    await theirs.aclose()


async def test_whoever_waits_for_an_answer_while_another_task_closes_the_client_is_told_so() -> None:
    ours, _theirs = trio.testing.memory_stream_pair()
    client = ControlClient(ours, "node/control")

    async def ask() -> None:
        with pytest.raises(UnreachableError, match="this client of the node at node/control is closed"):
            await client.call("heads")

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            async with client:
                pass


def test_a_blocking_request_that_is_broken_off_is_the_clients_last(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        with BlockingControlClient(path, timeout_s=0.05) as client:
            accepted, _ = listener.accept()
            with accepted:
                with pytest.raises(UnreachableError, match="no answer"):
                    client.call("commit_many", commits=[Random(1).randbytes(2_000_000)])
                with pytest.raises(UnreachableError, match="broken off"):
                    client.call("heads")
