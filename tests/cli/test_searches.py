"""`crdtgraph searches`: what a node knows of open ones, what a store knows of closed ones, and closing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import crdtgraph as library
from sync.protocol.limits import DEFAULTS

from .conftest import CommandLine
from .searching import searching


@pytest.fixture
def node(tmp_path: Path) -> Iterator[str]:
    with searching(tmp_path / "searcher.db", "move 12", "other") as control:
        yield control


def listed(crdtgraph: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = crdtgraph("searches", *arguments, "-o", "json").json  # type: ignore[assignment]
    return answer


def test_open_searches_are_listed_and_one_is_closed(crdtgraph: CommandLine, node: str) -> None:
    first, second = listed(crdtgraph, "--node", node)
    assert [first["name"], second["name"]] == ["move 12", "other"]
    counts = {key: first[key] for key in ("state", "commits", "live", "pending", "writers", "segments")}
    assert counts == {"state": "open", "commits": 2, "live": 1, "pending": 0, "writers": 1, "segments": 1}
    assert first["bytes"] > 0
    assert first["expires_us"] - first["written_us"] == DEFAULTS.search_expiry_s * 1e6
    assert len(bytes.fromhex(first["digest"])) == 32
    text = crdtgraph("searches", "--node", node).out.splitlines()
    assert text[0].split()[:2] == ["NAME", "COMMITS"]
    assert text[1].startswith("move 12")
    assert text[1].endswith("open")

    done = crdtgraph("searches", "close", "move 12", "--node", node)
    assert (done.code, done.out) == (0, "closed move 12\n")
    assert [each["name"] for each in listed(crdtgraph, "--node", node)] == ["other"]
    with_closed = listed(crdtgraph, "--closed", "--node", node)
    assert [(each["name"], each["state"]) for each in with_closed] == [("other", "open"), ("move 12", "closed")]
    assert with_closed[1]["closed_us"] >= first["written_us"]
    again = crdtgraph("searches", "close", "move 12", "--node", node)
    assert again.code == 3
    assert "no open search" in again.err


def test_a_store_at_rest_knows_those_that_are_over(crdtgraph: CommandLine, tmp_path: Path) -> None:
    store = str(tmp_path / "rest.db")
    with library.open(store) as graph:
        root = graph.commit(message="root", ref="main")
        for name in ("b", "a"):
            with graph.search(name) as search:
                search.commit(parents=[root], message="x")
        graph.search("left open").commit(parents=[root], message="x")
    assert [(each["name"], each["state"]) for each in listed(crdtgraph, "--store", store)] == [
        ("a", "closed"),
        ("b", "closed"),
    ]
    assert "closed" in crdtgraph("searches", "--store", store).out
    refused = crdtgraph("searches", "close", "a", "--store", store)
    assert refused.code != 0
    assert "node" in refused.err
    assert "Traceback" not in refused.err


def test_serve_refuses_times_that_are_none(crdtgraph: CommandLine, tmp_path: Path) -> None:
    for option in ("--search-expiry", "--search-janitor", "--search-batch"):
        assert crdtgraph("serve", "--store", str(tmp_path / "x.db"), option, "0").code == 2
    assert not (tmp_path / "x.db").exists()
