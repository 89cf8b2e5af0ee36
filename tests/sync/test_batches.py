"""Batched calls of clients without a replica, over real sockets: both clients, both kinds of address, versions."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from crdtgraph import (
    CommitId,
    Draft,
    Durability,
    Graph,
    LocalError,
    NotFoundError,
    Reference,
    RemoteError,
    UnreachableError,
)
from sync import Node, Settings, asks
from sync.asyncclient import ControlClient
from sync.asyncremote import async_greet, async_remote_ledger, async_remote_search
from sync.callers import WORKERS_VERSION, Caller
from sync.client import BlockingControlClient
from sync.control import open_control, open_workers_port
from sync.methods import Target, methods_for_workers
from sync.remote import RemoteSearch, greet, remote_ledger, remote_search
from sync.requests import LocalCaller
from tests.sync.replicas import replica

SETTINGS = Settings(seed=1, goodbye_timeout_s=0.2)


@pytest.fixture
def graph() -> Iterator[Graph]:
    with replica("a") as opened:
        yield opened


@pytest.fixture
def root(graph: Graph) -> CommitId:
    return graph.commit(message="root", ref="main")


@asynccontextmanager
async def served(graph: Graph, folder: Path, *peers: str) -> AsyncIterator[tuple[str, str]]:
    """A node's addresses for workers: a Unix socket and a TCP port."""
    path = str(folder / "control")
    async with Node(graph, settings=SETTINGS, peers=peers) as node:
        target = Target(graph, node)
        async with open_control(path, target), open_workers_port("127.0.0.1:0", target) as port:
            yield path, port


async def in_thread(work: Callable[[], Any]) -> Any:
    with trio.fail_after(60):
        return await trio.to_thread.run_sync(work)


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


# --- versions


@pytest.mark.parametrize(
    "version, who", [(WORKERS_VERSION - 1, "upgrade the worker"), (WORKERS_VERSION + 1, "upgrade the node")]
)
async def test_a_worker_of_another_version_is_told_who_has_to_be_upgraded(
    graph: Graph, tmp_path: Path, version: int, who: str
) -> None:
    async with served(graph, tmp_path) as (path, _), await ControlClient.connect(path) as client:
        with pytest.raises(LocalError, match=f"speaks version {version}, the node {WORKERS_VERSION}") as caught:
            await client.call("hello", version=version, name="w")
        assert who in caught.value.hint
        with pytest.raises(LocalError, match="says first which version"):
            await client.call("search_open", name="s")
        assert graph.searches() == []


async def test_a_worker_that_does_not_greet_is_refused(graph: Graph, tmp_path: Path) -> None:
    async with served(graph, tmp_path) as (path, _), await ControlClient.connect(path) as client:
        for method in sorted(methods_for_workers() - {"hello", "status", "digest", "refs", "resolve", "set_ref"}):
            with pytest.raises(LocalError, match="says first which version") as caught:
                await client.call(method)
            assert "upgrade the worker" in caught.value.hint


async def test_a_node_that_knows_no_workers_is_older(graph: Graph, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("sync.methods.table.MODULES", ("reading", "writing"))
    async with served(graph, tmp_path) as (path, _):

        def work() -> None:
            with BlockingControlClient(path) as client, pytest.raises(LocalError, match="no workers") as caught:
                greet(client, "w")
            assert "upgrade the node" in caught.value.hint

        await in_thread(work)
        async with await ControlClient.connect(path) as client:
            with pytest.raises(LocalError, match="no workers"):
                await async_greet(client)


def test_an_answer_of_another_shape_is_the_nodes_mistake() -> None:
    for ask, answer in (
        (asks.hello("w"), {"version": "one"}),
        (asks.commit_many("ledger", [], None), b"x" * 33),
        (asks.get_many("ledger", []), [{"id": b""}]),
        (asks.children_many("ledger", []), [5]),
        (asks.state_many("ledger", []), [[]]),
        (asks.counters_many("ledger", []), 7),
        (asks.open_search("s"), None),
    ):
        with pytest.raises(RemoteError, match="where"):
            ask.read(answer)


def test_what_was_lent_is_taken_back_once() -> None:
    caller = Caller()
    taken: list[str] = []
    caller.lend("a", lambda: taken.append("a"))
    caller.lend("a", lambda: taken.append("again"))
    caller.leave()
    caller.leave()
    assert taken == ["again"]


# --- parameters


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("commit_batch", {"commits": [[]]}, "item 0 is"),
    ("commit_batch", {"commits": [[[], "m", None, None, None], 5]}, "item 1 is 5"),
    ("commit_batch", {"commits": [[[], "m", b"x", None, None]]}, "item 0 has changes"),
    ("commit_batch", {"commits": [[[], "m", {"a": ["x"]}, None, None]]}, "item 0: .*no value"),
    ("commit_batch", {"commits": [[[], "m", {"a": 5}, None, None]]}, "item 0: .*the value of path"),
    ("commit_batch", {"commits": [[[], 5, None, None, None]]}, "item 0: the message"),
    ("commit_batch", {"commits": {}}, "must be a list"),
    ("commit_batch", {"commits": [[]] * 1_001}, "a list of at most 1000"),
    ("commit_batch", {"commits": [], "durability": "maybe"}, "is no durability"),
    ("commit_batch", {"commits": [], "plane": "search/none"}, "no plane|no open search"),
    ("commit_batch", {"commits": [], "extra": 1}, "no parameter extra"),
    ("count_batch", {"commits": b"x" * 32, "vectors": []}, "1 commits and 0 vectors"),
    ("count_batch", {"commits": b"x" * 32, "vectors": [5]}, "item 0: 5 is no list"),
    ("count_batch", {"commits": b"x" * 31, "vectors": []}, "has 31 bytes"),
    ("get_batch", {"commits": b"x"}, "has 1 bytes"),
    ("get_batch", {"commits": b"x" * 32 * 1_001}, "has 32032 bytes"),
    ("get_batch", {"commits": b"x" * 64}, "item 0: commit .* is not here"),
    ("children_batch", {"commits": [b"x" * 32]}, "must be a byte string"),
    ("search_promote", {"plane": "ledger", "commit": b"x" * 32}, "no open search"),
    ("search_open", {"name": "a\nb"}, "is not a search name"),
    ("hello", {"version": "1"}, "must be an integer"),
]


