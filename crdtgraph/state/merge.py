"""Three-way merge of states, path by path.

What one side left as it was in the base takes the other side's value; what both changed alike is that. What both
changed apart is in dispute, and the path's policy decides (`crdtgraph.state.resolving`): without one it is a conflict,
reported, and the value of the first side stands, which all replicas order alike. No policy is asked about a path that
only one side changed. One is about what both changed alike: a counter that both raised by one was raised by two.

A criss-cross history has several merge bases. Instead of merging them into a virtual one (git's recursive strategy) a
side counts as unchanged when its value is that of any base: it never hides a conflict that a chain of merges would
have reported between two different bases, because there both sides may be unchanged and still differ, and then it is
in dispute.

States are read and never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crdtgraph.ancestry import merge_bases
from crdtgraph.contents import Contents
from crdtgraph.ids import CommitId
from crdtgraph.objects.format import as_kept
from crdtgraph.projection import Projection
from crdtgraph.records import Commit, Value, ordered_changes
from crdtgraph.state.difference import chains_apart, last_set
from crdtgraph.state.latest import Head, moments
from crdtgraph.state.policies import NO_POLICIES, MergeFunction, MergePolicy, Policies
from crdtgraph.state.resolving import Dispute, Load, resolve

MERGE_AUTHOR = "crdtgraph"


@dataclass(frozen=True, slots=True)
class PathConflict:
    """A path that both sides changed differently; None where it does not exist. `ours` is the value that stands."""

    path: str
    base: Value
    ours: Value
    theirs: Value


@dataclass(frozen=True, slots=True)
class SettledPath:
    """A path in dispute that a policy decided, and the value that stands, None where that is removed.

    `policy` is its name, or "function". Of a path that several heads disagree about there is one for each of them.
    """

    path: str
    policy: str
    value: Value


@dataclass(frozen=True, slots=True)
class MergeResult:
    """What merging a ref came to.

    `commit` is the ref's target now. `merged` is False when there was nothing to merge. `parents` are the heads that
    were merged, the winner first. `conflicts` are paths that both sides changed and no policy decided, `settled` those
    that one did.
    """

    commit: CommitId
    parents: tuple[CommitId, ...]
    conflicts: tuple[PathConflict, ...]
    merged: bool
    settled: tuple[SettledPath, ...] = ()


class StateMerge(NamedTuple):
    """The changes that turn the first side into the merge (None removes), and what was in dispute; ordered by path.

    A large value that a policy made is itself in the changes, and its reference in what was in dispute.
    """

    changes: dict[str, Value]
    conflicts: list[PathConflict]
    settled: list[SettledPath]


def merge_states(
    bases: Sequence[Mapping[str, Value]],
    ours: Mapping[str, Value],
    theirs: Mapping[str, Value],
    *,
    paths: Iterable[str] | None = None,
    policies: Policies = NO_POLICIES,
    heads: tuple[Sequence[Head], Sequence[Head]] = ((), ()),
    load: Load | None = None,
) -> StateMerge:
    """Merge two states.

    Args:
        bases: the states of the merge bases, ordered by rank.
        ours: the state of the first side.
        theirs: the state of the second.
        paths: all that may differ; the states are looked at nowhere else. All paths by default.
        policies: what decides about paths in dispute.
        heads: the commits whose states the sides are; several if they were merged before. Only `latest` needs them,
            and finds a conflict without.
        load: gives the bytes of objects, for sets and texts that are large; without it those are in conflict.

    Raises what `load` does, and LocalError when a policy that is a function fails. O(paths), and what policies cost.
    """
    adding = policies.has(MergePolicy.SUM)
    changes: dict[str, Value] = {}
    disputes: list[tuple[Dispute, MergePolicy | MergeFunction]] = []
    for path in sorted(ours.keys() | theirs.keys() if paths is None else paths):
        mine, other = ours.get(path), theirs.get(path)
        if mine == other and not adding:
            continue
        before = tuple(base.get(path) for base in bases) or (None,)
        if mine != other and mine in before and other not in before:
            changes[path] = other
        elif mine != other and (mine in before or other not in before):
            disputes.append((Dispute(path, before, mine, other), policies.of(path)))
        elif mine == other and mine not in before and policies.of(path) is MergePolicy.SUM:
            disputes.append((Dispute(path, before, mine, other), MergePolicy.SUM))
    latest = _latest([dispute for dispute, policy in disputes if policy is MergePolicy.LATEST], heads)
    conflicts: list[PathConflict] = []
    settled: list[SettledPath] = []
    for dispute, policy in disputes:
        path, mine, other = dispute.path, dispute.ours, dispute.theirs
        value = latest[path] if path in latest else resolve(dispute, policy, load)
        if not isinstance(value, MergePolicy):
            name = policy.value if isinstance(policy, MergePolicy) else "function"
            settled.append(SettledPath(path, name, as_kept(value)))
            if value != mine:
                changes[path] = value
        elif mine != other:
            # Of several heads the first may have come to a large value in an earlier step.
            conflicts.append(PathConflict(path, dispute.base, as_kept(mine), other))
    return StateMerge(dict(sorted(changes.items())), conflicts, settled)


def merge_heads(
    projection: Projection,
    contents: Contents,
    targets: tuple[CommitId, ...],
    state_of: Callable[[int], Mapping[str, Value]],
    policies: Policies = NO_POLICIES,
    load: Load | None = None,
) -> tuple[Commit, list[PathConflict], list[SettledPath]]:
    """The commit that merges these heads, the first of them the base of its state, and the paths that were in dispute.

    Author, time and message follow from the heads, and the changes from the heads and the policies, so whoever merges
    them by the same policies makes the same commit. `state_of` gives the state at a node, `load` what is in an object.

    Looks at the paths that the heads' chains of first parents set above where they meet, and at no others: O(those
    chains), and what `state_of` and the policies cost.
    """
    nodes = [projection.nodes[target] for target in targets]
    heads = [Head(projection, contents, node) for node in nodes]
    first = state_of(nodes[0])
    changed: dict[str, Value] = {}
    conflicts: list[PathConflict] = []
    settled: list[SettledPath] = []
    for place, node in enumerate(nodes[1:], 1):
        bases = sorted(merge_bases(projection.dag, nodes[:place], [node]), key=projection.rank)
        paths = _may_differ(projection, contents, nodes[0], node) | changed.keys()
        if policies.has(MergePolicy.SUM) and len(bases) == 1:
            # What both sides changed alike counts, too.
            paths |= _may_differ(projection, contents, nodes[0], bases[0])
        merged = merge_states(
            [state_of(base) for base in bases],
            {path: changed[path] if path in changed else first.get(path) for path in paths},
            state_of(node),
            paths=paths,
            policies=policies,
            heads=(heads[:place], heads[place : place + 1]),
            load=load,
        )
        conflicts += merged.conflicts
        settled += merged.settled
        changed |= merged.changes
    commit = Commit(
        targets,
        MERGE_AUTHOR,
        max(projection.times[node] for node in nodes),
        "Merge " + ", ".join(target.hex()[:12] for target in targets),
        ordered_changes({path: value for path, value in changed.items() if value != first.get(path)}),
    )
    return commit, conflicts, settled


def _may_differ(projection: Projection, contents: Contents, one: int, other: int) -> set[str]:
    """All paths that may not have the same value at two nodes."""
    above_one, above_other, _ = chains_apart(projection, one, other)
    return last_set(projection, contents, above_one).keys() | last_set(projection, contents, above_other).keys()


def _latest(disputes: list[Dispute], heads: tuple[Sequence[Head], Sequence[Head]]) -> dict[str, Value]:
    """Those that can be decided by which side set the path last, and the values."""
    if not disputes:
        return {}
    ours = moments(heads[0], {dispute.path: dispute.ours for dispute in disputes})
    theirs = moments(heads[1], {dispute.path: dispute.theirs for dispute in disputes})
    found: dict[str, Value] = {}
    for dispute in disputes:
        mine, other = ours.get(dispute.path), theirs.get(dispute.path)
        if mine != other:
            later = other is not None and (mine is None or other > mine)
            found[dispute.path] = dispute.theirs if later else dispute.ours
    return found
