"""Do the sides merge cleanly? Answered before they have exchanged anything.

For every ref that an exchange will leave in conflict this is the three-way merge that `Graph.merge` would then make
(`crdtgraph.state.merge`), over the graphs as they lie apart: each target's state is read where the target is, as what
it has that is not in that at a merge base, which all sides have. So it costs what the sides did since they parted, not
what they have in common.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from crdtgraph.divergence.refs import RefSpread
from crdtgraph.divergence.sides import Sides
from crdtgraph.ids import CommitId
from crdtgraph.records import Value
from crdtgraph.state import PathChange, PathConflict, State, replay
from crdtgraph.state.difference import difference, values_at
from crdtgraph.state.merge import merge_states

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
    return tuple(
        RefMerge(spread.name, spread.healed, tuple(conflicts_between(sides, spread.healed)))
        for spread in needed[:MERGES_MAX]
    )


def shared_paths(changed: Iterable[str], found: Iterable[RefMerge]) -> tuple[SharedPath, ...]:
    """Those paths, and all in conflict, ordered."""
    by_path: dict[str, list[tuple[str, PathConflict]]] = {path: [] for path in changed}
    for merge in found:
        for conflict in merge.conflicts:
            by_path.setdefault(conflict.path, []).append((merge.ref, conflict))
    return tuple(SharedPath(path, tuple(by_path[path])) for path in sorted(by_path))


def conflicts_between(sides: Sides, targets: Sequence[CommitId]) -> list[PathConflict]:
    """The paths in conflict when these commits are merged, as `merge_heads` would find them in the joined graph."""
    found: list[PathConflict] = []
    merged: dict[str, Value] = {}
    for number, target in enumerate(targets[1:], 1):
        place, bases = sides.merge_bases(targets[:number], target)
        start = bases[0] if bases else None
        first, second = _beyond(sides, start, targets[0]), _beyond(sides, start, target)
        others = [_beyond(sides, start, base) for base in bases[1:]]
        base = {path: change.before for layer in (first, second, *others) for path, change in layer.items()}
        base |= _values(sides, place, start, merged.keys() - base.keys())
        changes, conflicts = merge_states(
            [_state(base, layer) for layer in ({}, *others)] if bases else [],
            _state(base, first) | merged,
            _state(base, second),
        )
        found += conflicts
        merged |= changes
    return found


def _beyond(sides: Sides, start: CommitId | None, end: CommitId) -> dict[str, PathChange]:
    """The paths that have another value at `end` than at `start`."""
    place = sides.place_of_all([end] if start is None else [start, end])
    if place is None:
        # The base of other targets, that this one does not build on.
        before, after = ({} if each is None else _replayed(sides, each) for each in (start, end))
        paths = sorted(before.keys() | after.keys())
        changes = (PathChange(path, before.get(path), after.get(path)) for path in paths)
        return {change.path: change for change in changes if change.before != change.after}
    home = sides.homes[place]
    nodes = home.projection.nodes
    node = None if start is None else nodes[start]
    return {change.path: change for change in difference(home.projection, home.contents, node, nodes[end])}


def _replayed(sides: Sides, commit: CommitId) -> State:
    home = sides.home_of(commit)
    return replay(home.projection, home.contents, home.projection.nodes[commit])


def _values(sides: Sides, place: int, commit: CommitId | None, paths: set[str]) -> dict[str, Value]:
    home = sides.homes[place]
    node = None if commit is None else home.projection.nodes[commit]
    found = values_at(home.projection, home.contents, node, set(paths))
    return {path: found.get(path) for path in paths}


def _state(base: Mapping[str, Value], layer: Mapping[str, PathChange]) -> dict[str, Value]:
    return {path: layer[path].after if path in layer else value for path, value in base.items()}
