"""What follows from a position whose rewards are certain (Winands, Bjornsson, Saito, "MCTS Solver", 2008)."""

from __future__ import annotations

from collections.abc import Sequence

from crdtgraph.mcts.nodes import Edge, Position
from crdtgraph.mcts.referee import Fixed, Referee


def prove(path: Sequence[Edge], referee: Referee) -> None:
    """Find out what follows for the positions of a path from its end, which is proven."""
    for edge in reversed(path[:-1]):
        position = edge.child
        if position.proven is None:
            rewards = _follows(position, referee)
            if rewards is None:
                return
            position.prove(rewards)
            edge.spread = 0.0


def _follows(position: Position, referee: Referee) -> Fixed | None:
    found = [edge.child.proven for edge in position.edges]
    proven = [each for each in found if each is not None]
    is_whole = len(proven) == len(position.actions)
    if position.chances is not None:
        return proven[0] if is_whole and len(set(proven)) == 1 else None
    player = position.player
    best = max(proven, key=lambda rewards: rewards[player], default=None)
    if best is None or any(each != best and each[player] == best[player] for each in proven):
        # Who moves does not care which of these it is. The others do, and nobody can tell them.
        return None
    # Nothing else can come to the same for the mover and to something else for others: one player has no others,
    # and of two one gains what the other loses.
    is_sure = referee.players == 1 or (referee.players == 2 and sum(best) == sum(referee.ends))
    return best if is_whole or (is_sure and best[player] == referee.gain) else None
