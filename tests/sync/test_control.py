"""The control socket: requests and answers, errors across it, and what may lie at its path."""

from __future__ import annotations

import itertools
import os
import socket
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import crdtgraph
from crdtgraph import AmbiguousError, Commit, CommitId, Graph, LocalError, NotFoundError, UnreachableError
from crdtgraph.metering import Meter
from sync import Node, Settings, control
from sync.asyncclient import ControlClient
from sync.client import BlockingControlClient
from sync.control import open_control
from sync.framing import encode_frame
from sync.limits import CHUNK_ENTRIES, CONTROL_CLIENTS_MAX
from sync.methods import Target, methods, reading
from sync.methods.target import REVS_MAX
from sync.plain import error_from_plain, error_to_plain
from sync.requests import LocalCaller
from tests.sync.replicas import grow, replica

SETTINGS = Settings(seed=1, goodbye_timeout_s=0.2)


@pytest.fixture
def graph() -> Iterator[Graph]:
    with replica("a") as opened:
        yield opened


@pytest.fixture
def caller(graph: Graph) -> LocalCaller:
    return LocalCaller(graph)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control"


@asynccontextmanager
async def served(graph: Graph, path: Path) -> AsyncIterator[ControlClient]:
    async with (
        Node(graph, settings=SETTINGS) as node,
        open_control(path, Target(graph, node)),
        await ControlClient.connect(path) as client,
    ):
        yield client


def exists(path: Path) -> bool:
    return path.exists()


# --- the table, in this process


def call(caller: LocalCaller, method: str, **params: Any) -> Any:
    return caller.call(method, **params)


def test_commits_refs_and_states(caller: LocalCaller, graph: Graph) -> None:
    root = call(caller, "commit", message="root", changes={"a": b"1", "b": ["git-blob", b"x" * 20, 5]}, ref="main")
    tip = call(caller, "commit", message="tip", parents=["main"], changes={"a": b"2", "c": None}, ref="main")
    assert call(caller, "resolve", revs=["main", tip.hex()[:10], root]) == [tip, tip, root]
    assert call(caller, "refs") == [{"name": "main", "targets": [tip], "conflicted": False}]
    ((shown,),) = call(caller, "show", revs=["main"])
    assert shown["parents"] == [root]
    assert shown["changes"] == [["a", b"2"], ["c", None]]
    assert [path for part in caller.stream("state", rev="main") for path, _ in part] == ["a", "b"]  # type: ignore[union-attr,misc]
    assert call(caller, "state", rev="main", path="b") == [[["b", ["git-blob", b"x" * 20, 5]]]]
    assert call(caller, "heads") == [tip]
    assert call(caller, "is_ancestor", ancestor=root, descendant="main") is True
    assert call(caller, "merge_base", pairs=[[root, "main"]], all=True) == [[root]]
    assert call(caller, "merge_base", pairs=[[root, "main"]], origins=True) == [[""]]
    call(caller, "set_ref", name="old", target=root)
    call(caller, "delete_ref", name="old")
    call(caller, "set_refs", targets={"one": root, "two": "main"})
    assert [(ref["name"], ref["targets"]) for ref in call(caller, "refs")] == [
        ("main", [tip]),
        ("one", [root]),
        ("two", [tip]),
    ]
    call(caller, "set_refs", targets={"one": tip, "two": root}, force=True)
    assert graph.refs["two"] == root
    for name in ("one", "two"):
        call(caller, "delete_ref", name=name)
    assert list(graph.refs) == ["main"]
    assert call(caller, "shorts", commits=[root]) == [root.hex()[:8]]


