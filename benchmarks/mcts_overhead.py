"""What it costs to grow a tree in the graph: iterations a second of `SearchTree` with one writer, beside MCTSBot.

OpenSpiel's own Python bot and ours search the opening of Connect Four from nothing, at equal settings: UCT with one
constant, one random game a leaf, nothing proven, no transpositions, as many simulations. They take turns, so that a
slow moment of the machine hits both, and each round is compared for itself.

Ours is a graph on RocksDB with a running node, and a peer in another process that is sent the search while it grows; at
the end of each round it has to hold the same search. What the node does in this process is in our time.

Further rows: ours with OpenSpiel's evaluator in the place of our random games, ours with transpositions, and ours in
a graph alone.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter, process_time
from typing import Any

import trio

import crdtgraph
import sync
from benchmarks.report import Report
from crdtgraph import LEDGER
from crdtgraph.mcts import UCT, SearchTree
from crdtgraph.mcts.openspiel import OpenSpielGame

ITERATIONS = 10_000
ROUNDS = 5
CONSTANT = 1.4
AGREE_TIMEOUT_S = 60


class TheirRollouts(OpenSpielGame):
    """The game, evaluated by OpenSpiel's evaluator."""

    def __init__(self, game: str, seed: int) -> None:
        super().__init__(game, transpositions=False)
        self._evaluator = _evaluator(seed)

    def evaluate(self, state: Any, rng: Random) -> list[float]:
        """What their evaluator says, of states that are over, too."""
        returns = state.returns() if state.is_terminal() else self._evaluator.evaluate(state).tolist()
        return list(returns)


def run(*, quick: bool) -> Report:
    """Measure and report."""
    iterations, rounds = (2_000, 2) if quick else (ITERATIONS, ROUNDS)
    report = Report(
        "mcts-overhead",
        {"game": "connect_four", "iterations": iterations, "rounds": rounds, "uct_c": CONSTANT, "store": "rocksdb"},
    )
    with tempfile.TemporaryDirectory() as folder:
        times = trio.run(_measure, Path(folder), iterations, rounds)
    theirs = times["MCTSBot"]
    for name, rows in times.items():
        report.results[name] = {
            "iterations_per_s": round(iterations / median(wall for wall, _ in rows)),
            "cpu_us": round(median(cpu for _, cpu in rows) / iterations * 1e6, 1),
            "speed_over_bot": round(_ratio(theirs, rows, 0), 3),
            "cpu_over_bot": round(_ratio(theirs, rows, 1), 3),
        }
    report.hold(
        "iterations/s with node and peer over MCTSBot's", _ratio(theirs, times["node and peer"], 0), "x", ">=", 0.8
    )
    return report


def _ratio(theirs: list[tuple[float, float]], ours: list[tuple[float, float]], which: int) -> float:
    return median(their[which] / our[which] for their, our in zip(theirs, ours, strict=True))


async def _measure(folder: Path, iterations: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    times: dict[str, list[tuple[float, float]]] = {}

    async def ours(name: str, graph: crdtgraph.Graph, problem: OpenSpielGame, number: int) -> SearchTree:
        gc.collect()
        wall, cpu = perf_counter(), process_time()
        tree = SearchTree(graph, problem, name=f"{name} {number}", rule=UCT(CONSTANT), seed=number, solve=False)
        await tree.run_async(iterations, sync.Turns())
        times.setdefault(name, []).append((perf_counter() - wall, process_time() - cpu))
        return tree

    with (
        crdtgraph.open(str(folder / "store")) as graph,
        crdtgraph.open(str(folder / "alone")) as alone,
    ):
        async with sync.Node(graph, listen=["127.0.0.1:0"]) as node:
            ask, process = _start_peer(str(folder / "peer"), str(node.addresses[0]))
            try:
                await _replicated(graph, LEDGER, ask)
                for number in range(rounds):
                    gc.collect()
                    # In a thread, so that the node goes on talking to its peer meanwhile, as it does beside ours.
                    times.setdefault("MCTSBot", []).append(
                        await trio.to_thread.run_sync(_bot_searches, iterations, number)
                    )
                    plain = OpenSpielGame("connect_four", transpositions=False)
                    tree = await ours("node and peer", graph, plain, number)
                    await _replicated(graph, tree.search.plane, ask)
                    tree.search.close()
                    for name, home, problem in (
                        ("their rollouts", graph, TheirRollouts("connect_four", number)),
                        ("transpositions", graph, OpenSpielGame("connect_four", transpositions=True)),
                        ("graph alone", alone, plain),
                    ):
                        (await ours(name, home, problem, number)).search.close()
            finally:
                process.kill()
    return times


def _bot_searches(iterations: int, seed: int) -> tuple[float, float]:
    import numpy
    import pyspiel
    from open_spiel.python.algorithms import mcts

    game = pyspiel.load_game("connect_four")
    bot = mcts.MCTSBot(
        game, CONSTANT, iterations, _evaluator(seed), solve=False, random_state=numpy.random.RandomState(seed)
    )
    wall, cpu = perf_counter(), process_time()
    root = bot.mcts_search(game.new_initial_state())
    took = perf_counter() - wall, process_time() - cpu
    assert root.explore_count == iterations
    return took


def _evaluator(seed: int) -> Any:
    import numpy
    from open_spiel.python.algorithms import mcts

    return mcts.RandomRolloutEvaluator(n_rollouts=1, random_state=numpy.random.RandomState(seed))


async def _replicated(graph: crdtgraph.Graph, plane: str, ask: Callable[[str], bytes]) -> None:
    """Wait until the peer holds the same."""
    with trio.fail_after(AGREE_TIMEOUT_S):
        while True:
            if await trio.to_thread.run_sync(ask, plane) == graph.digest(plane=plane):
                return
            await trio.sleep(0.05)


def _start_peer(store: str, address: str) -> tuple[Callable[[str], bytes], Any]:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_peer, args=(there, store, address), daemon=True)
    process.start()

    def ask(plane: str) -> bytes:
        here.send(plane)
        answer: bytes = here.recv()
        return answer

    return ask, process


def _peer(pipe: Connection, store: str, address: str) -> None:
    trio.run(_serve, pipe, store, address)


async def _serve(pipe: Connection, store: str, address: str) -> None:
    with crdtgraph.open(store) as graph:
        async with sync.Node(graph, peers=[address]):
            while True:
                plane = await trio.to_thread.run_sync(pipe.recv)
                known = plane == LEDGER or plane.removeprefix("search/") in graph.searches()
                pipe.send(graph.digest(plane=plane) if known else b"")
