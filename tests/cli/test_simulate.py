"""`crdtgraph simulate`: what it prints, what it writes, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from simulations.determinism import Comparison
from simulations.files import read, shipped
from simulations.page.paper import seconds
from simulations.runner import Outcome as World
from simulations.runner import run
from simulations.scenario import Expectation, Scenario, Workload

from .conftest import ROOT, CommandLine, Outcome, Starter
from .test_failures import assert_fails

WORLD = """
about = "Two machines, cut in two for a second."
nodes = 2
duration_s = 4
seed = 3

[[timeline]]
event = "partition"
at_s = 1
for_s = 1
groups = [["n0"], ["n1"]]
"""
FAILING = WORLD + "\n[expect]\ncommits_min = 1000000\n"
LONG = "nodes = 5\nduration_s = 20000\n"
WORLD_KEYS = {
    "scenario", "seed", "passed", "rule", "failure", "nodes", "topology", "events", "commits", "lost", "pending",
    "conflicts", "bytes_sent", "duration_s", "simulated_s", "converged_after_s", "wall_s", "trace_hash",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _worlds(tmp_path: Path) -> None:
    (tmp_path / "world.toml").write_text(WORLD)
    (tmp_path / "failing.toml").write_text(FAILING)
    (tmp_path / "long.toml").write_text(LONG)


def table(outcome: Outcome) -> dict[str, object]:
    found = outcome.json
    assert isinstance(found, dict)
    return found


def title(page: Path) -> str:
    root = ElementTree.fromstring(page.read_text())
    return "".join(next(each for each in root.iter() if each.tag.endswith("title")).itertext())


# run


def test_run_prints_the_verdict_the_numbers_and_the_heals(crdtgraph: CommandLine) -> None:
    shown = crdtgraph("simulate", "run", "world.toml")
    assert (shown.code, shown.err) == (0, "")
    expected = run(3, read("world.toml"), observe=True)
    lines = shown.out.splitlines()
    assert lines[:2] == ["world, seed 3: passed", "Two machines, cut in two for a second."]
    assert f"commits    {expected.commits} written, {expected.lost} lost, {expected.pending} pending" in lines
    assert f"events     {expected.events:,}" in lines
    assert f"trace      {expected.trace_hash}" in lines
    assert expected.seen is not None
    for heal in expected.seen.heals:
        assert heal.agreed_after_s is not None
        assert re.search(rf"at {seconds(heal.at_s)} +{heal.what} +{seconds(heal.agreed_after_s)} ", shown.out)


def test_run_as_json(crdtgraph: CommandLine) -> None:
    shown = table(crdtgraph("simulate", "run", "world.toml", "--seed", "7", "-o", "json"))
    assert set(shown) == {*WORLD_KEYS, "heals", "again"}
    expected = run(7, read("world.toml"))
    assert (shown["scenario"], shown["seed"], shown["passed"], shown["rule"]) == ("world", 7, True, "")
    assert (shown["trace_hash"], shown["commits"]) == (expected.trace_hash, expected.commits)
    assert shown["again"] == "crdtgraph simulate run world.toml --seed 7"
    heals = shown["heals"]
    assert isinstance(heals, list)
    assert [set(heal) for heal in heals] == [{"what", "at_s", "agreed_after_s", "bytes"}] * 2
    assert [(heal["what"], heal["at_s"]) for heal in heals] == [("partition", 2.0), ("the end of all faults", 4.0)]


def test_a_broken_rule_is_exit_code_1_and_says_what_and_how_to_see_it_again(crdtgraph: CommandLine) -> None:
    shown = crdtgraph("simulate", "run", "failing.toml")
    assert (shown.code, shown.err) == (1, "")
    assert "failing, seed 3: FAILED: what the scenario expects" in shown.out
    assert "at least 1000000 were expected" in shown.out
    assert "agreement  not reached" in shown.out
    assert shown.out.endswith(
        "\nagain:   crdtgraph simulate run failing.toml --seed 3"
        "\nsmaller: crdtgraph simulate shrink failing.toml --seed 3\n"
    )
    document = crdtgraph("simulate", "run", "failing.toml", "-o", "json")
    assert document.code == 1
    found = table(document)
    assert (found["passed"], found["rule"], found["converged_after_s"]) == (False, "what the scenario expects", None)


def test_a_shipped_scenario_is_run_by_its_name(crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    name, scenario = min(shipped().items(), key=lambda item: item[1].duration_s * item[1].nodes)
    shown = table(crdtgraph("simulate", "run", name, "-o", "json"))
    assert (shown["scenario"], shown["seed"], shown["passed"]) == (name, scenario.seed, True)


def test_the_report_is_a_page_about_this_run(crdtgraph: CommandLine, tmp_path: Path) -> None:
    assert crdtgraph("simulate", "run", "world.toml", "--report", "world.html").code == 0
    assert title(tmp_path / "world.html") == "world: passed"
    assert "crdtgraph simulate run world.toml --seed 3" in (tmp_path / "world.html").read_text()
    assert crdtgraph("simulate", "run", "failing.toml", "--report", "world.html").code == 1
    assert title(tmp_path / "world.html") == "failing: failed"


def never(*_arguments: object, **_options: object) -> World:
    raise AssertionError("nothing may run")


@pytest.mark.parametrize("arguments", [["run", "world.toml"], ["replay", "5"]])
def test_a_report_that_cannot_be_written_is_known_before_the_run(
    crdtgraph: CommandLine, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.running.run", never)
    missing = crdtgraph("simulate", *arguments, "--report", "nowhere/world.html")
    assert_fails(missing, 3, "nowhere/world.html", "No such file")
    assert_fails(crdtgraph("simulate", *arguments, "--report", "."), 2, "directory")


def test_a_report_that_was_not_written_leaves_nothing_behind(
    crdtgraph: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: object, **_options: object) -> World:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.running.run", interrupted)
    (tmp_path / "old.html").write_text("old")
    for name in ("old.html", "new.html"):
        outcome = crdtgraph("simulate", "run", "world.toml", "--report", name)
        assert_fails(outcome, 130, "stopped after 0.0 of 4 simulated s")
    assert (tmp_path / "old.html").read_text() == "old"
    assert not (tmp_path / "new.html").exists()


@pytest.mark.parametrize(
    "text, words",
    [
        ("nodes = = 3", ["broken.toml is not TOML"]),
        ("nodes = 'three'", ["broken.toml", "$.nodes"]),
        ("[[timeline]]\nevent = 'kill'\nat_s = 1\nfor_s = 1\nnode = 'n9'", ["timeline[0] (kill)", "'n9'", "hint: "]),
    ],
)
def test_a_mistake_in_a_scenario_is_exit_code_2_with_its_place(
    crdtgraph: CommandLine, tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "broken.toml").write_text(text)
    for command in ("run", "shrink"):
        assert_fails(crdtgraph("simulate", command, "broken.toml"), 2, *words)


def test_a_scenario_that_is_not_there_is_exit_code_3(crdtgraph: CommandLine) -> None:
    for command in ("run", "shrink"):
        assert_fails(crdtgraph("simulate", command, "nope"), 3, "nope", "crdtgraph simulate list")


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["run"], "missing argument 'SCENARIO'"),
        (["run", "world.toml", "--seed", "-1"], "-1 is not in the range"),
        (["replay", "seven"], "'seven' is not a valid integer"),
        (["fuzz", "--count", "0"], "0 is not in the range"),
        (["fuzz", "--jobs", "0"], "0 is not in the range"),
        (["frobnicate"], "no such command"),
        (["shrink", "5", "--seed", "6"], "--seed is for a scenario"),
    ],
)
def test_wrong_usage(crdtgraph: CommandLine, arguments: list[str], expected: str) -> None:
    assert_fails(crdtgraph("simulate", *arguments), 2, expected)


# replay


def test_replay_runs_what_the_seed_draws(crdtgraph: CommandLine, tmp_path: Path) -> None:
    expected = run(5, lines_kept=None)
    shown = table(crdtgraph("simulate", "replay", "5", "-o", "json", "--report", "seed.html"))
    assert (shown["scenario"], shown["trace_hash"]) == ("seed 5", expected.trace_hash)
    assert shown["again"] == "crdtgraph simulate replay 5 --trace"
    assert title(tmp_path / "seed.html") == "seed 5: passed"


def test_a_trace_is_everything_that_happened(crdtgraph: CommandLine) -> None:
    expected = run(5, lines_kept=None)
    lines = crdtgraph("simulate", "replay", "5", "--trace").out.splitlines()
    assert lines[: len(expected.lines)] == [*expected.lines]
    assert lines[len(expected.lines)] == "seed 5: passed"
    document = table(crdtgraph("simulate", "replay", "5", "--trace", "-o", "json"))
    assert document["trace"] == [*expected.lines]


# fuzz


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


# shrink


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


# list


def test_list_shows_every_shipped_scenario(crdtgraph: CommandLine) -> None:
    shown = crdtgraph("simulate", "list")
    assert (shown.code, shown.err) == (0, "")
    heading, *lines = shown.out.splitlines()
    assert heading.split() == ["name", "nodes", "duration", "hazard"]
    assert [line.split()[0] for line in lines] == [*shipped()]
    documents = crdtgraph("simulate", "list", "-o", "json").json
    assert isinstance(documents, list)
    assert [set(each) for each in documents] == [{"name", "about", "nodes", "topology", "duration_s", "events"}] * len(
        shipped()
    )
    assert all(each["about"] for each in documents)


# Processes


class Watched:
    """A real process whose standard error is a terminal, with its progress bar."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        ours, theirs = pty.openpty()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "cli", "simulate", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "120"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._terminal = os.fdopen(ours, "rb", buffering=0)
        self.shown = ""

    def read_until(self, text: str) -> None:
        """Return once this is on the terminal, or there is no more to come."""
        while text not in self.shown:
            try:
                data = self._terminal.read(65_536)
            except OSError:
                return
            self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data.decode(errors="replace"))

    def interrupt(self) -> bytes:
        """Ctrl-C, which goes to every process of the terminal; what it printed in the end."""
        os.killpg(self.popen.pid, signal.SIGINT)
        self.read_until("nothing more")
        assert self.popen.stdout is not None
        with self.popen.stdout as stdout, self._terminal:
            printed: bytes = stdout.read()
        self.popen.wait()
        return printed