def test_many_commits_travel_as_canonical_bytes(caller: LocalCaller, graph: Graph) -> None:
    root = Commit((), "a", 5, "root", (), "git:" + "0" * 40)
    tip = Commit((root.id,), "a", 6, "tip", (), "git:" + "1" * 40)
    assert call(caller, "commit_many", commits=[root.canonical(), tip.canonical()]) == [root.id, tip.id]
    assert call(caller, "known_origins", origins=["git:" + "1" * 40, "git:" + "2" * 40]) == {tip.origin: tip.id}
    assert call(caller, "origins_of", commits=[tip.id, root.id]) == [tip.origin, root.origin]
    assert call(caller, "resolve", revs=["git:11111"]) == [tip.id]
    with pytest.raises(LocalError, match="commit_many"):
        call(caller, "commit_many", commits=[b"nonsense"])


def test_merging_and_conflicts(caller: LocalCaller, graph: Graph) -> None:
    root = graph.commit(changes={"p": b"0"}, ref="main")
    one = graph.commit(parents=[root], changes={"p": b"1"})
    two = graph.commit(parents=[root], changes={"p": b"2"})
    graph.set_ref("main", one)
    graph.set_ref("main", two, keep_others=True)
    (ref,) = call(caller, "refs")
    assert ref["conflicted"]
    preview = call(caller, "merge", ref="main", preview=True)
    merged = call(caller, "merge", ref="main")
    assert preview == merged
    assert [each["path"] for each in merged["conflicts"]] == ["p"]
    assert {merged["conflicts"][0]["ours"], merged["conflicts"][0]["theirs"]} == {b"1", b"2"}
    assert call(caller, "resolve", revs=["main"]) == [merged["commit"]]


def test_merging_by_policies(caller: LocalCaller, graph: Graph) -> None:
    root = graph.commit(changes={"p": b"0"}, ref="main")
    one = graph.commit(parents=[root], changes={"p": b"1"})
    two = graph.commit(parents=[root], changes={"p": b"2"})
    graph.set_ref("main", one)
    graph.set_ref("main", two, keep_others=True)
    call(caller, "merge_policy_set", pattern="*", policy="min")
    call(caller, "merge_policy_set", pattern="p", policy="sum")
    assert call(caller, "merge_policies") == [["p", "sum"], ["*", "min"]]
    preview = call(caller, "merge", ref="main", preview=True)
    assert (preview["conflicts"], preview["settled"]) == ([], [{"path": "p", "policy": "sum", "value": b"3"}])
    call(caller, "merge_policy_set", pattern="p", policy=None)
    assert call(caller, "merge_policies") == [["*", "min"]]
    merged = call(caller, "merge", ref="main", policies={"p": "max"})
    assert merged["settled"] == [{"path": "p", "policy": "max", "value": b"2"}]
    assert graph.state(merged["commit"]) == {"p": b"2"}


@pytest.mark.parametrize(
    "method, params",
    [
        ("merge", {"ref": "main", "policies": {"p": 3}}),
        ("merge", {"ref": "main", "policies": {"p": None}}),
        ("merge", {"ref": "main", "policies": [["p", "max"]]}),
        ("merge", {"ref": "main", "policies": "max"}),
        ("merge", {"ref": "main", "policies": {f"p{number}": "max" for number in range(REVS_MAX + 1)}}),
        ("merge", {"ref": "main", "policies": {"p": "most"}}),
        ("merge", {"ref": "main", "policies": {"[": "max"}}),
        ("merge_policy_set", {"pattern": "p", "policy": "most"}),
        ("merge_policy_set", {"pattern": "", "policy": "max"}),
        ("merge_policy_set", {"policy": "max"}),
        ("merge_policy_set", {"pattern": "p"}),
        ("merge_policies", {"pattern": "p"}),
    ],
)
def test_policies_that_are_wrong_are_refused(caller: LocalCaller, graph: Graph, method: str, params: Any) -> None:
    graph.commit(ref="main")
    before = graph.digest()
    with pytest.raises(LocalError):
        call(caller, method, **params)
    assert graph.digest() == before


async def test_a_policy_set_through_a_node_is_durable_when_it_is_answered(graph: Graph, path: Path) -> None:
    async with served(graph, path) as client:
        await client.call("merge_policy_set", pattern="scores/*", policy="max")
        assert graph.durable_up_to() >= max(each.stamp for each in graph._planes["ledger"].projection.registers)
        assert await client.call("merge_policies") == [["scores/*", "max"]]


