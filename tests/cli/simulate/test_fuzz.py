"""`crdtgraph simulate fuzz`: the sum, the first failure, and the same worlds in every process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulations.determinism import Comparison
from simulations.files import read
from simulations.runner import run
from tests.cli.conftest import CommandLine
from tests.cli.simulate.worlds import WORLD_KEYS, table


def test_fuzz_sums_up(crdtgraph: CommandLine) -> None:
    shown = crdtgraph("simulate", "fuzz", "--count", "2", "--start-seed", "5")
    assert (shown.code, shown.err) == (0, "")
    assert re.fullmatch(
        r"2 seeds: 2 passed, 0 failed; [\d.]+ simulated hours in [\d.]+ m?s, [\d.e+]+ seeds/s\n", shown.out
    )


def test_fuzz_stops_at_the_first_failure_with_all_that_it_takes_to_see_it_again(
    crdtgraph: CommandLine, some_seeds_fail: None
) -> None:
    shown = crdtgraph("simulate", "fuzz", "--count", "10")
    assert shown.code == 1
    assert shown.out.startswith("seed 2: FAILED: what the scenario expects\nbroken after ")
    assert "commits_min = 1000000" in shown.out
    assert "again:   crdtgraph simulate replay 2 --trace\nsmaller: crdtgraph simulate shrink 2\n" in shown.out
    assert "3 seeds: 2 passed, 1 failed;" in shown.out
    assert crdtgraph("simulate", "replay", "2").code == 1


def test_fuzz_keeps_going_if_told(crdtgraph: CommandLine, some_seeds_fail: None) -> None:
    shown = crdtgraph("simulate", "fuzz", "--count", "9", "--keep-going")
    assert shown.code == 1
    assert [each for each in range(10) if f"seed {each}: FAILED" in shown.out] == [2, 5, 8]
    assert "9 seeds: 6 passed, 3 failed;" in shown.out


def test_fuzz_as_json(crdtgraph: CommandLine, some_seeds_fail: None, tmp_path: Path) -> None:
    shown = crdtgraph("simulate", "fuzz", "--count", "4", "--keep-going", "-o", "json")
    assert shown.code == 1
    found = table(shown)
    assert set(found) == {"seeds", "passed", "simulated_s", "wall_s", "seeds_per_s", "failed"}
    assert (found["seeds"], found["passed"]) == (4, 3)
    failed = found["failed"]
    assert isinstance(failed, list)
    assert [set(each) for each in failed] == [{*WORLD_KEYS, "toml", "again"}]
    (tmp_path / "drawn.toml").write_text(failed[0]["toml"])
    assert read(tmp_path / "drawn.toml").expect.commits_min == 10**6


def test_fuzz_in_several_processes_runs_the_same_worlds(crdtgraph: CommandLine) -> None:
    found = [
        table(crdtgraph("simulate", "fuzz", "--start-seed", "5", "--count", "3", "--jobs", jobs, "-o", "json"))
        for jobs in ("1", "2")
    ]
    assert found[0]["seeds"] == found[1]["seeds"] == 3
    assert found[0]["simulated_s"] == pytest.approx(found[1]["simulated_s"])


def test_the_same_seeds_are_the_same_runs_in_fresh_processes(crdtgraph: CommandLine) -> None:
    arguments = ("simulate", "fuzz", "--count", "2", "--start-seed", "5", "--verify-determinism", "--jobs", "2")
    found = table(crdtgraph(*arguments, "-o", "json"))
    assert (found["seeds"], found["passed"], found["failed"]) == (2, 2, [])
    assert found["simulated_s"] == pytest.approx(2 * (run(5).simulated_s + run(6).simulated_s))


def test_a_run_that_differs_between_processes_is_a_failure(
    crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def comparisons(seeds: range, **_options: object) -> Iterator[Comparison]:
        yield from (Comparison(seed, ("a" * 64, "ab"[seed % 2] * 64), "", 10.0) for seed in seeds)

    monkeypatch.setattr("simulations.determinism.compare", comparisons)
    shown = crdtgraph("simulate", "fuzz", "--count", "9", "--verify-determinism")
    assert shown.code == 1
    assert shown.out.startswith(
        "seed 1: FAILED: the same seed is the same run in every process\n"
        "see where the runs part:\n"
        "  PYTHONHASHSEED=1 crdtgraph simulate replay 1 --trace > 1.txt   # aaaaaaaaaaaaaaaa\n"
        "  PYTHONHASHSEED=2 crdtgraph simulate replay 1 --trace > 2.txt   # bbbbbbbbbbbbbbbb\n"
        "  diff 1.txt 2.txt | head\n"
    )
    assert "2 seeds: 1 passed, 1 failed;" in shown.out
    document = table(
        crdtgraph("simulate", "fuzz", "--count", "4", "--verify-determinism", "--keep-going", "-o", "json")
    )
    failed = document["failed"]
    assert isinstance(failed, list)
    assert [each["seed"] for each in failed] == [1, 3]
    assert set(failed[0]) == {"seed", "rule", "trace_hashes", "again"}
