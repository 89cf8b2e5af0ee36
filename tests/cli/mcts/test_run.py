"""`crdtgraph mcts run`: what it finds, how it is named and bounded, and how it is resumed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import crdtgraph as library
from tests.cli.conftest import CommandLine
from tests.cli.mcts.running import run


def test_a_search_finds_the_best_line_and_keeps_it(crdtgraph: CommandLine, folder: Path) -> None:
    found = run(crdtgraph, "games.py:Small", "--budget", "5000", "--promote-to", "best", store="search.db")
    assert found["stop"] == "proven"
    assert found["children"][0]["action"] == "1"
    assert found["children"][0]["proven"] == 1.0
    with library.open("search.db", read_only=True) as graph:
        assert graph.refs["best"].hex() == found["promoted"] == found["line"][-1]["commit"]
        assert graph.get(graph.refs["best"].targets[0]).author == "mcts"
    text = crdtgraph("mcts", "run", "games.py:Small", "--budget", "5000", "--store", "memory:")
    assert text.out.startswith("nim of 7: ")
    assert "best line: 1 " in text.out


def test_equal_seeds_make_equal_trees(crdtgraph: CommandLine, folder: Path) -> None:
    first, again, other = (
        run(crdtgraph, "games.py:Nim", "--budget", "400", "--seed", seed) for seed in ("1", "1", "2")
    )
    for found in (first, again, other):
        del found["seconds"]
    assert first == again != other


def test_the_first_limit_that_is_met_ends_it(crdtgraph: CommandLine, folder: Path) -> None:
    assert run(crdtgraph, "games.py:Nim", "--budget", "100,600s")["stop"] == "iterations"
    assert run(crdtgraph, "games.py:Nim", "--budget", "100000000,50ms")["stop"] == "time"
    settled = run(crdtgraph, "games.py:Nim", "--budget", "100000,600s,stable:8", "--rule", "puct", "--c", "0.01")
    assert settled["stop"] in ("converged", "iterations")


@pytest.mark.parametrize("spec", ["games.py:make", "games.py:instance", "games:Nim", "./games.py:Nim"])
def test_a_problem_is_named_in_several_ways(
    crdtgraph: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch, spec: str
) -> None:
    monkeypatch.delitem(sys.modules, "games", raising=False)
    assert run(crdtgraph, spec, "--budget", "50")["problem"] == "nim of 60"


def test_processes_work_along(crdtgraph: CommandLine, folder: Path) -> None:
    found = run(crdtgraph, "games.py:Nim", "--budget", "300", "--workers", "2")
    assert found["iterations"] >= 300
    assert sum(child["visits"] for child in found["children"]) >= 299


def test_a_search_that_is_not_resumed_begins_with_nothing(crdtgraph: CommandLine, folder: Path) -> None:
    for name in ("one", "two"):
        found = run(crdtgraph, "games.py:Nim", "--search", name, "--budget", "300", store="search.db")
        assert sum(child["visits"] for child in found["children"]) == 299
        ref = ("--promote-to", name)
        run(crdtgraph, "games.py:Nim", "--search", f"{name} kept", "--budget", "300", *ref, store="search.db")


def test_a_search_is_resumed(crdtgraph: CommandLine, folder: Path) -> None:
    first = run(crdtgraph, "games.py:Nim", "--budget", "500", "--promote-to", "best", store="search.db")
    on = run(crdtgraph, "games.py:Nim", "--budget", "100", "--resume", "best", store="search.db")
    assert on["search"] == "games.py:Nim from best"
    assert on["root"] == first["root"]
    line = {child["action"]: child["visits"] for child in on["children"]}
    assert line[first["line"][0]["action"]] > first["line"][0]["visits"] - 1
    wrong = crdtgraph("mcts", "run", "games.py:Small", "--budget", "9", "--resume", "best", "--store", "search.db")
    assert wrong.code == 2
    assert "this problem is" in wrong.err
