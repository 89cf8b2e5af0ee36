"""A folder with problems, good and bad, and a store."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.cli.mcts.running import PROBLEMS


@pytest.fixture
def folder(crdtgraph: CommandLine, tmp_path: Path) -> Path:
    (tmp_path / "games.py").write_text(PROBLEMS)
    (tmp_path / "broken.py").write_text("\n1 / 0\n")
    (tmp_path / "unreadable.py").write_text("def :\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    assert crdtgraph("init", "--store", "search.db").code == 0
    return tmp_path


@pytest.fixture(autouse=True)
def _no_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
