"""Hunts: the worlds of one seed after another with a bug planted, until one gives it away.

A world that fails with a bug in the code is run again without: it has to pass then, or nothing was found out about the
bug. The seeds are those of `fuzz`, and so are the worlds; none is made for a mutant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TypeAlias

from simulations.determinism import compare_one
from simulations.fuzzing import spread
from simulations.mutants.planting import UNPATCHED, Evidence, Mutant, planted
from simulations.mutants.registry import find
from simulations.runner import run
from simulations.scenario import Scenario

Failure: TypeAlias = tuple[str, str]
"""The rule that a world breaks, and details; both are empty if it breaks none."""

SEEDS = range(200)
"""Every mutant is caught by one of these."""
NO_ENVIRONMENT: Mapping[str, str] = MappingProxyType({})
DIFFERENT_RUNS = "the same seed is the same run"
"""The rule that is broken by what shows only between processes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """One world with one bug planted.

    Args:
        rule: what gave the bug away, and `details` about it; empty if nothing did.
        unpatched_rule: what the same world breaks without the bug; empty, or the simulator found a real one.
        wall_s: for both.
    """

    mutant: str
    seed: int
    rule: str
    details: str
    unpatched_rule: str
    wall_s: float


@dataclass(frozen=True, slots=True)
class Catch:
    """How a hunt ended: after `worlds` of them, with the verdict that ended it, or None if all passed."""

    mutant: Mutant
    verdict: Verdict | None
    worlds: int
    wall_s: float

    @property
    def is_proof(self) -> bool:
        """Whether a world failed because of the bug and of nothing else."""
        return self.verdict is not None and not self.verdict.unpatched_rule


def hunt(
    mutants: Iterable[Mutant],
    seeds: Sequence[int] = SEEDS,
    *,
    jobs: int = 1,
    environment: Mapping[str, str] = NO_ENVIRONMENT,
    observe: Callable[[Verdict], None] = lambda _: None,
) -> Generator[Catch, None, None]:
    """Hunt for each of these bugs; the catches in the order in which they are made.

    Each catch is that of the first seed that can make it, whatever the number of jobs. Close the iterator to stop.

    Args:
        mutants: of the registry, if there are several jobs.
        seeds: to try, in this order.
        jobs: worlds at a time, each in a process of its own.
        environment: what further processes get that a mutant needs whose evidence is in their difference.
        observe: given every verdict as it comes.

    Raises:
        SeamError: a bug cannot be planted any more.
        LocalError: a worker process died.
    """
    hunts = {mutant.name: _Hunt(mutant, seeds) for mutant in mutants}
    by_name = partial(_judge_named, environment=dict(environment))
    here = partial(_judge_one_of, hunts, environment=environment)
    for verdict in spread(by_name if jobs > 1 else here, _worlds(hunts, seeds), jobs=jobs):
        observe(verdict)
        catch = hunts[verdict.mutant].add(verdict)
        if catch is not None:
            yield catch


def judge(mutant: Mutant, seed: int, *, environment: Mapping[str, str] = NO_ENVIRONMENT) -> Verdict:
    """The world of this seed with this bug in the code, and if it fails, without."""
    if mutant.evidence is Evidence.HASH_SEED:
        return _judge(mutant, seed, lambda each: _differs(each, seed, environment))
    return _judge(mutant, seed, lambda each: _breaks(each, seed, None))


def judge_scenario(mutant: Mutant, seed: int, scenario: Scenario) -> Verdict:
    """The same in a world of your own; for mutants that a rule gives away."""
    return _judge(mutant, seed, lambda each: _breaks(each, seed, scenario))


def _judge(mutant: Mutant, seed: int, fails: Callable[[Mutant], Failure]) -> Verdict:
    began = time.perf_counter()
    rule, details = fails(mutant)
    unpatched_rule = fails(UNPATCHED)[0] if rule else ""
    return Verdict(mutant.name, seed, rule, details, unpatched_rule, time.perf_counter() - began)


def _breaks(mutant: Mutant, seed: int, scenario: Scenario | None) -> Failure:
    with planted(mutant):
        outcome = run(seed, scenario, lines_kept=0)
    return outcome.rule, outcome.failure


def _differs(mutant: Mutant, seed: int, environment: Mapping[str, str]) -> Failure:
    found = compare_one(seed, environment=environment, mutant=mutant.name)
    hashes = " and ".join(each[:16] for each in found.trace_hashes)
    return (found.rule, found.rule) if found.is_equal else (DIFFERENT_RUNS, f"the traces are {hashes}")


class _Hunt:
    """The verdicts on one mutant, which may come in any order."""

    def __init__(self, mutant: Mutant, seeds: Sequence[int]) -> None:
        self.mutant = mutant
        self.is_over = False
        """Whether no further world is needed."""
        self._seeds = seeds
        self._verdicts: dict[int, Verdict] = {}
        self._is_settled = False

    def add(self, verdict: Verdict) -> Catch | None:
        """How it ended, as soon as that is known, and once."""
        if self._is_settled:
            return None
        self._verdicts[verdict.seed] = verdict
        self.is_over |= bool(verdict.rule)
        tried: list[Verdict] = []
        for seed in self._seeds:
            if seed not in self._verdicts:
                return None
            tried.append(self._verdicts[seed])
            if tried[-1].rule:
                break
        self._is_settled = True
        caught = tried[-1] if tried[-1].rule else None
        return Catch(self.mutant, caught, len(tried), sum(each.wall_s for each in tried))


def _worlds(hunts: Mapping[str, _Hunt], seeds: Sequence[int]) -> Iterator[tuple[str, int]]:
    for name, each in hunts.items():
        for seed in seeds:
            if each.is_over:
                break
            yield name, seed


def _judge_named(world: tuple[str, int], environment: Mapping[str, str]) -> Verdict:
    name, seed = world
    return judge(find(name), seed, environment=environment)


def _judge_one_of(hunts: Mapping[str, _Hunt], world: tuple[str, int], environment: Mapping[str, str]) -> Verdict:
    name, seed = world
    return judge(hunts[name].mutant, seed, environment=environment)
