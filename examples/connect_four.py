"""Connect Four against itself: `python -m examples.connect_four`. Needs `pip install crdtgraph[games]`.

One search for the whole game: after each move the tree goes on from the node that the move leads to, with all that it
knows of it. At the end the game that was played is promoted to the ledger, where `crdtgraph log` shows it.
"""

from __future__ import annotations

import crdtgraph
from crdtgraph.mcts import SearchTree
from crdtgraph.mcts.openspiel import OpenSpielGame


def main(iterations: int = 400, url: str = "memory:") -> str:
    """Play one game and print it; returns the final position as text."""
    game = OpenSpielGame("connect_four")
    state = game.initial()
    with crdtgraph.open(url) as graph, SearchTree(graph, game, name="connect four", seed=4) as tree:
        while game.actions(state):
            tree.run(iterations)
            best = tree.children()[0]
            certain = "" if best.proven is None else f", certainly {best.proven:+g}"
            print(f"player {state.current_player()} drops in column {best.action}", end=": ")
            print(f"{best.visits} visits, {best.mean:+.2f} on average{certain}")
            state = game.apply(state, best.action)
            tree.advance(best.action)
        print(game.text(state))
        played = tree.promote([], ref="played")
        print(f"the game is commit {graph.short(played)} of the ledger, {len(graph)} commits in all")
        tree.search.close()
    return game.text(state)


if __name__ == "__main__":
    main()
