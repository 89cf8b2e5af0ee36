"""`crdtgraph mcts run`, and its answer."""

from __future__ import annotations

from typing import Any

from tests.cli.conftest import CommandLine

PROBLEMS = '''
from crdtgraph.mcts import RandomRollouts

class Nim(RandomRollouts):
    """Sixty are there, one to five are taken at a time, whoever takes the last one wins: too much to prove."""
    players = 2
    heap = 60
    identity = "nim of 60"
    def initial(self): return (self.heap, 0)
    def actions(self, state): return range(1, 1 + min(5, state[0]))
    def apply(self, state, action): return (state[0] - action, 1 - state[1])
    def player(self, state): return state[1]
    def reward(self, state): return 1.0 if state[1] == 1 else -1.0

class Small(Nim):
    heap = 7
    identity = "nim of 7"

class Raising(Nim):
    identity = "raising"
    def evaluate(self, state, rng): raise ValueError("boom")

class Tiring(Nim):
    identity = "tiring"
    def __init__(self): self.left = 700
    def evaluate(self, state, rng):
        self.left -= 1
        if not self.left: raise ValueError("boom")
        return super().evaluate(state, rng)

class Nan(Nim):
    identity = "nan"
    def evaluate(self, state, rng): return float("nan")

class Infinite(Nim):
    identity = "infinite"
    def evaluate(self, state, rng): return [float("inf"), 0.0]

class Over(Nim):
    identity = "over"
    def actions(self, state): return ()

class Needy(Nim):
    def __init__(self, heap): self.heap = heap

def make(): return Nim()
def wrong(): return 7
instance = Nim()
number = 7
'''


def run(crdtgraph: CommandLine, *arguments: str, store: str = "memory:") -> Any:
    done = crdtgraph("mcts", "run", *arguments, "--store", store, "-o", "json")
    assert done.code == 0, done.err
    return done.json
