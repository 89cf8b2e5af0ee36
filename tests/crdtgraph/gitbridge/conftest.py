"""An empty repository, and an empty graph to import it into."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crdtgraph.gitbridge.repositories import DictionaryGraph, GitRepository


@pytest.fixture
def repository(tmp_path: Path) -> GitRepository:
    return GitRepository(tmp_path / "repository")


@pytest.fixture
def graph() -> DictionaryGraph:
    return DictionaryGraph()
