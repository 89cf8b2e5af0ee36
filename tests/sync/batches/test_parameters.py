"""Every parameter of a batch is checked, before it travels and where it arrives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crdtgraph import (
    CommitId,
    Draft,
    Graph,
    LocalError,
    NotFoundError,
)
from sync.client import asks
from sync.client.asyncclient import ControlClient
from sync.client.asyncremote import async_greet, async_remote_search
from sync.requests import LocalCaller
from tests.sync.batches.serving import served

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