@pytest.mark.parametrize(
    "arguments, shown, message",
    [
        (["run", "long.toml"], "/20000 simulated s", r"crdtgraph: stopped after [\d.]+ of 20000 simulated s"),
        (["fuzz", "--count", "100000"], " seeds/s", r"crdtgraph: stopped after \d+ of 100000 seeds"),
        (
            ["fuzz", "--count", "100000", "--jobs", "2", "-o", "json"],
            " seeds/s",
            r"crdtgraph: stopped after \d+ of 100000 seeds",
        ),
    ],
)
def test_progress_is_shown_and_ctrl_c_says_what_was_done_so_far(
    tmp_path: Path, arguments: list[str], shown: str, message: str
) -> None:
    process = Watched(tmp_path, *arguments)
    process.read_until(shown)
    printed = process.interrupt()
    assert shown in process.shown
    assert process.popen.returncode == 130, process.shown
    assert re.fullmatch(message, process.shown.splitlines()[-1].strip())
    assert "Traceback" not in process.shown
    if "json" in arguments:
        found = json.loads(printed)
        assert (found["failed"], found["seeds"]) == ([], found["passed"])
    elif "fuzz" in arguments:
        assert re.match(rb"[\d,]+ seeds?: [\d,]+ passed, 0 failed;", printed)


def test_who_watches_a_shrinking_sees_what_is_left_out(tmp_path: Path) -> None:
    process = Watched(tmp_path, "shrink", "failing.toml", "--attempts", "400")
    process.read_until("left out machine n1: 1 machine, 0 events, ")
    process.interrupt()
    assert re.search(r"\d+/400 candidates", process.shown)
    assert process.popen.returncode in (1, 130)


def test_a_run_ends_with_the_exit_code_of_its_verdict(start: Starter) -> None:
    running = [start("simulate", "run", f"{name}.toml") for name in ("world", "failing", "none")]
    assert [each.end().code for each in running] == [0, 1, 3]
