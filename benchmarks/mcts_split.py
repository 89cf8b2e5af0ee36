"""A search that is split in two: what both sides counted is there after the heal, and the choice is no worse for it.

Four real nodes run in the simulator, each with a worker on the one search that they share (mctsnodes.py). From a
quarter of the rollouts on until three quarters two of them hear nothing of the other two, and both halves go on. When
the network is whole again and all agree, the totals of each commit must be the sum of what every worker counted
there: that is asserted, commit by commit, not measured. Beside it the same search without a split, and with one that
never heals, after which each half chooses by what it has.
"""

from __future__ import annotations

import gc
import os
import sys
from itertools import islice
from math import sqrt
from multiprocessing import get_context
from statistics import mean

from benchmarks.mctsnodes import NodeWorld, Result, Split, check_totals
from benchmarks.report import Figure, Report
from simulations.pgame import decisions

SEEDS = 100
WRITERS = 4
ROLLOUTS = 512
ROLLOUT_S = 0.05
LATENCY_S = 0.005
BRANCHING, DEPTH, C = 8, 8, 0.8
HEALED, FOR_EVER = Split(0.25, 0.75), Split(0.25, 2.0)
ROWS = ("no split", "split for half of it, healed", "the better half alone", "the other half alone")


def run(*, quick: bool, seeds: int | None = None) -> Report:
    """Measure and report."""
    games, rollouts = seeds or (4 if quick else SEEDS), 128 if quick else ROLLOUTS
    parameters: dict[str, Figure] = {"seeds": games, "rollouts": rollouts, "writers": WRITERS, "rollout_s": ROLLOUT_S}
    report = Report("mcts-split", {**parameters, "latency_s": LATENCY_S, "game": f"{BRANCHING}x{DEPTH}"})
    jobs = [(game.seed, rollouts) for game, _ in islice(decisions(BRANCHING, DEPTH), games)]
    losses: list[list[int]] = []
    checked = 0
    with get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=8) as pool:
        for row, commits in pool.imap(_play, jobs):
            losses.append(row)
            checked += commits
            print(f"\rmcts-split: {len(losses)} of {games} games", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    whole, healed, *halves = (list(each) for each in zip(*losses, strict=True))
    halves.sort(key=_strength, reverse=True)
    for name, each in zip(ROWS, (whole, healed, *halves), strict=True):
        report.results[name] = _row(each)
    report.results["commits whose totals are the sum"] = {"commits": checked}
    better = _strength(halves[0])
    report.hold("strength after the heal over the better half's", _strength(healed) / better, "x", ">=", 1)
    report.hold("totals that are not the sum of both sides", 0, "commits", "==", 0)
    return report


def _play(job: tuple[int, int]) -> tuple[list[int], int]:
    """What the moves of one game lose: without a split, healed, and of each half; how many totals were checked."""
    seed, rollouts = job
    game, truth = next(each for each in decisions(BRANCHING, DEPTH) if each[0].seed == seed)
    # Full collections take longer than all else; what a run leaves is collected after it.
    gc.disable()

    def play(split: Split | None) -> Result:
        world = NodeWorld(game, WRITERS, rollouts, seed, c=C, rollout_s=ROLLOUT_S, latency_s=LATENCY_S, split=split)
        result = world.run()
        del world
        gc.collect()
        return result

    whole, healed, apart = play(None), play(HEALED), play(FOR_EVER)
    for result in (whole, healed):
        check_totals(result)
        assert result.root_visits == rollouts, f"{result.root_visits} visits of the root after {rollouts} rollouts"
        assert len(set(result.moves)) == 1, "whoever agrees chooses alike"
    assert all(healed.sides), "both halves went on"
    moves = [whole.moves[0], healed.moves[0], apart.moves[0], apart.moves[-1]]
    return [game.regret(move, truth) for move in moves], len(healed.totals)


def _row(losses: list[int]) -> dict[str, Figure]:
    strength = _strength(losses)
    error = sqrt(strength * (1 - strength) / len(losses))
    return {"strength": round(strength, 3), "error": round(error, 3), "regret": round(mean(losses), 3)}


def _strength(losses: list[int]) -> float:
    return mean(loss == 0 for loss in losses)
