"""How `crdtgraph mcts run` ends when something else ends it: a signal, its problem, whoever closes its search."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from .conftest import PATIENCE_S, CommandLine, Starter
from .tree_running import NIM


@pytest.fixture
def folder(crdtgraph: CommandLine, tmp_path: Path) -> Path:
    (tmp_path / "nim.py").write_text(NIM)
    return tmp_path


def test_the_next_search_removes_the_temporary_folders_of_a_killed_one(
    folder: Path, start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = folder / "temporary"
    place.mkdir()
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
