"""The state at a commit, what changed between two, and merging them."""

from crdtgraph.state.difference import PathChange, difference
from crdtgraph.state.merge import MergeResult, PathConflict, SettledPath, merge_heads, merge_states
from crdtgraph.state.policies import MergeFunction, MergePolicy
from crdtgraph.state.replay import State, replay

__all__ = [
    "MergeFunction",
    "MergePolicy",
    "MergeResult",
    "PathChange",
    "PathConflict",
    "SettledPath",
    "State",
    "difference",
    "merge_heads",
    "merge_states",
    "replay",
]
