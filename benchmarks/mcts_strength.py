"""How well the tree plays: games against OpenSpiel's own MCTSBot at equal simulations a move, sides alternating.

Both use UCT with the same constant and one random game a leaf, and both take over what is proven, which is the bot's
default. Neither keeps its tree from one move to the next. Our bot is `SearchTree` as it comes, with transpositions, in
a graph in memory. A game is one point, a draw half a point; pairs of games with the sides changed share a seed.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from math import sqrt
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import crdtgraph
from benchmarks.report import Report
from crdtgraph.mcts import UCT, SearchTree
from crdtgraph.mcts.openspiel import OpenSpielGame

GAMES = 200
SIMULATIONS = 200
CONSTANT = 1.4
PLAYED = {"Connect Four": "connect_four", "Hex 5x5": "hex(board_size=5)"}
BAR = 0.48
SHOWN_EVERY = 20
"""Games between two lines of progress where no terminal is."""


def run(*, quick: bool) -> Report:
    """Play and report."""
    games, simulations = (4, 50) if quick else (GAMES, SIMULATIONS)
    report = Report(
        "mcts-strength", {"games_each": games, "simulations": simulations, "uct_c": CONSTANT, "solve": True}
    )
    shares = {}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for title, name in PLAYED.items():
            began = perf_counter()
            scores = []
            for score in pool.map(_play, [(name, number, simulations) for number in range(games)]):
                scores.append(score)
                _show(title, scores, games)
            first, second = scores[0::2], scores[1::2]
            share = shares[title] = sum(scores) / games
            report.results[title] = {
                "score": round(share, 4),
                "error": round(sqrt(sum((score - share) ** 2 for score in scores)) / games, 4),
                "won": scores.count(1.0),
                "drawn": scores.count(0.5),
                "lost": scores.count(0.0),
                "score_moving_first": round(sum(first) / len(first), 4),
                "score_moving_second": round(sum(second) / len(second), 4),
                "seconds": round(perf_counter() - began, 1),
            }
    for title, share in shares.items():
        report.hold(f"score in {title}", share, "of the points", ">=", BAR)
    return report


def _show(title: str, scores: list[float], games: int) -> None:
    is_shown = sys.stderr.isatty() or len(scores) % SHOWN_EVERY == 0
    if is_shown or len(scores) == games:
        end = "" if sys.stderr.isatty() and len(scores) < games else "\n"
        print(f"\r{title}: {sum(scores):g} of {len(scores)} of {games} games", end=end, file=sys.stderr, flush=True)


def _play(game: tuple[str, int, int]) -> float:
    """One game; what our side scored. Even numbers move first."""
    import numpy
    import pyspiel
    from open_spiel.python.algorithms import mcts

    name, number, simulations = game
    seed = 1_000 + number // 2
    loaded = pyspiel.load_game(name)
    theirs = mcts.MCTSBot(
        loaded,
        CONSTANT,
        simulations,
        mcts.RandomRolloutEvaluator(n_rollouts=1, random_state=numpy.random.RandomState(seed)),
        random_state=numpy.random.RandomState(seed),
    )
    ours = number % 2
    state = loaded.new_initial_state()
    with crdtgraph.open("memory:") as graph:
        while not state.is_terminal():
            move = (
                _choose(graph, name, state, simulations, seed) if state.current_player() == ours else theirs.step(state)
            )
            state.apply_action(move)
    return (float(state.returns()[ours]) + 1) / 2


def _choose(graph: crdtgraph.Graph, name: str, state: Any, simulations: int, seed: int) -> int:
    moves = state.history()
    problem = OpenSpielGame(name, start=moves)
    with SearchTree(graph, problem, name=f"move {len(moves)}", rule=UCT(CONSTANT), seed=seed) as tree:
        tree.run(simulations)
        move: int = tree.best_action()
        tree.search.close()
    return move
