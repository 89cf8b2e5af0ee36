"""Control methods over the socket: requests and answers, streams, errors across it, and the end of either side."""

from __future__ import annotations

import itertools
import select
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import crdtgraph
from crdtgraph import AmbiguousError, CommitId, Graph, LocalError, NotFoundError, UnreachableError
from crdtgraph.metering import Meter
from sync import Node, control
from sync.client.asyncclient import ControlClient
from sync.client.blocking import BlockingControlClient
from sync.control import open_control
from sync.methods import Target, reading
from sync.protocol.framing import encode_frame
from sync.protocol.limits import CHUNK_ENTRIES, CONTROL_CLIENTS_MAX
from tests.sync.control.serving import SETTINGS, served
from tests.sync.replicas import grow, replica


async def test_requests_over_the_socket(graph: Graph, path: Path) -> None:
    async with served(graph, path) as client:
        commit = await client.call("commit", message="through the socket", ref="main")
        assert graph.refs["main"] == commit
        status: Any = await client.call("status")
        assert status["node"]["replica"] == graph.replica_id.hex()
        assert await client.call("peers") == []
        assert await client.call("block", peer="127.0.0.1:9") == []
        await client.call("unblock", peer="127.0.0.1:9")
        with pytest.raises(NotFoundError, match="no method"):
            await client.call("nonsense")
        with pytest.raises(AmbiguousError if len(graph) > 1 else NotFoundError):
            await client.call("resolve", revs=["0000"])
        assert await client.call("wait_for_digest", digest=graph.digest(), timeout_s=0) is True
        assert await client.call("wait_for_digest", digest=bytes(32), timeout_s=0.01) is False


async def test_commits_over_the_socket_are_timed_where_they_are_carried_out(graph: Graph, path: Path) -> None:
    async with served(graph, path) as client:
        for _ in range(3):
            await client.call("commit", message="x", ref="main")
        with pytest.raises(NotFoundError):
            await client.call("commit", message="x", parents=["nowhere"])
        await client.call("status")
        [member] = (await client.call("cluster"))["members"]  # type: ignore[index,call-overload]
        timings = {each["name"]: each for each in member["timings"]}  # type: ignore[union-attr,index,call-overload]
        assert timings["commit"]["count"] == 3
        assert 0 < timings["commit"]["p50_us"] <= timings["commit"]["longest_us"]


async def test_a_critical_commit_over_the_socket_counts_as_one_until_the_disk_has_it(path: Path) -> None:
    ticks = itertools.count(0, 1_000)
    meter = Meter(lambda: next(ticks))
    with crdtgraph.open("memory:", meter=meter) as graph:
        async with served(graph, path) as client:
            await client.call("commit", message="x", ref="main")
            await client.call("commit", message="y")
            with pytest.raises(NotFoundError):
                await client.call("commit", message="z", ref="main", parents=["nowhere"])
            answer: Any = await client.call("metrics")
            text: Any = await client.call("exposition")
        found = {each["name"]: each["count"] for each in answer["timings"] if each["period"] == "total"}
        assert (found["commit_critical"], found["commit_normal"], found["commit"]) == (1, 1, 2)
        assert 'crdtgraph_commit_seconds_count{class="critical"} 1.0\n' in text


async def test_streams_arrive_in_parts_and_others_are_served_meanwhile(graph: Graph, path: Path) -> None:
    parents: list[CommitId] = []
    for number in range(3 * CHUNK_ENTRIES):
        parents = [graph.commit(parents=parents, message=str(number))]
    async with served(graph, path) as client, await ControlClient.connect(path) as other:
        sizes = []
        async for part in client.stream("log"):
            assert isinstance(part, list)
            sizes.append(len(part))
            assert await other.call("heads") == parents
        assert len(sizes) > 3
        assert max(sizes) == CHUNK_ENTRIES
        assert sum(sizes) == 3 * CHUNK_ENTRIES


async def test_the_blocking_client_speaks_the_same(graph: Graph, path: Path) -> None:
    grow(graph, 2)

    def ask() -> None:
        with BlockingControlClient(path) as client:
            assert client.call("heads") == list(graph.heads())
            assert [len(part) for part in client.stream("log")] == [2]  # type: ignore[arg-type]
            stream = client.stream("log")
            next(stream)
            # A stream that was given up does not disturb the next request.
            assert client.call("heads") == list(graph.heads())
            with pytest.raises(NotFoundError, match="nobody"):
                client.call("resolve", revs=["nobody"])

    async with served(graph, path):
        await trio.to_thread.run_sync(ask)


async def test_wait_for_digest_returns_when_it_is_there(graph: Graph, path: Path) -> None:
    other = replica("b")
    grow(other, 1)
    answers = []
    async with (
        Node(graph, listen=["127.0.0.1:0"], settings=SETTINGS) as node,
        open_control(path, Target(graph, node)),
        await ControlClient.connect(path) as client,
        trio.open_nursery() as nursery,
    ):
        answered = trio.Event()

        async def wait() -> None:
            answers.append(await client.call("wait_for_digest", digest=other.digest(), timeout_s=10))
            answered.set()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert answers == []
        async with Node(other, peers=node.addresses, settings=SETTINGS):
            await answered.wait()
    assert answers == [True]


