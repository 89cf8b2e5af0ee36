"""The state at a commit: its first-parent chain, replayed. What all that is stored and cached must be equal to.

A commit says what it changes against its first parent, so the state at a commit is the changes from the root along
first parents, later ones over earlier ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from crdtgraph.contents import Contents
from crdtgraph.projection import Projection
from crdtgraph.records import Value

PathValues = dict[str, Value]
"""Path -> value. A path that was removed is not in it."""


def replay(projection: Projection, contents: Contents, node: int) -> PathValues:
    """The state at a node. O(first-parent chain): about 0.5 us for each commit on it that changes nothing."""
    chain = []
    at: int | None = node
    while at is not None:
        chain.append(at)
        at = projection.dag.first_parent(at)
    state: PathValues = {}
    for changes in contents.changes(projection.locations[node] for node in reversed(chain)):
        apply_changes(state, changes)
    return state


def apply_changes(state: PathValues, changes: Iterable[tuple[str, Value]]) -> None:
    """Change a state in place."""
    for path, value in changes:
        if value is None:
            state.pop(path, None)
        else:
            state[path] = value