def test_status_digest_meta_pending_flush(caller: LocalCaller, graph: Graph) -> None:
    commit = graph.commit(message="x")
    status = call(caller, "status")
    assert status["node"] is None
    assert status["graph"]["commits"] == 1
    assert call(caller, "digest")["digest"] == graph.digest()
    call(caller, "meta_set", key="k", value=b"v")
    call(caller, "meta_set", key="k", value=b"w", commit=commit)
    assert call(caller, "meta_get") == {"k": b"v"}
    assert call(caller, "meta_get", commit=commit) == {"k": b"w"}
    call(caller, "meta_set", key="k", value=None)
    assert call(caller, "meta_get") == {}
    assert call(caller, "pending") == []
    call(caller, "flush")
    assert graph.flush_due() is None
    assert call(caller, "compact") in (True, False)
    assert all(not finding["problem"] for finding in call(caller, "fsck"))


def test_log_is_cut_into_parts_newest_first(caller: LocalCaller, graph: Graph) -> None:
    parents: list[CommitId] = []
    for number in range(CHUNK_ENTRIES + 5):
        parents = [graph.commit(parents=parents, message=str(number))]
    parts: list[Any] = list(caller.stream("log"))
    # The first part is small, so that the first lines are there at once.
    assert [len(part) for part in parts] == [64, 128, 256, 512, CHUNK_ENTRIES + 5 - 960]
    assert parts[0][0]["message"] == str(CHUNK_ENTRIES + 4)
    (few,) = call(caller, "log", limit=2, revs=[parents[0]])
    assert [each["message"] for each in few] == [str(CHUNK_ENTRIES + 4), str(CHUNK_ENTRIES + 3)]


def test_large_contents_are_cut_by_size(caller: LocalCaller, graph: Graph) -> None:
    for number in range(6):
        graph.commit(changes={f"p{number}/{each:02}": os.urandom(16_000) for each in range(25)}, ref="main")
    parts: list[Any] = list(caller.stream("log"))
    assert [len(part) for part in parts] == [3, 3]
    parts = list(caller.stream("state", rev="main"))
    assert [len(part) for part in parts] == [66, 66, 18]


def test_deltas_rebuild_the_graph_elsewhere(caller: LocalCaller, graph: Graph) -> None:
    grow(graph, 3)
    other = replica("b")
    parts: list[Any] = list(caller.stream("deltas"))
    for part in parts:
        other.receive("ledger", part["update"])
    assert parts[-1]["last"]
    assert other.digest() == graph.digest()
    flat = [number for pair in sorted(graph.state_vector("ledger").items()) for number in pair]
    (nothing,) = call(caller, "deltas", state_vector=flat)
    assert nothing["base"] == []


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("nonsense", {}, NotFoundError, "no method 'nonsense'"),
    ("status", {"x": 1}, LocalError, "no parameter x"),
    ("resolve", {}, LocalError, "'revs' must be a list, not nothing"),
    ("resolve", {"revs": [5]}, LocalError, "must be a commit"),
    ("resolve", {"revs": [b"short"]}, LocalError, "must be a commit"),
    ("resolve", {"revs": ["nobody"]}, NotFoundError, "nobody"),
    ("log", {"limit": "x"}, LocalError, "'limit' must be an integer, not 'x'"),
    ("commit", {"changes": {"p": 5}}, LocalError, "no value of a path"),
    ("commit", {"durability": "maybe"}, LocalError, "no durability"),
    ("commit", {"parents": [b"p" * 32]}, LocalError, "parent"),
    ("commit_many", {"commits": ["text"]}, LocalError, "list of byte strings"),
    ("set_ref", {"name": "r", "target": "main", "force": 1}, LocalError, "'force' must be true or false"),
    ("set_refs", {"targets": {"r": 5}}, LocalError, "must be a commit"),
    ("set_refs", {"targets": {"r": "nobody"}}, NotFoundError, "nobody"),
    ("merge", {"ref": "none"}, NotFoundError, "none"),
    ("merge_base", {"pairs": [["a"]]}, LocalError, "list of pairs"),
    ("deltas", {"state_vector": [1]}, LocalError, "state vector"),
    ("deltas", {"plane": "nowhere"}, crdtgraph.CrdtGraphError, "nowhere"),
    ("peers", {}, LocalError, "no node is running"),
    ("metrics", {}, LocalError, "no node is running"),
    ("metrics", {"x": 1}, LocalError, "no parameter x"),
    ("exposition", {}, LocalError, "no node is running"),
    ("stop", {}, LocalError, "nothing is running"),
    ("wait_for_digest", {"digest": b""}, LocalError, "needs a running node"),
]


