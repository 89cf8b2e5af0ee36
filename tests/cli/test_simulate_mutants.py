"""`crdtgraph simulate mutants`: the table, and an exit code that tells when the simulator is too weak."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pytest

from simulations.mutants import MUTANTS, SEEDS, UNPATCHED, Catch, Mutant, Verdict

from .conftest import CommandLine
from .test_failures import assert_fails

CAUGHT_AT_ONCE = "refs not superseded"
ROW_KEYS = {"name", "bug", "why", "passed", "seed", "rule", "details", "unpatched_rule", "worlds", "wall_s"}


@pytest.fixture
def hunts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Verdict | None]:
    """Replaces the hunt: each ends with the verdict that is put here, by name, or as it should."""
    ends: dict[str, Verdict | None] = {}

    def hunt(mutants: Iterable[Mutant], seeds: Sequence[int], **options: object) -> Iterator[Catch]:
        for mutant in mutants:
            good = None if mutant is UNPATCHED else verdict(mutant.name, 1)
            end = ends.get(mutant.name, good)
            yield Catch(mutant, end, len(seeds) if end is None else end.seed + 1, 2.5)

    monkeypatch.setattr("simulations.mutants.hunt", hunt)
    return ends


def verdict(name: str, seed: int, unpatched_rule: str = "") -> Verdict:
    return Verdict(name, seed, "nothing durable is lost", "n0 lost it", unpatched_rule, 0.5)


def test_a_bug_is_planted_and_caught(crdtgraph: CommandLine) -> None:
    shown = crdtgraph("simulate", "mutants", CAUGHT_AT_ONCE, "--seeds", "2")
    assert (shown.code, shown.err) == (0, "")
    heading, bug, unpatched, blank, summary = shown.out.splitlines()
    assert re.split(r"\s{2,}", heading) == ["bug", "seed", "worlds", "time", "caught by"]
    assert re.fullmatch(rf"{CAUGHT_AT_ONCE} +[01] +[12] +[\d.]+ m?s  the projection is the model's", bug)
    assert re.fullmatch(r"the code as it is +- +2 +[\d.]+ m?s  passes", unpatched)
    assert blank == ""
    assert re.fullmatch(r"1 bug: 1 caught, 0 not; the code as it is passes; [34] worlds in [\d.]+ m?s", summary)


def test_every_bug_is_hunted_unless_some_are_named(crdtgraph: CommandLine, hunts: Mapping[str, Verdict | None]) -> None:
    shown = crdtgraph("simulate", "mutants", "-o", "json")
    assert shown.code == 0
    found = shown.json
    assert isinstance(found, dict)
    assert set(found) == {"passed", "worlds", "wall_s", "mutants", "unpatched"}
    assert [set(each) for each in (*found["mutants"], found["unpatched"])] == [ROW_KEYS] * (len(MUTANTS) + 1)
    assert [each["name"] for each in found["mutants"]] == [each.name for each in MUTANTS]
    assert (found["passed"], found["unpatched"]["worlds"]) == (True, len(SEEDS))
    text = crdtgraph("simulate", "mutants", MUTANTS[3].name, MUTANTS[3].name, "unpatched").out
    assert [line.split("  ")[0] for line in text.splitlines()] == [
        "bug", MUTANTS[3].name, "the code as it is", "", text.splitlines()[-1]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "name, end, words",
    [
        (CAUGHT_AT_ONCE, None, "NOT CAUGHT"),
        (CAUGHT_AT_ONCE, verdict(CAUGHT_AT_ONCE, 7, "a key has one segment"), "FAILS WITHOUT THE BUG AS WELL"),
        ("unpatched", verdict("unpatched", 7), "FAILS: nothing durable is lost"),
    ],
)
def test_what_is_not_as_it_must_be_is_exit_code_1(
    crdtgraph: CommandLine, hunts: dict[str, Verdict | None], name: str, end: Verdict | None, words: str
) -> None:
    hunts[name] = end
    shown = crdtgraph("simulate", "mutants")
    assert shown.code == 1
    assert words in shown.out
    found = crdtgraph("simulate", "mutants", "-o", "json")
    assert found.code == 1
    assert isinstance(found.json, dict)
    assert found.json["passed"] is False


def test_a_name_that_no_bug_has(crdtgraph: CommandLine) -> None:
    assert_fails(crdtgraph("simulate", "mutants", "nope"), 3, "'nope'", CAUGHT_AT_ONCE)


def test_ctrl_c_shows_the_hunts_so_far(crdtgraph: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def hunt(mutants: Sequence[Mutant], *_arguments: object, **_options: object) -> Iterator[Catch]:
        yield Catch(mutants[0], verdict(mutants[0].name, 3), 4, 2.5)
        raise KeyboardInterrupt

    monkeypatch.setattr("simulations.mutants.hunt", hunt)
    shown = crdtgraph("simulate", "mutants")
    assert shown.code == 130
    assert shown.err == f"crdtgraph: stopped after 1 of {len(MUTANTS) + 1} hunts\n"
    assert MUTANTS[0].name in shown.out
    assert "1 bug: 1 caught, 0 not; 0 worlds in " in shown.out
