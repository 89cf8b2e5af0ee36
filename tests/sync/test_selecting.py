"""Revsets through the table of methods: listings in parts, single commits, and errors that arrive with their place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

import crdtgraph
from crdtgraph import AmbiguousError, CommitId, Graph, LocalError, NotFoundError
from crdtgraph.asof import as_of
from crdtgraph.revsets import sets
from sync import Node, Settings
from sync.client.blocking import BlockingControlClient
from sync.control import open_control
from sync.methods import Target
from sync.requests import LocalCaller
from tests.sync.replicas import replica


@pytest.fixture
def graph() -> Iterator[Graph]:
    with replica("a") as opened:
        root = opened.commit(message="root", changes={"a": b"1"})
        left = opened.commit(parents=[root], message="left", author="w3", changes={"a": b"2"})
        right = opened.commit(parents=[root], message="right", changes={"b": b"3"}, ref="side")
        opened.commit(parents=[left, right], message="merge", ref="main")
        yield opened


@pytest.fixture
def caller(graph: Graph) -> LocalCaller:
    return LocalCaller(graph)


def messages(graph: Graph, parts: Iterator[Any]) -> list[str]:
    return [graph.get(CommitId(each)).message for part in parts for each in part]


def test_what_revsets_select_comes_in_order(caller: LocalCaller, graph: Graph) -> None:
    def selected(*revsets: str, **params: Any) -> list[str]:
        return messages(graph, caller.stream("revset", revsets=list(revsets), **params))

    assert selected("all()") == ["merge", "right", "left", "root"]
    assert selected("main-", "main") == ["merge", "right", "left"]
    assert selected("main", limit=2) == ["merge"]
    assert selected("main", with_history=True, limit=3) == ["merge", "right", "left"]
    assert selected("side..main") == ["merge", "left"]
    assert selected("all()", limit=0) == []
    assert selected() == []


def test_parts_are_bounded_and_long_work_sends_empty_ones(
    caller: LocalCaller, graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sets, "STEP_READS", 1)
    parts = list(caller.stream("revset", revsets=["heads(~author(nobody))"]))
    assert parts.count([]) >= 4
    assert messages(graph, iter(parts)) == ["merge"]
    parts = list(caller.stream("log", revs=["author(w3)"]))
    assert [each["message"] for part in parts for each in part] == ["left"]  # type: ignore[union-attr,index,call-overload]
    assert parts.count([]) >= 4


def test_a_listing_of_many_commits_comes_in_parts_of_at_most_a_thousand(caller: LocalCaller, graph: Graph) -> None:
    for number in range(5_000):
        graph.commit(message=str(number), parents=[])
    parts: list[Any] = list(caller.stream("revset", revsets=["all()"]))
    assert max(len(part) for part in parts) == 1_000
    assert sum(len(part) for part in parts) == 5_004
    parts = list(caller.stream("log"))
    assert max(len(part) for part in parts) <= 1_000
    assert sum(len(part) for part in parts) == 5_004


def test_log_takes_revsets_and_a_name_for_its_history(caller: LocalCaller, graph: Graph) -> None:
    def logged(*revs: str | CommitId, **params: Any) -> list[str]:
        parts: Iterator[Any] = caller.stream("log", revs=list(revs), **params)
        return [each["message"] for part in parts for each in part]

    assert logged("side") == logged(graph.refs["side"].targets[0]) == ["right", "root"]
    assert logged("main-") == ["right", "left"]
    assert logged("main-", "side") == ["right", "left", "root"]
    assert logged("main", limit=1) == ["merge"]
    assert logged("author(w3)") == ["left"]


def test_wherever_one_commit_is_asked_for_a_revset_names_it(caller: LocalCaller, graph: Graph) -> None:
    def call(method: str, **params: Any) -> Any:
        return caller.call(method, **params)

    left = next(each for each in graph.parents(graph.refs["main"]) if graph.get(each).author == "w3")
    root = graph.roots()[0]
    rev = "::main & author(w3)"
    assert call("resolve", revs=[rev, "roots()"]) == [left, root]
    assert [part[0]["message"] for part in caller.stream("show", revs=[rev])] == ["left"]  # type: ignore[index,call-overload]
    assert call("state", rev=rev, path="a") == [[["a", b"2"]]]
    assert call("diff", before="roots()", after=rev) == [[["a", b"1", b"2"]]]
    assert call("merge_base", pairs=[["heads(main-) & author(w3)", "side"]]) == [[root]]
    assert call("is_ancestor", ancestor="roots()", descendant="merges()") is True
    call("set_ref", name="new", target=rev)
    assert graph.refs["new"] == left
    call("meta_set", key="k", value=b"v", commit="roots()")
    assert call("meta_get", commit="roots()") == {"k": b"v"}
    made = call("commit", parents=["heads(main-) & author(w3)"], message="child", changes={})
    assert graph.parents(CommitId(made)) == (left,)


@pytest.mark.parametrize(
    "rev, error, message",
    [
        ("main |", LocalError, "column 7"),
        ("main-", AmbiguousError, "selects several"),
        ("none()", NotFoundError, "selects no commit"),
        ("main & mian", NotFoundError, "column 8: 'mian' names no commit"),
        ("since(x)", LocalError, "'x' is no time"),
    ],
)
def test_errors_say_what_is_wrong_with_the_revset(
    caller: LocalCaller, rev: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        caller.call("resolve", revs=[rev])
    if "selects" not in message:
        with pytest.raises(error, match=message):
            list(caller.stream("log", revs=[rev]))


async def test_an_error_keeps_its_hint_with_the_caret_across_the_socket(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "control"

    def ask() -> tuple[list[str], LocalError]:
        with BlockingControlClient(path) as client:
            ids = messages(graph, client.stream("revset", revsets=["side..main"]))
            with pytest.raises(LocalError) as caught:
                client.call("resolve", revs=["main | hed()"])
            return ids, caught.value

    settings = Settings(seed=1, goodbye_timeout_s=0.2)
    async with Node(graph, settings=settings) as node, open_control(path, Target(graph, node)):
        found, error = await trio.to_thread.run_sync(ask)
    assert found == ["merge", "left"]
    assert error.message == "revset, column 8: there is no function 'hed'"
    assert error.hint.endswith("\n  main | hed()\n         ^")


def test_durations_count_back_from_the_time_of_a_view(graph: Graph) -> None:
    now = 1_700_000_000_000_000
    clock = crdtgraph.Host(lambda: now, crdtgraph.SYSTEM.random_bytes)
    with crdtgraph.open("memory:", host=clock) as opened:
        opened.commit(message="first")
        now += 3_600_000_000
        opened.commit(message="second")
        now += 3_600_000_000
        view = as_of(opened, "30m ago")
        asked = LocalCaller(opened, view)
        assert messages(opened, asked.stream("revset", revsets=["since(45m)"])) == ["second"]
        assert messages(opened, LocalCaller(opened).stream("revset", revsets=["since(45m)"])) == []
        assert asked.call("digest") == {"plane": "ledger", "digest": view.digest(), "set_digest": None}
