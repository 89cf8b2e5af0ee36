"""A search that runs while other commands look at it."""

from __future__ import annotations

import time
from pathlib import Path

from crdtgraph import CrdtGraphError
from sync.client.blocking import BlockingControlClient

from .conftest import PATIENCE_S

NIM = '''
from crdtgraph.mcts import RandomRollouts

class Nim(RandomRollouts):
    """Sixty are there, one to five are taken at a time, whoever takes the last one wins: too much to prove."""
    players = 2
    identity = "nim of 60"
    def initial(self): return (60, 0)
    def actions(self, state): return range(1, 1 + min(5, state[0]))
    def apply(self, state, action): return (state[0] - action, 1 - state[1])
    def player(self, state): return state[1]
    def reward(self, state): return 1.0 if state[1] == 1 else -1.0
'''


def until_it_grows(control: Path, search: str = "nim.py:Nim") -> None:
    """Return when a search that is asked at this socket has a best line."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with BlockingControlClient(control) as client:
                found = client.call("mcts_tree", search=search, depth=1)
        except CrdtGraphError:
            found = None
        nodes = found["nodes"] if isinstance(found, dict) else []
        # A tree that is alone counts its visits once a second.
        if isinstance(nodes, list) and sum(node["visits"] > 0 for node in nodes) > 2:
            return
        assert time.monotonic() < deadline, "no search came up"
        time.sleep(0.05)