@pytest.mark.parametrize("method, params, message", WRONG)
async def test_every_parameter_is_checked(
    graph: Graph, tmp_path: Path, method: str, params: dict[str, Any], message: str
) -> None:
    async with served(graph, tmp_path) as (path, _), await ControlClient.connect(path) as client:
        await async_greet(client)
        with pytest.raises((LocalError, NotFoundError), match=message):
            await client.call(method, **params)
        assert len(graph) == 0


def test_within_a_program_the_same_methods_need_no_greeting(graph: Graph) -> None:
    assert LocalCaller(graph).call("search_open", name="s") == "search/s"


@pytest.mark.parametrize(
    "draft, message",
    [
        (5, "is no draft"),
        (([], "m"), "is no draft"),
        (Draft(CommitId(b"x" * 32)), "parents are"),  # type: ignore[arg-type]
        (Draft([], "m", [("a", b"1")]), "changes are"),  # type: ignore[arg-type]
        (Draft([], "m", {"a": "text"}), "the value of path 'a' is str"),  # type: ignore[dict-item]
    ],
)
def test_drafts_are_checked_before_they_travel(draft: Any, message: str) -> None:
    with pytest.raises(LocalError, match=f"^item 1: .*{message}"):
        asks.commit_many("ledger", [Draft(), draft], None)


def test_ids_are_checked_before_they_travel() -> None:
    with pytest.raises(LocalError, match="item 1"):
        asks.get_many("ledger", [CommitId(b"x" * 32), CommitId(b"x" * 31)])


async def test_a_batch_that_fits_into_no_frame_is_an_error_here(graph: Graph, root: CommitId, tmp_path: Path) -> None:
    async with served(graph, tmp_path) as (path, _), await ControlClient.connect(path) as client:
        search = await async_remote_search(client, "s")
        with pytest.raises(LocalError, match=r"commit_batch: the request has \d+ bytes; 16777216 fit"):
            await search.commit_many([Draft([root], "m" * 4_000_000)] * 5)
        with pytest.raises(LocalError, match=r"^item 1: .*4194304 bytes"):
            await search.commit_many([Draft([root], "m" * 4_000_000)] * 2)
        assert len(await search.commit_many([Draft([root], "m" * 4_000_000)])) == 1


# --- the port


async def test_the_port_answers_workers_only(graph: Graph, tmp_path: Path) -> None:
    async with served(graph, tmp_path) as (_, port), await ControlClient.connect(port) as client:
        assert await client.call("refs") == []
        for method in ("stop", "flush", "block", "commit"):
            with pytest.raises(LocalError, match="not answered over TCP"):
                await client.call(method)


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:7500", "example.org:80"])
async def test_a_port_outside_loopback_is_refused(graph: Graph, address: str) -> None:
    with pytest.raises(LocalError, match="outside loopback"):
        async with open_workers_port(address, Target(graph)):
            raise AssertionError


async def test_a_port_that_is_taken_is_an_error(graph: Graph) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(LocalError, match="cannot listen"):
        async with open_workers_port(taken.getsockname(), Target(graph)):
            raise AssertionError


def test_nobody_at_the_port_says_how_to_start_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        address = f"tcp:127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(UnreachableError, match="no node answers") as caught:
        BlockingControlClient(address)
    assert "--control-listen 127.0.0.1" in caught.value.hint


@pytest.mark.parametrize("address", ["tcp:", "tcp:localhost", "tcp:127.0.0.1:0", "tcp:127.0.0.1:x", "tcp::5"])
async def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    with pytest.raises(LocalError, match="no address of a node"):
        BlockingControlClient(address)
    with pytest.raises(LocalError, match="no address of a node"):
        await ControlClient.connect(address)


def test_the_socket_of_a_name_with_a_colon_is_a_path(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="no node answers"):
        BlockingControlClient(os.fspath(tmp_path / "tcp:1"))
