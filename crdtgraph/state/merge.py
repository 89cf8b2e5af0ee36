"""Three-way merge of states, path by path.

What one side left as it was in the base takes the other side's value; what both changed alike is that; what both
changed apart is a conflict, reported, and the value of the first side stands, which all replicas order alike. A
criss-cross history has several merge bases. Instead of merging them into a virtual one (git's recursive strategy) a
side counts as unchanged when its value is that of any base: it never hides a conflict that a chain of merges would
have reported between two different bases, because there both sides may be unchanged and still differ, and then it is
reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crdtgraph.ancestry import merge_bases
from crdtgraph.contents import Contents
from crdtgraph.ids import CommitId
from crdtgraph.projection import Projection
from crdtgraph.records import Commit, Value, ordered_changes
from crdtgraph.state.replay import apply_changes, replay

MERGE_AUTHOR = "crdtgraph"


@dataclass(frozen=True, slots=True)
class PathConflict:
    """A path that both sides changed differently; None where it does not exist. `ours` is the value that stands."""

    path: str
    base: Value
    ours: Value
    theirs: Value


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What merging a ref came to.

    `commit` is the ref's target now. `merged` is False when there was nothing to merge. `parents` are the heads that
    were merged, the winner first.
    """

    commit: CommitId
    parents: tuple[CommitId, ...]
    conflicts: tuple[PathConflict, ...]
    merged: bool


def merge_states(
    bases: Sequence[Mapping[str, Value]], ours: Mapping[str, Value], theirs: Mapping[str, Value]
) -> tuple[dict[str, Value], list[PathConflict]]:
    """The changes that turn `ours` into the merge (None removes), and the conflicts, both ordered by path.

    O(paths in all states).
    """
    changes: dict[str, Value] = {}
    conflicts: list[PathConflict] = []
    for path in sorted(ours.keys() | theirs.keys()):
        mine, other = ours.get(path), theirs.get(path)
        if mine == other:
            continue
        before = [base.get(path) for base in bases] or [None]
        if mine in before and other not in before:
            changes[path] = other
        elif mine in before or other not in before:
            conflicts.append(PathConflict(path, before[0], mine, other))
    return changes, conflicts


def merge_heads(
    projection: Projection, contents: Contents, targets: tuple[CommitId, ...]
) -> tuple[Commit, list[PathConflict]]:
    """The commit that merges these heads, the first of them the base of its state, and the paths in conflict.

    Author, time and message follow from the heads, so whoever merges them makes the same commit.
    O(first-parent chains).
    """
    nodes = [projection.nodes[target] for target in targets]
    first = replay(projection, contents, nodes[0])
    merged = dict(first)
    conflicts: list[PathConflict] = []
    for place, node in enumerate(nodes[1:], 1):
        base_nodes = merge_bases(projection.dag, nodes[:place], [node])
        bases = [replay(projection, contents, base) for base in sorted(base_nodes, key=projection.rank)]
        changes, found = merge_states(bases, merged, replay(projection, contents, node))
        conflicts += found
        apply_changes(merged, changes.items())
    paths = first.keys() | merged.keys()
    changed = {path: merged.get(path) for path in paths if merged.get(path) != first.get(path)}
    commit = Commit(
        targets,
        MERGE_AUTHOR,
        max(projection.times[node] for node in nodes),
        "Merge " + ", ".join(target.hex()[:12] for target in targets),
        ordered_changes(changed),
    )
    return commit, conflicts
