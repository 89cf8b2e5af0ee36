"""How `crdtgraph mcts run` ends when something else ends it: a signal, its problem, whoever closes its search."""

from __future__ import annotations

import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PATIENCE_S, CommandLine, Starter
from tests.cli.tree_running import NIM, until_it_grows

LEAVING = (
    NIM
    + """
    left = 300
    def evaluate(self, state, rng):
        self.left -= 1
        if not self.left: raise KeyboardInterrupt
        return super().evaluate(state, rng)

class Made(Nim):
    def __init__(self):
        import multiprocessing
        if multiprocessing.parent_process() is not None: raise KeyboardInterrupt("no")
"""
)
LINE = LEAVING.splitlines().index("        if not self.left: raise KeyboardInterrupt") + 1


@pytest.fixture
def folder(crdtgraph: CommandLine, tmp_path: Path) -> Path:
    (tmp_path / "nim.py").write_text(NIM)
    return tmp_path


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder whose path is short enough for sockets in it."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def test_the_next_search_removes_the_temporary_folders_of_a_killed_one(
    folder: Path, place: Path, start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(place))
    search = ("mcts", "run", "nim.py:Nim", "--store", "memory:", "--workers", "1", "--budget")
    killed = start(*search, "600s")
    killed.wait_for("ready")
    until = time.monotonic() + PATIENCE_S
    while len(left := list(place.iterdir())) < 2:
        assert time.monotonic() < until, left
        time.sleep(0.05)
    killed.end(signal.SIGKILL)
    assert all(each.name.startswith("crdtgraph-") for each in left)
    done = start(*search, "50").end()
    assert done.code == 0, done.err
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_problem_that_raises_what_ctrl_c_raises_fails_like_any_other(
    folder: Path, start: Starter, workers: str
) -> None:
    (folder / "leaving.py").write_text(LEAVING)
    done = start(
        "mcts", "run", "leaving.py:Nim", "--store", "memory:", "--workers", workers, "--budget", "9000", "-o", "json"
    ).end()
    assert done.code == 2
    assert "Traceback" not in done.err
    assert f"the problem raised KeyboardInterrupt, leaving.py line {LINE}" in done.err
    found: Any = done.json
    assert found["stop"] == "failed"
    assert 0 < found["iterations"] < 300


def test_a_worker_that_cannot_make_the_problem_says_why(folder: Path, start: Starter) -> None:
    (folder / "leaving.py").write_text(LEAVING)
    done = start("mcts", "run", "leaving.py:Made", "--store", "memory:", "--workers", "1", "--budget", "900").end()
    assert done.code == 2
    assert "Traceback" not in done.err
    assert "the problem raised KeyboardInterrupt: no, leaving.py line" in done.err


@pytest.mark.parametrize("workers, output", [("0", "text"), ("1", "json")])
def test_a_search_that_is_closed_elsewhere_prints_what_it_had_found(
    crdtgraph: CommandLine, folder: Path, start: Starter, workers: str, output: str
) -> None:
    assert crdtgraph("init", "--store", "search.db").code == 0
    search = start(
        *("mcts", "run", "nim.py:Nim", "--store", "search.db", "--budget", "600s", "--workers", workers),
        *("--promote-to", "best", "-o", output),
    )
    search.wait_for("ready")
    until_it_grows(folder / "search.db/control")
    assert crdtgraph("searches", "close", "nim.py:Nim", "--store", "search.db").code == 0
    done = search.end()
    assert done.code == 2
    assert "search 'nim.py:Nim' was closed elsewhere; nothing was promoted" in done.err
    if output == "text":
        assert "ended: closed\nbest line: " in done.out
        return
    found: Any = done.json
    assert found["stop"] == "closed"
    assert found["line"]
    assert sum(child["visits"] for child in found["children"]) == found["iterations"] - 1 > 0
    assert found["promoted"] is None
