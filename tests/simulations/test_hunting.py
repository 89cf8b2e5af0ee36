"""Hunting planted bugs: seed after seed until a world fails, and the proof that without the bug it does not."""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace
from typing import cast

import pytest

from simulations.mutants import Mutant, Verdict, find, hunt, hunting, planting
from simulations.runner import Outcome

BUG = Mutant("bug", "One too many.", "It is only one.", ())
OTHER = Mutant("other bug", "Something else.", "Who knows.", ())


def verdicts(monkeypatch: pytest.MonkeyPatch, failing: dict[str, set[int]]) -> list[tuple[str, int]]:
    """Have worlds fail by mutant and seed instead of running; the worlds that were asked for."""
    asked: list[tuple[str, int]] = []

    def run(seed: int, scenario: object, *, lines_kept: int) -> Outcome:
        [name] = planting._planted
        asked.append((name, seed))
        rule = "a rule" if seed in failing.get(name, ()) else ""
        return cast(Outcome, SimpleNamespace(rule=rule, failure=rule and f"{rule}: {seed}"))

    monkeypatch.setattr(hunting, "run", run)
    return asked


def test_a_hunt_ends_at_the_first_world_that_fails_and_shows_that_the_code_as_it_is_passes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = verdicts(monkeypatch, {"bug": {7, 8}})
    seen: list[Verdict] = []
    [caught, missed] = hunt([BUG, OTHER], range(5, 9), observe=seen.append)
    assert asked == [
        ("bug", 5),
        ("bug", 6),
        ("bug", 7),
        ("unpatched", 7),
        *(("other bug", seed) for seed in range(5, 9)),
    ]
    assert caught.verdict is seen[2]
    assert (caught.mutant, caught.worlds, caught.is_proof) == (BUG, 3, True)
    assert (caught.verdict.seed, caught.verdict.rule, caught.verdict.details) == (7, "a rule", "a rule: 7")
    assert (missed.mutant, missed.worlds, missed.verdict, missed.is_proof) == (OTHER, 4, None, False)
    assert len(seen) == 7


def test_a_world_that_fails_without_the_bug_as_well_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts(monkeypatch, {"bug": {1}, "unpatched": {1}})
    [catch] = hunt([BUG], range(3))
    assert catch.verdict is not None
    assert catch.verdict.unpatched_rule == "a rule"
    assert not catch.is_proof


def test_the_catch_is_that_of_the_first_seed_in_whatever_order_the_verdicts_come() -> None:
    for order in permutations(range(4)):
        state = hunting._Hunt(BUG, range(4))
        catches = [state.add(Verdict("bug", seed, "a rule" if seed >= 2 else "", "", "", 1.0)) for seed in order]
        [catch] = [each for each in catches if each is not None]
        assert catch.verdict is not None
        assert (catch.verdict.seed, catch.worlds, catch.wall_s) == (2, 3, 3.0)


@pytest.mark.slow
def test_several_processes_catch_what_one_does() -> None:
    mutants = [find("digest not updated on remove"), find("fsync forgotten when a ref moves")]
    found = {catch.mutant.name: catch for catch in hunt(mutants, range(6), jobs=2)}
    for alone in hunt(mutants, range(6)):
        catch = found[alone.mutant.name]
        assert catch.verdict is not None
        assert alone.verdict is not None
        assert (catch.worlds, catch.verdict.seed, catch.verdict.rule) == (
            alone.worlds,
            alone.verdict.seed,
            alone.verdict.rule,
        )
        assert catch.is_proof


@pytest.mark.slow
def test_sums_of_floats_are_caught_because_they_differ_and_not_because_something_crashes() -> None:
    [catch] = hunt([find("floats in counters")], range(12))
    assert catch.is_proof
    assert catch.verdict is not None
    assert catch.verdict.rule in {
        "incremental = from scratch",
        "equal segment sets have equal digests",
        "no alarm among honest replicas",
        "a compaction changes no digest",
    }


@pytest.mark.slow
def test_what_differs_between_processes_is_caught_by_running_two() -> None:
    mutant = find("set order leaking into bytes")
    [catch] = hunt([mutant], range(3))
    assert catch.verdict is not None
    assert catch.verdict.rule == "the same seed is the same run"
    assert catch.is_proof
