"""Workers and nodes of different versions, and answers that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crdtgraph import (
    Graph,
    LocalError,
    RemoteError,
)
from sync.callers import WORKERS_VERSION, Caller
from sync.client import asks
from sync.client.asyncclient import ControlClient
from sync.client.asyncremote import async_greet
from sync.client.blocking import BlockingControlClient
from sync.client.remote import greet
from sync.methods import methods_for_workers
from tests.sync.batches.serving import in_thread, served


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
