"""The state at a commit, what changed between two, and merging them."""

from crdtgraph.state.difference import PathChange, difference
from crdtgraph.state.merge import MergeResult, PathConflict, merge_heads, merge_states
from crdtgraph.state.replay import PathValues, replay
from crdtgraph.state.states import States
from crdtgraph.state.view import State

__all__ = [
    "MergeResult",
    "PathChange",
    "PathConflict",
    "PathValues",
    "State",
    "States",
    "difference",
    "merge_heads",
    "merge_states",
    "replay",
]
