"""`crdtgraph simulate shrink`: a smaller world that fails in the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simulations.files import read
from simulations.runner import Outcome as World
from simulations.scenario import Scenario
from tests.cli.conftest import CommandLine
from tests.cli.simulate.worlds import never, table
from tests.cli.test_failures import assert_fails


def test_shrink_writes_a_smaller_world_that_fails_in_the_same_way(crdtgraph: CommandLine, tmp_path: Path) -> None:
    shown = crdtgraph("simulate", "shrink", "failing.toml", "--attempts", "12")
    assert (shown.code, shown.err) == (1, "")
    assert shown.out.startswith("failing, seed 3: FAILED: what the scenario expects\nfrom 2 machines, 1 event, 4 s")
    assert "again: crdtgraph simulate run smallest-failing.toml --seed " in shown.out
    smallest = read(tmp_path / "smallest-failing.toml")
    assert smallest.timeline == ()
    assert (tmp_path / "smallest-failing.toml").read_text().startswith("# Breaks the rule: what the scenario expects\n")
    assert crdtgraph("simulate", "run", "smallest-failing.toml").code == 1


def test_shrink_of_a_seed_as_json(crdtgraph: CommandLine, some_seeds_fail: None, tmp_path: Path) -> None:
    shown = crdtgraph("simulate", "shrink", "2", "--to", "small.toml", "--attempts", "5", "-o", "json")
    assert shown.code == 1
    found = table(shown)
    assert set(found) == {"passed", "seed", "rule", "attempts", "before", "after", "file", "again"}
    assert (found["passed"], found["seed"], found["attempts"], found["file"]) == (False, 2, 5, "small.toml")
    after = found["after"]
    assert isinstance(after, dict)
    assert set(after) == {"nodes", "events", "duration_s", "operations"}
    assert after["nodes"] == read(tmp_path / "small.toml").nodes == 1


def test_there_is_nothing_to_shrink_in_what_passes(crdtgraph: CommandLine, tmp_path: Path) -> None:
    shown = crdtgraph("simulate", "shrink", "world.toml")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out == "world, seed 3: passed\nthere is nothing to make smaller\n"
    assert not (tmp_path / "smallest-world.toml").exists()
    found = table(crdtgraph("simulate", "shrink", "world.toml", "-o", "json"))
    assert found == {"passed": True, "seed": 3, "rule": ""}


def test_shrink_takes_the_dice_that_a_scenario_failed_with(crdtgraph: CommandLine, tmp_path: Path) -> None:
    shown = table(crdtgraph("simulate", "shrink", "failing.toml", "--seed", "9", "--attempts", "1", "-o", "json"))
    assert shown["seed"] == 9
    assert read(tmp_path / "smallest-failing.toml").seed >= 9


def test_where_the_smallest_cannot_be_written_nothing_runs(
    crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.running.run", never)
    assert_fails(crdtgraph("simulate", "shrink", "failing.toml", "--to", "no/such.toml"), 3, "no/such.toml")


def test_ctrl_c_while_shrinking_keeps_the_smallest_so_far(
    crdtgraph: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from simulations import shrinking

    real: Callable[..., World] = shrinking.run
    calls: list[Scenario] = []

    def interrupted_later(seed: int, scenario: Scenario, **options: object) -> World:
        calls.append(scenario)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return real(seed, scenario, **options)

    monkeypatch.setattr(shrinking, "run", interrupted_later)
    shown = crdtgraph("simulate", "shrink", "failing.toml")
    assert shown.code == 130
    assert shown.err == "crdtgraph: stopped after 3 attempts; the smallest so far is in smallest-failing.toml\n"
    assert "written to smallest-failing.toml" in shown.out
    assert read(tmp_path / "smallest-failing.toml").timeline == ()
