"""Do the sides merge cleanly? Answered before they have exchanged anything.

For every ref that an exchange will leave in conflict this is the three-way merge that `Graph.merge` would then make
(`crdtgraph.state.merge`), by the policies that the ledger will hold then, over the graphs as they lie apart: each
target's state is read where the target is, as what it has that is not in that at a merge base, which all sides have. So
it costs what the sides did since they parted, not what they have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from crdtgraph.divergence.records import latest_value
from crdtgraph.divergence.refs import RefSpread, live_together
from crdtgraph.divergence.sides import Sides
from crdtgraph.ids import CommitId
from crdtgraph.objects.format import ObjectCorruptError
from crdtgraph.reader import meta_namespace
from crdtgraph.records import Reference, Value
from crdtgraph.state import MergePolicy, PathConflict, PathValues, replay
from crdtgraph.state.difference import chains_apart, last_set, values_at
from crdtgraph.state.latest import Head
from crdtgraph.state.merge import merge_states
from crdtgraph.state.policies import META_PREFIX, Policies, read_policies, stored_policies

MERGES_MAX = 50
"""Refs whose merge is tried, in the order of their names."""


@dataclass(frozen=True, slots=True)
class RefMerge:
    """What merging a ref after an exchange will come to: the paths in conflict, none if it is clean."""

    ref: str
    targets: tuple[CommitId, ...]
    conflicts: tuple[PathConflict, ...]


@dataclass(frozen=True, slots=True)
class SharedPath:
    """A path that commits of several sides changed, each for itself, or that is in conflict when a ref is merged.

    `conflicts` are those refs, each with the path's values; none when whatever has to be merged merges cleanly.
    """

    path: str
    conflicts: tuple[tuple[str, PathConflict], ...]


def merges(sides: Sides, spreads: Iterable[RefSpread]) -> tuple[RefMerge, ...]:
    """The merges that refs will need after an exchange, of the first `MERGES_MAX` refs that are in conflict then."""
    needed = [spread for spread in spreads if len(spread.healed) > 1]
    policies = read_policies(_stored_together(sides) if needed else {})
    return tuple(
        RefMerge(spread.name, spread.healed, tuple(conflicts_between(sides, spread.healed, policies)))
        for spread in needed[:MERGES_MAX]
    )


def shared_paths(changed: Iterable[str], found: Iterable[RefMerge]) -> tuple[SharedPath, ...]:
    """Those paths, and all in conflict, ordered."""
    by_path: dict[str, list[tuple[str, PathConflict]]] = {path: [] for path in changed}
    for merge in found:
        for conflict in merge.conflicts:
            by_path.setdefault(conflict.path, []).append((merge.ref, conflict))
    return tuple(SharedPath(path, tuple(by_path[path])) for path in sorted(by_path))


def conflicts_between(sides: Sides, targets: Sequence[CommitId], policies: Policies) -> list[PathConflict]:
    """The paths in conflict when these commits are merged, as `merge_heads` would find them in the joined graph.

    Large sets and texts whose objects no side has here are among them.
    """
    heads = [_head(sides, target) for target in targets]
    found: list[PathConflict] = []
    merged: dict[str, Value] = {}
    for number, target in enumerate(targets[1:], 1):
        _, bases = sides.merge_bases(targets[:number], target)
        start = bases[0] if bases else None
        first, second = _layer(sides, start, targets[0]), _layer(sides, start, target)
        others = [_layer(sides, start, base) for base in bases[1:]]
        paths = first.paths | merged.keys()
        # A path that one side alone changed is taken over, which matters only to a merge that follows.
        paths = paths | second.paths if number < len(targets) - 1 else paths & second.paths
        paths = paths.union(*(other.paths for other in others))
        base = _values(sides, start, paths)
        step = merge_states(
            [base, *(other.over(base) for other in others)] if bases else [],
            first.over(base) | {path: merged[path] for path in merged.keys() & paths},
            second.over(base),
            policies=policies,
            heads=(heads[:number], heads[number : number + 1]),
            load=partial(_object, sides),
        )
        found += step.conflicts
        merged |= step.changes
    return found


def _object(sides: Sides, reference: Reference) -> bytes | None:
    for replica in sides.replicas:
        if replica.has_object(reference):
            with suppress(ObjectCorruptError):
                return replica.object(reference)
    return None


def _stored_together(sides: Sides) -> dict[str, MergePolicy]:
    """The policies that the ledger will hold after an exchange."""
    namespace = meta_namespace(None)
    known = {key for home in sides.homes for key in home.projection.registers.keys(namespace)}
    healed = {
        key: latest_value(live_together(sides, namespace, key)) for key in sorted(known) if key.startswith(META_PREFIX)
    }
    return stored_policies({key: value for key, value in healed.items() if value is not None})


def _head(sides: Sides, commit: CommitId) -> Head:
    home = sides.home_of(commit)
    return Head(home.projection, home.contents, home.projection.nodes[commit])


@dataclass(frozen=True, slots=True)
class _Layer:
    """What the state at one commit may have otherwise than that at another: the values that it has for some paths."""

    values: dict[str, Value]

    @property
    def paths(self) -> set[str]:
        """The paths."""
        return set(self.values)

    def over(self, base: Mapping[str, Value]) -> dict[str, Value]:
        """The state, as far as the paths of `base` go, which is the state at the other commit."""
        return {path: self.values.get(path, value) for path, value in base.items()}


def _layer(sides: Sides, start: CommitId | None, end: CommitId) -> _Layer:
    """The paths that may have another value at `end` than at `start`. O(first parents that they do not share)."""
    place = sides.place_of_all([end] if start is None else [start, end])
    if place is None:
        # A base of other targets, which this one does not build on: all of both states.
        after = _replayed(sides, end)
        before = {} if start is None else _replayed(sides, start)
        return _Layer({path: after.get(path) for path in after.keys() | before.keys()})
    home = sides.homes[place]
    projection, contents = home.projection, home.contents
    node = None if start is None else projection.nodes[start]
    above_start, above_end, meet = chains_apart(projection, node, projection.nodes[end])
    values = last_set(projection, contents, above_end)
    undone = last_set(projection, contents, above_start).keys() - values.keys()
    below = values_at(projection, contents, meet, set(undone))
    return _Layer(values | {path: below.get(path) for path in undone})


def _replayed(sides: Sides, commit: CommitId) -> PathValues:
    home = sides.home_of(commit)
    return replay(home.projection, home.contents, home.projection.nodes[commit])


def _values(sides: Sides, commit: CommitId | None, paths: set[str]) -> dict[str, Value]:
    """The values of paths in the state at a commit; None for those that it lacks."""
    if commit is None:
        return dict.fromkeys(paths)
    home = sides.home_of(commit)
    found = values_at(home.projection, home.contents, home.projection.nodes[commit], set(paths))
    return {path: found.get(path) for path in paths}
