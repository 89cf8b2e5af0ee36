"""A search in the manner of AlphaZero: `python -m examples.neural`. Needs numpy, as of `pip install crdtgraph[games]`.

A network looks at many positions of tic-tac-toe in one call and says of each how good it is, and which moves look good;
PUCT follows it. The search gives it batches of leaves that are in flight together. This network has one hidden layer
and its weights are set by hand, one unit a line of the board, so that the example needs no training.
"""

from __future__ import annotations

from random import Random

import numpy

import crdtgraph
from crdtgraph.mcts import PUCT, Evaluation, SearchTree

LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
MARKS = ".xo"

State = tuple[int, ...]
"""Nine cells: 0 is empty, 1 is player 0's, -1 player 1's."""


class Network:
    """Value and policy of boards, seen by player 0."""

    def __init__(self) -> None:
        self.hidden = numpy.zeros((9, len(LINES)))
        for number, line in enumerate(LINES):
            self.hidden[list(line), number] = 1.0
        self.calls = self.boards = 0

    def forward(self, boards: numpy.ndarray) -> tuple[numpy.ndarray, numpy.ndarray]:
        """Values (n,) within -1 and 1 and how good each cell looks (n, 9), for boards (n, 9)."""
        self.calls += 1
        self.boards += len(boards)
        lines = boards @ self.hidden
        values = numpy.tanh((lines**3).sum(axis=1) / 20)
        logits = (lines**2) @ self.hidden.T
        return values, numpy.exp(logits - logits.max(axis=1, keepdims=True))


class TicTacToe:
    """The game, evaluated by the network."""

    players = 2
    identity = "tic-tac-toe by lines"

    def __init__(self) -> None:
        self.network = Network()

    def initial(self) -> State:
        """The empty board."""
        return (0,) * 9

    def actions(self, state: State) -> list[int]:
        """Empty cells, until somebody has won."""
        return [] if winner(state) else [cell for cell in range(9) if not state[cell]]

    def apply(self, state: State, action: int) -> State:
        """The board with one more mark."""
        return (*state[:action], 1 if self.player(state) == 0 else -1, *state[action + 1 :])

    def player(self, state: State) -> int:
        """Who has as many marks as the other is first."""
        return 0 if sum(state) == 0 else 1

    def key(self, state: State) -> bytes:
        """The board."""
        return bytes([cell + 1 for cell in state])

    def evaluate(self, state: State, rng: Random) -> Evaluation:
        """One board, which may be over."""
        return self.evaluate_many([state], rng)[0]

    def evaluate_many(self, states: list[State], rng: Random) -> list[Evaluation]:
        """All boards in one pass; what is over is known for certain."""
        values, weights = self.network.forward(numpy.array(states, dtype=float))
        return [
            Evaluation(float(winner(state)))
            if not (actions := self.actions(state))
            else Evaluation(float(value), [float(looks[action]) for action in actions])
            for state, value, looks in zip(states, values, weights, strict=True)
        ]


def winner(state: State) -> int:
    """1 or -1 if that player has a line, else 0."""
    sums = [state[a] + state[b] + state[c] for a, b, c in LINES]
    return 1 if 3 in sums else -1 if -3 in sums else 0


def main(iterations: int = 800) -> State:
    """Play one game against itself and print it; returns the last board."""
    game = TicTacToe()
    state = game.initial()
    with crdtgraph.open("memory:") as graph, SearchTree(graph, game, rule=PUCT(1.5), seed=2) as tree:
        while game.actions(state):
            tree.run(iterations, batch=16)
            move = tree.best_action()
            state = game.apply(state, move)
            tree.advance(move)
        tree.search.close()
    for row in range(3):
        print(" ".join(MARKS[cell] for cell in state[3 * row : 3 * row + 3]))
    result = {1: "x wins", -1: "o wins", 0: "a draw, as it should be"}[winner(state)]
    print(f"{result}; the network saw {game.network.boards} boards in {game.network.calls} calls")
    return state


if __name__ == "__main__":
    main()
