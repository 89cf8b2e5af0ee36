"""The state at a commit, what changed between two, and merging them."""

from crdtgraph.state.difference import PathChange, difference
from crdtgraph.state.merge import MergeResult, PathConflict, SettledPath, merge_heads, merge_states
from crdtgraph.state.policies import MergeFunction, MergePolicy
from crdtgraph.state.replay import PathValues, replay
from crdtgraph.state.states import States
from crdtgraph.state.view import State

__all__ = [
    "MergeFunction",
    "MergePolicy",
    "MergeResult",
    "PathChange",
    "PathConflict",
    "PathValues",
    "SettledPath",
    "State",
    "States",
    "difference",
    "merge_heads",
    "merge_states",
    "replay",
]
