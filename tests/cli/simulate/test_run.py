"""`crdtgraph simulate run`, `replay` and `list`: what they print, the report, and how they end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from simulations.files import read, shipped
from simulations.page.paper import seconds
from simulations.runner import Outcome as World
from simulations.runner import run
from tests.cli.conftest import CommandLine
from tests.cli.simulate.worlds import WORLD_KEYS, never, table, title
from tests.cli.test_failures import assert_fails

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