async def test_a_node_that_goes_away_in_the_middle(graph: Graph, path: Path) -> None:
    async with Node(graph, settings=SETTINGS) as node:
        async with open_control(path, Target(graph, node)):
            client = await ControlClient.connect(path)
        with pytest.raises(UnreachableError, match="went away"):
            await client.call("heads")
        await client.__aexit__(None, None, None)


@pytest.mark.parametrize("in_time", [True, False])
async def test_what_is_under_way_at_the_end_is_answered_but_not_waited_for_long(
    graph: Graph, path: Path, monkeypatch: pytest.MonkeyPatch, in_time: bool
) -> None:
    begun, done = trio.Event(), trio.Event()

    async def work() -> int:
        begun.set()
        await done.wait()
        return 7

    async def ask() -> None:
        async with await ControlClient.connect(path) as client:
            if in_time:
                assert await client.call("slow") == 7
            else:
                with pytest.raises(UnreachableError, match="went away"):
                    await client.call("slow")

    async def end_later() -> None:
        await trio.testing.wait_all_tasks_blocked()
        done.set()

    monkeypatch.setitem(reading.TABLE, "slow", lambda target, params: work())  # type: ignore[arg-type]
    monkeypatch.setattr(control, "GRACE_S", 60.0 if in_time else 0.0)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, open_control(path, Target(graph)):
            nursery.start_soon(ask)
            await begun.wait()
            if in_time:
                nursery.start_soon(end_later)


async def test_too_many_clients_are_told_so(graph: Graph, path: Path) -> None:
    async with served(graph, path) as client:
        others = [await ControlClient.connect(path) for _ in range(CONTROL_CLIENTS_MAX)]
        with pytest.raises(LocalError, match=f"^{CONTROL_CLIENTS_MAX} clients are connected already") as refused:
            await others[-1].call("heads")
        assert "closed" in refused.value.hint
        await others[0].__aexit__(None, None, None)
        assert await client.call("heads") == []
        for other in others:
            await other.__aexit__(None, None, None)


async def test_whoever_is_one_too_many_is_told_so_also_if_they_ask_late(graph: Graph, path: Path) -> None:
    with trio.fail_after(30):
        async with served(graph, path) as client, AsyncExitStack() as stack:
            for _ in range(CONTROL_CLIENTS_MAX - 1):
                await stack.enter_async_context(await ControlClient.connect(path))
            late = await stack.enter_async_context(await ControlClient.connect(path))
            blocking = stack.enter_context(await trio.to_thread.run_sync(BlockingControlClient, path))
            # Until the node has hung up on both.
            for place in (late._stream.socket.fileno(), blocking._socket.fileno()):  # type: ignore[attr-defined]
                ends = select.poll()
                ends.register(place, 0)
                while not ends.poll(0):
                    await client.call("heads")
            with pytest.raises(LocalError, match="clients are connected already"):
                await late.call("heads")
            with pytest.raises(LocalError, match="clients are connected already"):
                await trio.to_thread.run_sync(partial(blocking.call, "heads"))


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff", encode_frame(b"\xc1"), encode_frame(b"\x01"), b"GET / HTTP/1.1\r\n\r\n"]
)
async def test_a_client_that_sends_nonsense_is_closed_alone(graph: Graph, path: Path, data: bytes) -> None:
    async with served(graph, path) as client:
        async with await trio.open_unix_socket(path) as bad:
            await bad.send_all(data)
            with trio.fail_after(5):
                assert await bad.receive_some(100) == b""
        assert await client.call("heads") == []


async def test_an_answer_that_fits_no_frame_is_an_error(
    graph: Graph, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(reading.TABLE, "huge", lambda target, params: bytes(17 << 20))  # type: ignore[arg-type]
    async with served(graph, path) as client:
        with pytest.raises(LocalError, match="the answer has"):
            await client.call("huge")


async def test_stop_is_answered_before_it_happens(graph: Graph, path: Path) -> None:
    stopped = trio.Event()
    stop: Callable[[], None] = stopped.set
    async with open_control(path, Target(graph, None, stop)):
        async with await ControlClient.connect(path) as client:
            assert await client.call("stop") is None
        with trio.fail_after(5):
            await stopped.wait()


async def test_a_question_that_brings_a_bug_to_light_does_not_end_the_node(
    graph: Graph, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(target: Target, params: object) -> None:
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setitem(reading.TABLE, "digest", stumble)  # type: ignore[arg-type]
    async with served(graph, path) as client:
        with pytest.raises(crdtgraph.CrdtGraphError, match="nobody thought of this"):
            await client.call("digest")
        assert await client.call("refs") == []


@pytest.mark.parametrize("limit", [-1, 1 << 63, (1 << 64) - 1])
async def test_a_limit_out_of_range_is_the_callers_mistake(graph: Graph, path: Path, limit: int) -> None:
    async with served(graph, path) as client:
        with pytest.raises(LocalError, match="limit"):
            await client.call("log", limit=limit)
        assert await client.call("refs") == []
