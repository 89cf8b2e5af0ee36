"""`crdtgraph mcts run` beside a node: what becomes of the search and the line when the node dies, or somebody errs."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from .conftest import PATIENCE_S, CommandLine, Process, Starter

PROBLEMS = """
from crdtgraph.mcts import RandomRollouts

class Nim(RandomRollouts):
    players = 2
    def initial(self): return (60, 0)
    def actions(self, state): return range(1, 1 + min(5, state[0]))
    def apply(self, state, action): return (state[0] - action, 1 - state[1])
    def player(self, state): return state[1]
    def reward(self, state): return 1.0 if state[1] == 1 else -1.0

class Other(Nim):
    pass
"""


@pytest.fixture
def beside(tmp_path: Path, crdtgraph: CommandLine, node: Process, start: Starter) -> Process:
    """A search beside a node that has a disk, once the node has heard of it."""
    (tmp_path / "games.py").write_text(PROBLEMS)
    process = start("mcts", "run", "games.py:Nim", "--search", "s", "--budget", "600s", "-o", "json", "--node",
                    "search.db/control", "--promote-to", "best")  # fmt: skip
    process.wait_for("ready")
    visits_of(crdtgraph, at_least=100)
    return process


def visits_of(crdtgraph: CommandLine, at_least: int) -> int:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        done = crdtgraph("mcts", "tree", "s", "--depth", "0", "--node", "search.db/control", "-o", "json")
        if done.code == 0:
            assert ".Other" not in done.json["problem"]  # type: ignore[index, call-overload, operator]
            visits: int = done.json["nodes"][0]["visits"]  # type: ignore[index, call-overload, assignment]
            if visits >= at_least:
                return visits
        assert time.monotonic() < deadline, done.err + done.out


@pytest.mark.slow
def test_the_line_goes_to_the_node(crdtgraph: CommandLine, beside: Process) -> None:
    ended = beside.end(signal.SIGINT)
    assert ended.code == 130, ended.err
    refs = crdtgraph("refs", "--node", "search.db/control", "-o", "json")
    assert ended.json["promoted"] in refs.out  # type: ignore[index, call-overload]


def test_a_line_that_nobody_has_taken_is_not_said_to_be_kept(node: Process, beside: Process) -> None:
    node.end(signal.SIGKILL)
    ended = beside.end(signal.SIGINT)
    assert ended.code == 4, ended.err
    assert "'best' is nowhere" in ended.err
    assert ended.json["promoted"] is None  # type: ignore[index, call-overload]
    assert ended.json["line"]  # type: ignore[index, call-overload]


@pytest.mark.slow
def test_who_comes_with_another_problem_ends_nobodys_search(crdtgraph: CommandLine, beside: Process) -> None:
    other = crdtgraph(
        "mcts", "run", "games.py:Other", "--search", "s", "--budget", "60s", "--node", "search.db/control"
    )
    assert other.code == 2
    assert "is about" in other.err
    before = visits_of(crdtgraph, 1)
    visits_of(crdtgraph, before + 100)
    assert beside.end(signal.SIGINT).code == 130
