"""The state at a commit, and merging two of them."""

from crdtgraph.state.merge import MergeResult, PathConflict, merge_heads, merge_states
from crdtgraph.state.replay import State, replay

__all__ = ["MergeResult", "PathConflict", "State", "merge_heads", "merge_states", "replay"]
