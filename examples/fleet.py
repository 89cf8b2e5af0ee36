"""A fleet over Ray: `python -m examples.fleet [WORKERS] [SECONDS]`. Needs `pip install 'crdtgraph[ray]'`.

It finds the best first move in a game of pebbles: two players take 1, 2 or 3 pebbles from a heap, and the last to take
one wins; with 10 pebbles that is to leave 8. Here Ray is started on this machine alone, for the run. With a cluster at
hand, `Fleet(..., address="auto", beyond_loopback=True)` takes part of the search to every node of it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from random import Random

from crdtgraph.mcts import Budget
from sync.fleet import Fleet, Progress


class Pebbles:
    """A state is what is left, and whose turn it is."""

    players = 2

    def initial(self) -> tuple[int, int]:
        """The heap at the beginning."""
        return 10, 0

    def player(self, state: tuple[int, int]) -> int:
        """Whose turn it is."""
        return state[1]

    def actions(self, state: tuple[int, int]) -> Sequence[int]:
        """How many can be taken."""
        return range(1, 1 + min(3, state[0]))

    def apply(self, state: tuple[int, int], action: int) -> tuple[int, int]:
        """Take some."""
        return state[0] - action, 1 - state[1]

    def evaluate(self, state: tuple[int, int], rng: Random) -> float:
        """Play on at random; the reward of player 0."""
        while actions := self.actions(state):
            state = self.apply(state, rng.choice(actions))
        return 1.0 if state[1] == 1 else -1.0


def main(workers: int = 1, seconds: float = 5.0) -> str:
    """Search, and print what comes; returns the best first move."""

    def show(progress: Progress) -> None:
        line = " ".join(progress.line[:8])
        print(f"{progress.seconds:5.1f} s  {progress.iterations:8,} iterations on {progress.nodes} nodes  {line}")

    answer = Fleet(Pebbles(), workers=workers, solve=False).run(Budget(seconds=seconds), on_progress=show)
    print(f"take {answer.line[0]}: commit {answer.commit.hex()[:12]} of {answer.store}, which {answer.ref!r} points at")
    print(f"{answer.iterations:,} iterations, {answer.visits:,} in the tree, by {answer.nodes} nodes")
    return answer.line[0]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