@pytest.mark.parametrize("method, params, kind, text", WRONG, ids=[f"{each[0]} {each[1]}"[:40] for each in WRONG])
def test_wrong_requests(
    caller: LocalCaller, method: str, params: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        call(caller, method, **params)


def test_a_missing_path_is_said(caller: LocalCaller, graph: Graph) -> None:
    graph.commit(changes={"p": b"1"}, ref="main")
    with pytest.raises(NotFoundError, match="no path 'q' at main"):
        call(caller, "state", rev="main", path="q")


def test_every_exported_error_crosses_as_itself() -> None:
    for kind in vars(crdtgraph).values():
        if isinstance(kind, type) and issubclass(kind, crdtgraph.CrdtGraphError):
            crossed = error_from_plain(error_to_plain(kind("what", "hint")))
            assert (type(crossed), crossed.message, crossed.hint) == (kind, "what", "hint")

    class LocalSpecial(AmbiguousError):
        pass

    assert type(error_from_plain(error_to_plain(LocalSpecial("x")))) is AmbiguousError
    assert type(error_from_plain(["Unheard", "of", ""])) is crdtgraph.CrdtGraphError
    assert "cannot be read" in error_from_plain(5).message


def test_no_two_methods_have_one_name() -> None:
    assert len(set(methods())) == len(methods())


def test_every_method_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
    assert [method for method in methods() if f"`{method}`" not in page] == []


# --- over the socket


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


async def test_the_socket_is_private_and_removed(graph: Graph, path: Path) -> None:
    async with served(graph, path):
        mode = os.stat(path).st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    assert not exists(path)


async def test_a_stale_socket_of_a_dead_process_is_replaced(graph: Graph, path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert exists(path)
    async with served(graph, path) as client:
        assert await client.call("heads") == []


async def test_a_live_socket_is_respected(graph: Graph, path: Path) -> None:
    async with served(graph, path) as client:
        with pytest.raises(LocalError, match="a running node has its control socket"):
            async with open_control(path, Target(graph)):
                pass
        assert await client.call("heads") == []


def test_a_file_that_is_no_socket_is_left_alone(graph: Graph, path: Path) -> None:
    async def serve() -> None:
        async with open_control(path, Target(graph)):
            pass

    path.write_text("precious")
    with pytest.raises(LocalError, match="is no socket"):
        trio.run(serve)
    assert path.read_text() == "precious"


async def test_a_path_that_is_too_long(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="at most 107 bytes"):
        async with open_control(tmp_path / ("x" * 107), Target(graph)):
            pass


async def test_nobody_there(path: Path) -> None:
    with pytest.raises(UnreachableError, match="no node answers"):
        await ControlClient.connect(path)
    with pytest.raises(UnreachableError, match="no node answers"):
        BlockingControlClient(path)


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
        with pytest.raises(LocalError, match="clients are connected already"):
            await others[-1].call("heads")
        await others[0].__aexit__(None, None, None)
        assert await client.call("heads") == []
        for other in others:
            await other.__aexit__(None, None, None)


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
