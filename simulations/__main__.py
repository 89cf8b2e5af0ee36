"""`python -m simulations --seed N [--count K]`: run the worlds of some seeds until one fails.

The least that replays a world; `crdtgraph simulate` does more.
"""

from __future__ import annotations

import argparse
import sys

from simulations.runner import Outcome, run


def main() -> int:
    """Run the worlds that the arguments name; 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m simulations", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first world")
    parser.add_argument("--count", type=int, default=1, help="how many, with the seeds that follow")
    parser.add_argument("--trace", action="store_true", help="print every event")
    arguments = parser.parse_args()
    for seed in range(arguments.seed, arguments.seed + arguments.count):
        outcome = run(seed, lines_kept=None if arguments.trace else 60)
        if arguments.trace:
            print(*outcome.lines, sep="\n")
        print(summary(outcome))
        if outcome.failure:
            if not arguments.trace:
                print(*outcome.lines, sep="\n", file=sys.stderr)
            print(f"{outcome.failure}\nreplay: python -m simulations --seed {seed} --trace", file=sys.stderr)
            return 1
    return 0


def summary(outcome: Outcome) -> str:
    """One line about a run."""
    return (
        f"{'FAILED' if outcome.failure else 'passed'} seed {outcome.seed} trace {outcome.trace_hash[:16]}"
        f" {outcome.scenario.nodes} nodes {outcome.events} events {outcome.commits} commits"
        f" converged after {outcome.converged_after_s:.1f} s"
        f" {outcome.simulated_s / outcome.wall_s:.0f} simulated s per wall s {outcome.rule}".rstrip()
    )


if __name__ == "__main__":
    sys.exit(main())
