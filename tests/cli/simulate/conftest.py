"""Scenario files in the folder of every test, and seeds of which every third fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulations.scenario import Expectation, Scenario, Workload
from tests.cli.simulate.worlds import FAILING, LONG, WORLD


@pytest.fixture(autouse=True)
def _worlds(tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(WORLD)
    (tmp_path / "failing.toml").write_text(FAILING)
    (tmp_path / "long.toml").write_text(LONG)


@pytest.fixture
def some_seeds_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every third seed draws a world that expects what cannot be; the others are small."""

    def draw_small(seed: int) -> Scenario:
        expect = Expectation(commits_min=10**6 if seed % 3 == 2 else 0)
        return Scenario(
            name=f"seed {seed}", seed=seed, nodes=2, duration_s=2, workload=Workload(bursts=0.0), expect=expect
        )

    for place in ("simulations.runner.draw", "simulations.swarm.draw"):
        monkeypatch.setattr(place, draw_small)
