"""Workers of a node, over real sockets: they come from anywhere, vanish, wait and are sent home."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from crdtgraph import Graph, LocalError, NotFoundError
from crdtgraph.mcts import Budget, Evaluation
from sync import ControlClient, Node
from sync.client.asyncremote import async_greet
from sync.control import open_control
from sync.methods import Target
from sync.workers.answering import answer_from_plain, answer_to_plain
from sync.workers.asyncworker import run_worker
from sync.workers.desks import Desks
from sync.workers.pool import async_search_with_workers
from sync.workers.worker import Worker
from tests.sync.problems import Nim
from tests.sync.replicas import replica
from tests.sync.workers.hosting import SETTINGS, WAIT_S, hosting, settled, tree_of


async def test_blocking_and_trio_workers_work_for_one_tree(graph: Graph, tmp_path: Path) -> None:
    desks, told = Desks(), []
    async with hosting(graph, tmp_path, desks) as (path, port):
        tree = tree_of(graph)
        hosted = desks.open(tree, 600)
        with pytest.raises(LocalError, match="already"):
            desks.open(tree, 600)

        async def blocking() -> None:
            told.append(await trio.to_thread.run_sync(Worker(Nim(), port, search="s", name="same").run))

        async def asynchronous() -> None:
            told.append(await run_worker(Nim(), path, search="s", name="same", batch=4))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(blocking)
            nursery.start_soon(asynchronous)
            spent = await hosted.result()
        assert spent.iterations == settled(tree) == 600
        assert 0 < sum(told) <= 600, "a game that is over needs nobody to say so"
        assert await hosted.result() == spent
        assert await run_worker(Nim(), path, search="s") == 0, "who comes late has nothing to do"


async def test_a_pool_and_workers_from_elsewhere_work_for_one_tree(graph: Graph, tmp_path: Path) -> None:
    desks = Desks()
    async with hosting(graph, tmp_path, desks) as (_, port):
        tree, told = tree_of(graph), []

        async def elsewhere() -> None:
            while tree.iterations < 10:
                await trio.lowlevel.checkpoint()
            told.append(await run_worker(Nim(), port, search="s"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(elsewhere)
            spent = await async_search_with_workers(tree, Nim(), 4_000, workers=1, desks=desks)
        assert spent.iterations == settled(tree) == 4_000
        assert 0 < told[0] < 4_000


async def test_a_worker_that_vanishes_in_the_middle_gives_its_tasks_back(graph: Graph, tmp_path: Path) -> None:
    desks = Desks()
    async with hosting(graph, tmp_path, desks) as (path, _):
        tree = tree_of(graph)
        hosted = desks.open(tree, 100)
        async with await ControlClient.connect(path) as client:
            await async_greet(client, "w")
            name = await client.call("mcts_join", search="s", fingerprint=hosted.desk.fingerprint)
            answer: Any = await client.call("mcts_work", search="s", answers=[], failures=[], count=8)
            assert len(answer["tasks"]) == 8
            status: Any = await client.call("mcts_status", search="s")
            assert (status["in_flight"], status["workers"]) == (8, [{"name": name, "tasks": 8, "told": 0, "failed": 0}])
            assert len(tree._flights) == 8
        while hosted.desk.workers:
            await trio.testing.wait_all_tasks_blocked()
        assert (hosted.desk.in_flight, tree.inflight()) == (0, {})
        assert 0 < await run_worker(Nim(), path, search="s") <= 100
        assert hosted.desk.spent is not None


async def test_other_nodes_hear_what_workers_have_in_flight(graph: Graph) -> None:
    heard: list[dict[Any, int]] = [{}]
    changed = trio.Event()

    def hear(_writer: int, counts: Mapping[Any, int]) -> None:
        heard.append(dict(counts))
        changed.set()

    with replica("b") as other, trio.fail_after(WAIT_S):
        async with (
            Node(graph, listen=["127.0.0.1:0"], settings=SETTINGS) as node,
            Node(other, peers=node.addresses, settings=SETTINGS) as peer,
        ):
            end = peer.inflight.subscribe("s", hear)
            tree = tree_of(graph)
            hosted = Desks().open(tree, 100, node=node)
            name = hosted.join("w")
            assert len(await hosted.work(name, [], [], 4)) == 4
            while not heard[-1]:
                changed = trio.Event()
                await changed.wait()
            assert heard[-1][tree.root] == 4
            hosted.leave(name)
            hosted.stop()
            while heard[-1]:
                changed = trio.Event()
                await changed.wait()
            end()


async def test_a_worker_waits_for_others_when_nothing_is_left_to_begin(graph: Graph, tmp_path: Path) -> None:
    desks = Desks()
    async with hosting(graph, tmp_path, desks) as (path, _):
        hosted = desks.open(tree_of(graph), 3)
        async with await ControlClient.connect(path) as client:
            await async_greet(client, "slow")
            await client.call("mcts_join", search="s", fingerprint=hosted.desk.fingerprint)
            answer: Any = await client.call("mcts_work", search="s", answers=[], failures=[], count=3)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial(run_worker, Nim(), path, search="s"))
                while len(hosted.desk.workers) < 2:
                    await trio.testing.wait_all_tasks_blocked()
                answers = [[number, 0.5] for number, _ in answer["tasks"]]
                answer = await client.call("mcts_work", search="s", answers=answers, failures=[], count=3)
            assert answer == {"tasks": [], "over": True, "error": None}
            assert hosted.desk.spent is not None


async def test_a_stopped_search_sends_its_workers_home(graph: Graph, tmp_path: Path) -> None:
    desks = Desks([Nim()])
    async with hosting(graph, tmp_path, desks) as (path, _), await ControlClient.connect(path) as client:
        await async_greet(client)
        fingerprint = desks.open(tree_of(graph), Budget(seconds=600)).desk.fingerprint
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(run_worker, Nim(), path, search="s"))
            status: Any = {"iterations": 0}
            while status["iterations"] < 50:
                status = await client.call("mcts_status", search="s")
            stopped: Any = await client.call("mcts_stop", search="s")
        assert (stopped["stop"], stopped["in_flight"], stopped["error"]) == ("time", 0, None)
        again: Any = await client.call("mcts_open", search="s", fingerprint=fingerprint, iterations=10)
        assert (again["iterations"], again["stop"]) == (0, None)


async def test_a_connection_that_stays_works_for_one_search_after_the_other(graph: Graph, tmp_path: Path) -> None:
    desks = Desks([Nim()])
    async with hosting(graph, tmp_path, desks) as (path, _), await ControlClient.connect(path) as client:
        await async_greet(client, "w")
        earlier = desks.open(tree_of(graph), 100)
        fingerprint = earlier.desk.fingerprint
        await client.call("mcts_join", search="s", fingerprint=fingerprint)
        assert list(earlier.desk.workers) == ["w"]
        earlier.stop()
        await client.call("mcts_open", search="s", fingerprint=fingerprint, iterations=10)
        await client.call("mcts_join", search="s", fingerprint=fingerprint)
        assert (list(earlier.desk.workers), list(desks.of("s").desk.workers)) == ([], ["w"])
        answer: Any = await client.call("mcts_work", search="s", answers=[], failures=[], count=2)
        assert len(answer["tasks"]) == 2
    while desks.of("s").desk.workers:
        await trio.testing.wait_all_tasks_blocked()


async def test_what_a_worker_cannot_join(graph: Graph, tmp_path: Path) -> None:
    desks = Desks([Nim(5)])
    async with hosting(graph, tmp_path, desks) as (path, _), await ControlClient.connect(path) as client:
        with pytest.raises(NotFoundError, match="no tree is worked for on search 's'"):
            await run_worker(Nim(), path, search="s")
        hosted = desks.open(tree_of(graph), 100)
        with pytest.raises(LocalError, match=r"is about .*Nim\(left=21\).*, this worker's problem is .*Nim\(left=7\)"):
            await run_worker(Nim(7), path, search="s")
        with pytest.raises(LocalError, match="says first which version"):
            await client.call("mcts_status", search="s")
        await async_greet(client, "w")
        with pytest.raises(LocalError, match="has not joined"):
            await client.call("mcts_work", search="s", answers=[], failures=[], count=1)
        with pytest.raises(NotFoundError, match=r"no problem .*Nim\(left=9\).*|was given no problem"):
            await client.call("mcts_open", search="t", fingerprint=b"Nim(left=9)", iterations=5)
        with pytest.raises(LocalError, match="budget"):
            await client.call("mcts_open", search="t", fingerprint=next(iter(desks._problems)))
        await client.call("mcts_join", search="s", fingerprint=hosted.desk.fingerprint)
        with pytest.raises(LocalError, match="works for search 's' already"):
            await client.call("mcts_join", search="s", fingerprint=hosted.desk.fingerprint)
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"answers": [5]}, "an answer is 5"),
            ({"answers": [["1", 2]]}, "an answer is"),
            ({"failures": [[1, "m"]]}, "a failure is"),
            ({"count": 257}, "from 0 to 256"),
            ({"answers": [[1, 0.5]] * 257}, "at most 256"),
        ]
        for params, message in wrong:
            with pytest.raises(LocalError, match=message):
                await client.call("mcts_work", **{"search": "s", "answers": [], "failures": [], "count": 1, **params})


async def test_without_desks_there_are_no_trees(graph: Graph, tmp_path: Path) -> None:
    path = str(tmp_path / "control")
    async with open_control(path, Target(graph)):
        with pytest.raises(LocalError, match="no trees are worked for"):
            await run_worker(Nim(), path, search="s")


async def test_a_node_from_before_there_were_trees_is_told_apart(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.methods.table.MODULES", ("batches",))
    monkeypatch.setattr("sync.methods.table.FOR_WORKERS", ("batches",))
    path = str(tmp_path / "control")
    async with open_control(path, Target(graph)):
        with pytest.raises(LocalError, match="older than this worker"):
            await run_worker(Nim(), path, search="s")
        with pytest.raises(LocalError, match="older than this worker"):
            await trio.to_thread.run_sync(Worker(Nim(), path, search="s").run)


@pytest.mark.parametrize("batch", [0, 257, 1.5])
def test_a_batch_of_leaves_is_bounded(batch: Any) -> None:
    with pytest.raises(LocalError, match="a batch of"):
        Worker(Nim(), "nowhere", batch=batch)


def test_evaluations_cross_as_they_are() -> None:
    assert answer_from_plain(answer_to_plain(0.5)) == 0.5
    assert answer_from_plain(answer_to_plain((1, 0))) == [1.0, 0.0]
    found = answer_from_plain(answer_to_plain(Evaluation([0.5, 0.25], [0.5])))
    assert found == Evaluation([0.5, 0.25], [0.5])


# --- the end of a tree


async def test_a_search_that_somebody_closes_ends(graph: Graph, tmp_path: Path) -> None:
    desks = Desks()
    async with hosting(graph, tmp_path, desks) as (path, _):
        hosted = desks.open(tree_of(graph), Budget(seconds=600))
        ended: list[str] = []

        async def work() -> None:
            with pytest.raises(LocalError) as caught:
                await run_worker(Nim(), path, search="s")
            ended.append(str(caught.value))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            while hosted.desk.iterations < 20:
                await trio.lowlevel.checkpoint()
            graph.close_search("s")
            with pytest.raises(LocalError, match="was closed while workers worked for it"):
                await hosted.result()
        assert "was closed" in ended[0]
        assert hosted.desk.in_flight == 0


async def test_trees_that_are_over_make_room(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sync.workers.desks.HOSTED_MAX", 2)
    desks = Desks([Nim()])
    fingerprint = next(iter(desks._problems))
    first, second = (desks.open_known(graph, name, fingerprint, Budget(5), 0) for name in "ab")
    assert desks.open_known(graph, "a", fingerprint, Budget(5), 0) is first
    with pytest.raises(LocalError, match="2 trees, as many as can be"):
        desks.open_known(graph, "c", fingerprint, Budget(5), 0)
    second.stop()
    desks.open_known(graph, "c", fingerprint, Budget(5), 0)
    with pytest.raises(NotFoundError):
        desks.of("b")
    desks.close()
    assert first.desk.is_over
