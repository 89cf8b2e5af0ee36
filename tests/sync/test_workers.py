"""Workers in processes and tasks of their own, over real sockets: they work, fail, die, and so does their node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import crdtgraph
from crdtgraph import Durability, Graph, LocalError, NotFoundError, UnreachableError
from crdtgraph.mcts import Budget, Evaluation, SearchTree, Stop
from crdtgraph.mcts.desk import WorkersFailedError
from sync import ControlClient, Node, Settings
from sync.answering import answer_from_plain, answer_to_plain
from sync.asyncremote import async_greet
from sync.asyncworker import run_worker
from sync.client import BlockingControlClient
from sync.control import open_control, open_workers_port
from sync.desks import Desks
from sync.methods import Target
from sync.remote import remote_ledger, remote_search
from sync.threads import search_with_threads
from sync.worker import Worker
from sync.workers import Workers, async_search_with_workers, search_with_workers
from tests.sync.problems import Moody, Nim, Unpicklable, make_nim
from tests.sync.replicas import replica

ROOT = Path(__file__).parents[2]
WAIT_S = 60
SETTINGS = Settings(seed=1, goodbye_timeout_s=0.2)


@pytest.fixture
def graph() -> Iterator[Graph]:
    with replica("a") as opened:
        yield opened


def tree_of(graph: Graph, problem: Nim | None = None) -> SearchTree:
    return SearchTree(graph, problem if problem is not None else Nim(), name="s", solve=False)


def settled(tree: SearchTree) -> int:
    """How many simulations are counted in the search, all of them over."""
    assert tree.inflight() == {}
    return tree.search.counters(tree.root)[0]


# --- a pool of processes


@pytest.mark.parametrize("problem", [Nim(), make_nim, Nim], ids=["instance", "function", "class"])
def test_processes_search_a_tree(graph: Graph, problem: Any) -> None:
    tree = tree_of(graph)
    seen: list[int] = []
    spent = search_with_workers(
        tree, problem, Budget(iterations=1_500), workers=2, on_progress=lambda each: seen.append(each.iterations)
    )
    assert (spent.iterations, spent.stop) == (1_500, Stop.ITERATIONS)
    assert settled(tree) == 1_500
    assert seen[-1] == 1_500
    assert tree.best_action() in (1, 2, 3)
    assert tree.promote(ref="best") in graph


def test_a_worker_that_is_killed_costs_what_it_had_in_hand(graph: Graph, tmp_path: Path) -> None:
    tree = tree_of(graph, Moody())
    spent = search_with_workers(tree, Moody(folder=str(tmp_path), mood="die once"), 400, workers=2)
    assert (tmp_path / "done").exists(), "one of them was killed"
    assert spent.iterations == settled(tree) == 400


@pytest.mark.parametrize("mood", ["fail once", "text once"])
def test_what_fails_once_is_tried_again(graph: Graph, tmp_path: Path, mood: str) -> None:
    tree = tree_of(graph, Moody())
    spent = search_with_workers(tree, Moody(folder=str(tmp_path), mood=mood), 200, workers=2)
    assert (tmp_path / "done").exists()
    assert spent.iterations == settled(tree) == 200


@pytest.mark.parametrize(
    "mood, message", [("fail", "raised ValueError: no such luck"), ("nan", "an evaluation is nan")]
)
def test_an_error_of_the_problem_ends_the_search_with_the_workers_name(
    graph: Graph, tmp_path: Path, mood: str, message: str
) -> None:
    tree = tree_of(graph, Moody())
    with pytest.raises(WorkersFailedError, match=f"^worker 'worker [01]': .*{message}") as caught:
        search_with_workers(tree, Moody(folder=str(tmp_path), mood=mood), 200, workers=2)
    assert "failed 3 times after" in caught.value.hint
    if mood == "fail":
        assert 'raise ValueError("no such luck")' in caught.value.detail
    assert tree.inflight() == {}


def test_a_search_without_workers_left_ends(graph: Graph, tmp_path: Path) -> None:
    tree = tree_of(graph, Moody())
    with pytest.raises(LocalError, match=r"ended|lost"):
        search_with_workers(tree, Moody(folder=str(tmp_path), mood="die"), 200, workers=1)
    assert tree.inflight() == {}
    graph.commit(message="the graph is good")


def test_evaluations_may_have_priors(graph: Graph, tmp_path: Path) -> None:
    tree = tree_of(graph, Moody())
    spent = search_with_workers(tree, Moody(folder=str(tmp_path), mood="priors"), 50, workers=1, batch=1)
    assert spent.iterations == settled(tree) == 50


@pytest.mark.parametrize("count", [0, 65, True, "2"])
def test_a_pool_has_a_number_of_workers(count: Any) -> None:
    with pytest.raises(LocalError, match="workers"):
        Workers(Nim(), count, "nowhere")


def test_a_problem_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(LocalError, match="cannot be sent to another process: TypeError: it holds a socket"):
        Workers(Unpicklable(), 1, "nowhere")


def test_workers_that_find_no_node_say_so(tmp_path: Path) -> None:
    with Workers(Nim(), 1, tmp_path / "control") as pool:
        pool.close()
        assert "no node answers" in pool.ends()["worker 0"]
        assert pool.alive() == 0


# --- workers of a node


@asynccontextmanager
async def hosting(graph: Graph, folder: Path, desks: Desks) -> AsyncIterator[tuple[str, str]]:
    path = str(folder / "control")
    async with Node(graph, settings=SETTINGS) as node:
        target = Target(graph, node, desks=desks)
        async with open_control(path, target), open_workers_port("127.0.0.1:0", target) as port:
            with trio.fail_after(WAIT_S):
                yield path, port


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


# --- a node that is killed


class Daemon:
    """One process that serves a store, and Nim."""

    def __init__(self, folder: Path) -> None:
        self.store, self.control = f"rocksdb:{folder / 'store'}", str(folder / "control")
        options = ("--control-listen", "127.0.0.1:0", "--problem", "tests.sync.problems:Nim", "--log", "json")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve", "--store", self.store, "--control", self.control, *options],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if '"ready"' in line:
                self.workers: str = json.loads(line)["workers"]
                break

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=WAIT_S)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    started = Daemon(tmp_path)
    try:
        yield started
    finally:
        started.end()


@pytest.mark.parametrize("address", ["0.0.0.0:0", "10.0.0.1:7500", "nonsense"])
def test_a_port_that_others_could_reach_is_refused_before_there_is_a_store(tmp_path: Path, address: str) -> None:
    store = tmp_path / "store"
    command = [sys.executable, "-m", "cli", "serve", "--store", str(store), "--control-listen", address]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ("outside loopback" in ended.stderr) or ("is not an address" in ended.stderr)
    assert "Traceback" not in ended.stderr
    assert not store.exists()


def test_a_node_says_where_workers_can_connect(daemon: Daemon) -> None:
    assert daemon.workers.startswith("tcp:127.0.0.1:")
    with BlockingControlClient(daemon.workers) as client:
        made = remote_ledger(client).commit(parents=[], message="over tcp", durability=Durability.CRITICAL)
        assert client.call("resolve", revs=[made.hex()]) == [made]


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[BaseException]]:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread, errors


def test_a_node_that_is_killed_ends_its_workers_and_leaves_the_ledger_good(daemon: Daemon) -> None:
    with BlockingControlClient(daemon.control) as client:
        ledger = remote_ledger(client)
        kept = ledger.commit(parents=[], message="kept", durability=Durability.CRITICAL)
        search = remote_search(client, "own")
        (spoken,) = search.commit_many([crdtgraph.Draft([kept], "speculative")])
        fingerprint = Desks([Nim()])
        client.call(
            "mcts_open", search="s", fingerprint=next(iter(fingerprint._problems)), iterations=1_000_000, seed=3
        )
        pool = Workers(Nim(), 1, daemon.control, search="s")
        try:
            thread, errors = in_background(Worker(Nim(), daemon.control, search="s", name="here").run)
            deadline = time.monotonic() + WAIT_S
            status: Any = {"workers": []}
            while len([each for each in status["workers"] if each["told"]]) < 2 and time.monotonic() < deadline:
                status = client.call("mcts_status", search="s")
            assert status["iterations"] > 0
            os.kill(daemon.process.pid, signal.SIGKILL)
            daemon.end()
            thread.join(WAIT_S)
            pool.close(patience_s=WAIT_S)
            assert [type(error) for error in errors] == [UnreachableError]
            assert "went away" in str(errors[0])
            assert "went away" in pool.ends()["worker 0"]
        finally:
            pool.close(patience_s=0)
        with pytest.raises(UnreachableError, match="went away"):
            search.commit_many([crdtgraph.Draft([kept], "too late")])
    with crdtgraph.open(daemon.store) as graph:
        assert kept in graph
        assert spoken not in graph
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []


def test_a_worker_that_is_killed_while_a_node_serves_it(daemon: Daemon) -> None:
    with BlockingControlClient(daemon.control) as client:
        remote_ledger(client)
        fingerprint = next(iter(Desks([Nim()])._problems))
        client.call("mcts_open", search="s", fingerprint=fingerprint, iterations=1_000_000)
        pool = Workers(Nim(), 2, daemon.control, search="s")
        try:
            status: Any = {"workers": []}
            deadline = time.monotonic() + WAIT_S
            while len([each for each in status["workers"] if each["told"]]) < 2 and time.monotonic() < deadline:
                status = client.call("mcts_status", search="s")
            os.kill(pool.processes[0].pid or 0, signal.SIGKILL)
            pool.processes[0].join(WAIT_S)
            at_death: Any = client.call("mcts_status", search="s")
            while (len(status["workers"]) > 1 or status["iterations"] <= at_death["iterations"]) and (
                time.monotonic() < deadline
            ):
                status = client.call("mcts_status", search="s")
            assert [each["name"] for each in status["workers"]] == ["worker 1"]
            assert status["iterations"] > at_death["iterations"], "the search goes on"
            assert pool.ends() == {"worker 0": "it was ended by SIGKILL"}
            stopped: Any = client.call("mcts_stop", search="s")
            assert (stopped["in_flight"], stopped["error"]) == (0, None)
            pool.close(patience_s=WAIT_S)
            assert pool.processes[1].exitcode == 0
        finally:
            pool.close(patience_s=0)


# --- threads of the tree's own process


async def test_threads_search_a_tree(graph: Graph) -> None:
    tree = tree_of(graph)
    spent = await search_with_threads(tree, Nim(), 300, threads=3, batch=2)
    assert spent.iterations == settled(tree) == 300


async def test_an_error_in_a_thread_ends_the_search(graph: Graph, tmp_path: Path) -> None:
    tree = tree_of(graph, Moody())
    with pytest.raises(WorkersFailedError, match=r"^worker 'thread \d': .*no such luck"):
        await search_with_threads(tree, Moody(folder=str(tmp_path), mood="fail"), 300, threads=2)
    assert tree.inflight() == {}
    with pytest.raises(LocalError, match="0 threads"):
        await search_with_threads(tree, Nim(), 300, threads=0)


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
    monkeypatch.setattr("sync.desks.HOSTED_MAX", 2)
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
