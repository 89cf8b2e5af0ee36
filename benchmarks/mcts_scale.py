"""One tree by many writers against one by one writer, at equal rollouts: how good is the move that is chosen?

P-games with the published parameters (simulations/pgame.py), the first of them by seed in which there is something to
decide. A cluster of 1 to 32 writers makes as many rollouts in all as one tree alone; news is under way for 5 or 50 ms,
and a rollout takes 10 ms (mctsworld.py). *Strength* is the share of games in which the chosen move is a right one by
full search; *regret* what the move loses against the best, the mean of 0 to 2. Each cluster runs with and without
simulations in flight being told; beside them root parallelism with as many trees. A row is named by branching and depth
of the game and the rollouts made in all.

A strength is a mean over as many games as there are seeds, with its standard error: differences below that are chance.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import sqrt
from multiprocessing import get_context
from statistics import mean

from benchmarks.mctsworld import Cluster, apart, search_together, segments_read_once
from benchmarks.report import Figure, Report
from simulations.pgame import decisions

SEEDS = 100
WRITERS = (2, 4, 8, 16, 32)
GOSSIP_S = (0.005, 0.05)


@dataclass(frozen=True, slots=True)
class Trial:
    """A kind of game, how many rollouts are made in all, and the constant of UCT."""

    branching: int
    depth: int
    rollouts: int
    c: float
    writers: tuple[int, ...] = WRITERS

    @property
    def name(self) -> str:
        """For tables."""
        return f"{self.branching}x{self.depth}:{self.rollouts}"


TRIALS = (Trial(8, 8, 1_024, 0.8), Trial(8, 8, 4_096, 0.8, writers=(16,)), Trial(2, 20, 512, 0.7))
QUICK_TRIALS = (Trial(8, 8, 128, 0.5, writers=(2, 4)),)


@dataclass(frozen=True, slots=True)
class Way:
    """A way to share the rollouts: a cluster, or as many trees apart."""

    cluster: Cluster
    is_apart: bool = False

    @property
    def row(self) -> str:
        """For tables."""
        cluster = self.cluster
        if cluster.writers == 1:
            return "sequential"
        if self.is_apart:
            return f"{cluster.writers} apart"
        told = "" if cluster.in_flight else ", in flight not told"
        return f"{cluster.writers} at {cluster.gossip_s * 1_000:g} ms{told}"


def run(*, quick: bool, seeds: int | None = None) -> Report:
    """Measure and report."""
    trials = QUICK_TRIALS if quick else TRIALS
    games = seeds or (6 if quick else SEEDS)
    report = Report("mcts-scale", {"seeds": games, "rollout_s": 0.01})
    for trial in trials:
        ways = list(_ways(trial.writers))
        losses = _play(trial, games, ways)
        for way in ways:
            report.results[f"{trial.name} {way.row}"] = _row(losses[way])
        _hold(report, trial, ways, losses)
    return report


def _ways(writers: tuple[int, ...]) -> Iterator[Way]:
    yield Way(Cluster(1))
    for count in writers:
        yield Way(Cluster(count), is_apart=True)
        for gossip_s in GOSSIP_S:
            for in_flight in (True, False):
                yield Way(Cluster(count, gossip_s, in_flight))


def _play(trial: Trial, games: int, ways: list[Way]) -> dict[Way, list[int]]:
    """What each way lost in each game."""
    seeds = [game.seed for game, _ in islice(decisions(trial.branching, trial.depth), games)]
    losses: dict[Way, list[int]] = {way: [] for way in ways}
    with get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=4) as pool:
        jobs = [(trial, seed, ways) for seed in seeds]
        for done, row in enumerate(pool.imap(_play_one, jobs), 1):
            for way, loss in zip(ways, row, strict=True):
                losses[way].append(loss)
            print(f"\rmcts-scale {trial.name}: {done} of {games} games", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return losses


def _play_one(job: tuple[Trial, int, list[Way]]) -> list[int]:
    trial, seed, ways = job
    game, truth = next(each for each in decisions(trial.branching, trial.depth) if each[0].seed == seed)
    losses = []
    # Full collections take longer than all else; what a run leaves is collected after it.
    gc.disable()
    with segments_read_once():
        for way in ways:
            if way.is_apart:
                move = apart(game, way.cluster.writers, trial.rollouts, seed, c=trial.c)
            else:
                move = search_together(game, way.cluster, trial.rollouts, seed, c=trial.c)
            losses.append(game.regret(move, truth))
            gc.collect()
    return losses


def _row(losses: list[int]) -> dict[str, Figure]:
    strength = _strength(losses)
    error = sqrt(strength * (1 - strength) / len(losses))
    return {"strength": round(strength, 3), "error": round(error, 3), "regret": round(mean(losses), 3)}


def _hold(report: Report, trial: Trial, ways: list[Way], losses: dict[Way, list[int]]) -> None:
    alone = _strength(losses[ways[0]])
    counts = sorted({way.cluster.writers for way in ways} - {1})
    for gossip_s in GOSSIP_S:
        together = {count: _strength(losses[Way(Cluster(count, gossip_s, in_flight=True))]) for count in counts}
        apart = {count: _strength(losses[Way(Cluster(count), is_apart=True)]) for count in counts}
        most = 16 if 16 in counts else counts[-1]
        where = f"{trial.name}, {gossip_s * 1_000:g} ms"
        report.hold(f"{where}: {most} writers over sequential", together[most] / alone, "x", ">=", 0.95)
        least = min(together[count] - apart[count] for count in counts)
        report.hold(f"{where}: least above root parallelism", least, "", ">", 0)
        both = mean(together.values()) - mean(apart.values())
        report.hold(f"{where}: mean above root parallelism", both, "", ">", 0)


def _strength(losses: list[int]) -> float:
    return mean(loss == 0 for loss in losses)
