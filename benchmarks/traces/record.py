"""`python -m benchmarks.traces.record [NAME ...] [--seed N] [--iterations N] [--into FOLDER]`: search, and record it.

Equal names, seeds and numbers of iterations give equal bytes. The traces that are shipped were made with the seed 1
and the iterations that stand below; with other ones it makes traces that no policy has been tried on before.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypeVar

from benchmarks.traces.problems import Hex, Lines, Othello, Problem, Sailing
from benchmarks.traces.search import Plan, Search
from benchmarks.traces.trace import Trace, dump

FOLDER = Path(__file__).parent
ENDING = ".trace.gz"
SEED = 1

CONNECT_FOUR = Lines(7, 6, 4, drop=True)
GOMOKU = Lines(9, 9, 5)
OTHELLO = Othello(6, 6)

PLANS = {
    "connect-four": Plan(20_000, exploration=0.8, show_every=500),
    "gomoku-batches": Plan(20_000, exploration=2.0, prior=True, at_once=16),
    "othello-game": Plan(20_000, exploration=0.7, decide_every=800, return_after=12),
    "hex-parallel": Plan(20_000, exploration=0.6, at_once=8, in_turn=True),
    "tic-tac-toe-late": Plan(20_000, exploration=0.7, grow_after=4),
    "sailing-widening": Plan(20_000, exploration=0.3, widening=0.4, show_every=1_000),
    "connect-four-shared": Plan(10_000, exploration=0.8, walk=True, at_once=8, in_turn=True),
    "gomoku-shared": Plan(10_000, exploration=2.0, prior=True, at_once=16, walk=True),
    "othello-shared": Plan(10_000, exploration=0.7, decide_every=800, return_after=12, walk=True),
}
"""The searches that are recorded, by the name of their problem and what is special about them."""

State = TypeVar("State")


def record(name: str, *, seed: int = SEED, iterations: int = 0) -> Trace:
    """Run one of `PLANS` and return what it read.

    Args:
        name: of the plan.
        seed: of all its dice.
        iterations: how many, or 0 for as many as the plan says.
    """
    plan = PLANS[name]
    if iterations:
        plan = replace(plan, iterations=iterations)
    match name.split("-"):
        case ["connect", *_]:
            return _search(name, CONNECT_FOUR, plan, seed)
        case ["gomoku", *_]:
            return _search(name, GOMOKU, plan, seed)
        case ["othello", *_]:
            return _search(name, OTHELLO, plan, seed)
        case ["hex", *_]:
            return _search(name, Hex(7), plan, seed)
        case ["tic", *_]:
            return _search(name, Lines(5, 5, 4), plan, seed)
        case _:
            return _search(name, Sailing(), plan, seed, players=1)


def _search(name: str, problem: Problem[State], plan: Plan, seed: int, players: int = 2) -> Trace:
    trace = Trace(name, players)
    Search(problem, plan, Random(seed), trace).run()
    return trace


def main() -> None:
    """Parse the command line, search, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.traces.record", description="Record the reads of searches."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PLANS)}; all if none is given")
    parser.add_argument("--seed", type=int, default=SEED, help="of the dice (%(default)s)")
    parser.add_argument("--iterations", type=int, default=0, help="instead of as many as each search has")
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER", help="where to write (%(default)s)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in PLANS]
    if unknown:
        parser.error(f"no search is called {unknown[0]!r}; there are {', '.join(PLANS)}")
    if options.iterations < 0:
        parser.error(f"--iterations {options.iterations} is less than none")
    if not options.into.is_dir():
        parser.error(f"--into {options.into} is no folder; make it first")
    for name in options.names or PLANS:
        trace = record(name, seed=options.seed, iterations=options.iterations)
        data = dump(trace)
        (options.into / f"{name}{ENDING}").write_bytes(data)
        print(f"{name}: {len(trace.reads())} reads of {len(trace.parents)} states, {len(data)} bytes")


if __name__ == "__main__":
    main()
