"""Branches of a node's graph that processes without a replica work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from crdtgraph import CommitId, Graph, LocalError, MergeConflictError, NotFoundError, RemoteError
from crdtgraph.records import Reference, Value
from sync import (
    AsyncRemoteBranch,
    BlockingControlClient,
    ControlClient,
    LocalCaller,
    Node,
    RemoteBranch,
    Settings,
    open_control,
)
from sync.methods import Target
from sync.protocol.calls import Plain
from tests.sync.replicas import replica

NAME = "agents/planner/fix-17"
WRITERS = 50


@pytest.fixture
def graph() -> Iterator[Graph]:
    with replica("a") as opened:
        opened.commit(message="start", changes={"readme": b"hello", "score": b"1"}, ref="main")
        yield opened


@pytest.fixture
def node(graph: Graph) -> LocalCaller:
    return LocalCaller(graph)


def main(graph: Graph) -> CommitId:
    return graph.refs.require("main").targets[0]


def test_a_branch_is_worked_on_and_merged_at_the_end(graph: Graph, node: LocalCaller) -> None:
    start = main(graph)
    large = Reference("git-blob", b"x" * 20, 5)
    with RemoteBranch(node, NAME, author="planner") as branch:
        assert branch.head == start
        first = branch.commit(changes={"a": b"1", "large": large}, message="one")
        second = branch.commit(changes={"readme": None}, author="other", time=7)
        assert graph.parents(second) == (first,)
        assert [graph.get(each).author for each in (first, second)] == ["planner", "other"]
        assert branch.state() == {"score": b"1", "a": b"1", "large": large}
        assert graph.refs[NAME] == second
    assert main(graph) == second
    assert NAME not in graph.refs


def test_an_error_leaves_it_and_says_so(graph: Graph, node: LocalCaller) -> None:
    branch = RemoteBranch(node, NAME)
    made = branch.commit(changes={"a": b"1"})
    with pytest.raises(ZeroDivisionError) as raised, branch:
        raise ZeroDivisionError("x")
    assert f"our part of it is at {made.hex()[:12]}" in raised.value.__notes__[0]
    with RemoteBranch(node, NAME, keep=True) as again:
        assert again.head == made
    assert main(graph) == made == graph.refs[NAME]


def test_update_merge_and_conflicts(graph: Graph, node: LocalCaller) -> None:
    branch = RemoteBranch(node, NAME)
    branch.commit(changes={"score": b"5"})
    graph.commit(changes={"score": b"7", "theirs": b"1"}, ref="main")
    before = graph.digest()
    for refused in (branch.merge, branch.update):
        with pytest.raises(MergeConflictError) as raised:
            refused()
        assert [(each.path, each.base) for each in raised.value.conflicts] == [("score", b"1")]
    left = branch.merge(on_conflict="leave")
    assert (left.merged, len(left.conflicts)) == (False, 1)
    assert graph.digest() == before
    assert branch.update(on_conflict="winner").merged
    assert branch.state()["theirs"] == b"1"
    last = branch.commit(changes={"score": b"6"})
    assert branch.merge().commit == last == main(graph)
    with RemoteBranch(node, "agents/b", policies={"score": "max"}) as other:
        other.commit(changes={"score": b"9"})
        graph.commit(changes={"score": b"10"}, ref="main")
    assert other.result is not None
    assert [each.policy for each in other.result.settled] == ["max"]
    assert graph.state(main(graph))["score"] == b"10"


def test_what_is_wrong_is_said(graph: Graph, node: LocalCaller) -> None:
    with pytest.raises(LocalError, match="into itself"):
        RemoteBranch(node, "main")
    with pytest.raises(LocalError, match="on_conflict"):
        RemoteBranch(node, NAME, on_conflict="panic")
    with pytest.raises(NotFoundError, match="nowhere to start"):
        RemoteBranch(node, NAME, from_="nothing")
    assert NAME not in graph.refs
    branch = RemoteBranch(node, NAME, from_=None, into=None)
    assert branch.state() == {}
    with pytest.raises(LocalError, match="no other ref"):
        branch.merge()
    with pytest.raises(LocalError, match="nothing to take in"):
        branch.update()
    with pytest.raises(NotFoundError):
        branch.merge("main")
    with pytest.raises(NotFoundError):
        RemoteBranch(node, NAME, from_=None, policies={"x": "best"}).merge()


MERGED: dict[str, Plain] = {"commit": b"x" * 32, "parents": [], "merged": True, "conflicts": [], "settled": []}


@pytest.mark.parametrize(
    "method, answer",
    [
        ("branch_open", 7),
        ("branch_open", b"short"),
        ("branch_commit", None),
        ("state", [["x"]]),
        ("branch_merge", None),
        *(("branch_merge", MERGED | {key: wrong}) for key in MERGED for wrong in (None, [7])),
    ],
)
def test_a_node_that_answers_nonsense(method: str, answer: Plain) -> None:
    class Strange:
        def call(self, called: str, **params: Plain) -> Plain:
            return answer if called == method else b"x" * 32

    def work() -> None:
        branch = RemoteBranch(Strange(), NAME)
        branch.commit()
        branch.state()
        branch.merge()

    with pytest.raises(RemoteError):
        work()


def test_two_clients_on_one_name_follow_each_other(graph: Graph, node: LocalCaller) -> None:
    one, other = RemoteBranch(node, NAME), RemoteBranch(node, NAME)
    first = one.commit(changes={"a": b"1"})
    second = other.commit(changes={"a": b"2"})
    third = one.commit(changes={"a": b"3"})
    assert (graph.parents(second), graph.parents(third)) == ((first,), (second,))
    with one:
        pass
    with other:
        pass
    assert main(graph) == third


def test_branches_are_listed(graph: Graph, node: LocalCaller) -> None:
    branch = RemoteBranch(node, NAME, author="planner")
    tip = branch.commit(message="one\ntwo", time=7)
    assert node.call("branches", prefix="agents/") == [
        {"name": NAME, "targets": [tip], "ahead": 1, "behind": 0, "author": "planner", "time": 7, "title": "one"}
    ]
    assert node.call("branches", prefix="x") == []


async def test_under_trio_it_is_the_same(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "control"
    async with (
        Node(graph, settings=Settings(seed=1, goodbye_timeout_s=0.2)) as node,
        open_control(path, Target(graph, node)),
        await ControlClient.connect(path) as client,
    ):
        async with AsyncRemoteBranch(client, NAME, author="planner", keep=True) as branch:
            assert branch.name == NAME
            made = await branch.commit(changes={"score": b"2"})
            assert branch.head == made
            assert await branch.state() == {"readme": b"hello", "score": b"2"}
        assert main(graph) == made == graph.refs[NAME]
        assert branch.result is not None
        graph.commit(changes={"score": b"3"}, ref="main")
        await branch.commit(changes={"score": b"4"})
        with pytest.raises(MergeConflictError):
            await branch.merge()
        assert (await branch.update(on_conflict="winner")).merged
        last = await branch.commit(changes={"score": b"5"})
        assert (await branch.merge()).commit == last
        with trio.CancelScope() as scope:
            async with AsyncRemoteBranch(client, "agents/cancelled") as cancelled:
                await cancelled.commit(changes={"x": b"1"})
                scope.cancel()
                await trio.sleep_forever()
        assert graph.refs["agents/cancelled"] == cancelled.head
        assert main(graph) == last


async def test_fifty_clients_of_one_node_lose_nothing(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "control"

    def work(number: int) -> Callable[[], None]:
        def run() -> None:
            with BlockingControlClient(path) as client, RemoteBranch(client, f"agents/w{number}/task") as branch:
                for step in range(3):
                    branch.commit(changes={f"w{number}/{step}": b"%d" % step})

        return run

    limiter = trio.CapacityLimiter(WRITERS)
    with trio.fail_after(60):
        async with (
            Node(graph, settings=Settings(seed=1, goodbye_timeout_s=0.2)) as node,
            open_control(path, Target(graph, node)),
            trio.open_nursery() as nursery,
        ):
            for number in range(WRITERS):
                nursery.start_soon(lambda each: trio.to_thread.run_sync(each, limiter=limiter), work(number))
    expected: dict[str, Value] = {f"w{number}/{step}": b"%d" % step for number in range(WRITERS) for step in range(3)}
    assert len(graph.refs["main"].targets) == 1
    assert expected.items() <= dict(graph.state(main(graph))).items()
    assert graph.branches("agents/") == []
    assert len(graph.ancestors(main(graph))) >= 3 * WRITERS
