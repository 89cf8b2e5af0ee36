"""Find a formula that fits data: `python -m examples.find_expression`.

The shape of a search for code: a state is a program with holes, an action fills the first hole, and the program is a
file in the commit of each node. The best program comes out of the graph as a file of its state, with the history of how
it came to be, and everything else is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

import crdtgraph
from crdtgraph.mcts import Budget, SearchTree

HOLE = "_"
LEAVES = ("x", "1", "2", "3")
BRANCHES = ("(_ + _)", "(_ - _)", "(_ * _)")
FILE = "formula.py"

Points = tuple[tuple[int, int], ...]

DATA: Points = tuple([(x, x * x + 3 * x) for x in range(-4, 5)])
"""What is to be found: x² + 3x."""


@dataclass(frozen=True)
class FindExpression:
    """One player; the reward is 1 for a perfect fit and falls with the error. Dataclass: its `repr` is its identity."""

    data: Points = DATA
    leaves_max: int = 5
    rewards = (0.0, 1.0)

    def initial(self) -> str:
        """A program that is one hole."""
        return HOLE

    def actions(self, state: str) -> list[str]:
        """What can be put into the first hole, so that the program does not become too long."""
        if HOLE not in state:
            return []
        leaves = sum(state.count(leaf) for leaf in (*LEAVES, HOLE))
        return [*LEAVES, *(BRANCHES if leaves < self.leaves_max else ())]

    def apply(self, state: str, action: str) -> str:
        """Fill the first hole."""
        return state.replace(HOLE, action, 1)

    def evaluate(self, state: str, rng: Random) -> float:
        """Fill the holes at random and see how well the result fits."""
        while actions := self.actions(state):
            state = self.apply(state, actions[int(rng.random() * len(actions))])
        formula = compile(state, FILE, "eval")
        error = sum([abs(float(eval(formula, {}, {"x": x})) - y) for x, y in self.data]) / len(self.data)
        return 10 / (10 + error)

    def changes(self, state: str) -> Mapping[str, bytes]:
        """The program as a file."""
        return {FILE: f"def f(x):\n    return {state}\n".encode()}

    def key(self, state: str) -> bytes:
        """Two programs with the same text are the same."""
        return state.encode()


def main(iterations: int = 4_000, url: str = "memory:", seed: int = 1) -> tuple[str, float]:
    """Search, print what was found; returns the program and how well it fits."""
    problem = FindExpression()
    with crdtgraph.open(url) as graph:
        tree = SearchTree(graph, problem, name="formula", seed=seed)
        spent = tree.run(Budget(iterations=iterations, seconds=60))
        best, value = tree.root, -1.0
        for node in tree.top(depth=1_000):
            # A program without holes has one value for good: the best of those that were seen.
            if node.commit and node.proven is not None and not node.children and node.proven > value:
                best, value = node.commit, node.proven
        tree.promote(best, ref="best")
        program = graph.state(best)[FILE]
        assert isinstance(program, bytes)
        print(f"{spent.iterations:,} iterations, {len(tree):,} commits; {len(graph)} of them are kept")
        print(f"fits {value:.3f}:\n{program.decode()}")
        tree.search.close()
    return program.decode(), value


if __name__ == "__main__":
    main()
