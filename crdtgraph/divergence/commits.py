"""Commits that not all sides have: whose they are, where the sides parted, how far each is behind.

All of it is set arithmetic on ids: O(commits of all sides), a few milliseconds for 40,000 commits, and nothing where
two sides hold the same segments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from crdtgraph.divergence.sides import Sides
from crdtgraph.ids import CommitId


@dataclass(frozen=True, slots=True)
class Scattered:
    """The commits that some side lacks.

    `holders` says for each of them which sides have it, by number, parents first. `fork_points` are the commits that
    every side has and these build on, by id; `first_generation` is the smallest generation among these, the first in
    which the histories are not the same. `ahead[i][j]` counts the commits that side i has and side j lacks, and
    `behind[i]` those that any other side has and i lacks.
    """

    holders: dict[CommitId, tuple[int, ...]]
    fork_points: tuple[CommitId, ...]
    first_generation: int | None
    ahead: tuple[tuple[int, ...], ...]
    behind: tuple[int, ...]

    def held_by(self, place: int) -> tuple[CommitId, ...]:
        """Those of one side, parents first."""
        return tuple(commit for commit, places in self.holders.items() if place in places)


def scattered(sides: Sides) -> Scattered:
    """Find them."""
    places = range(len(sides.homes))
    lacking: dict[CommitId, set[int]] = {}
    for here in places:
        for there in places:
            for commit in _beyond(sides, here, there):
                lacking.setdefault(commit, set()).add(there)
    holders = {
        commit: tuple(place for place in places if place not in lacking[commit])
        for commit in sorted(lacking, key=sides.rank)
    }
    ahead = tuple(
        tuple(sum(here in held and there not in held for held in holders.values()) for there in places)
        for here in places
    )
    behind = tuple(sum(place not in held for held in holders.values()) for place in places)
    first = next(iter(holders), None)
    generation = None if first is None else sides.rank(first)[0]
    return Scattered(holders, _fork_points(sides, holders), generation, ahead, behind)


def paths_changed(sides: Sides, place: int, commits: Iterable[CommitId]) -> set[str]:
    """The paths that some commits of one side change."""
    home = sides.homes[place]
    nodes, locations = home.projection.nodes, home.projection.locations
    wanted = sorted(locations[nodes[commit]] for commit in commits)
    return {path for changes in home.contents.changes(wanted) for path, _ in changes}


def _beyond(sides: Sides, here: int, there: int) -> Iterable[CommitId]:
    """What one side has and another lacks."""
    if here == there or sides.hold_the_same(here, there):
        return ()
    known = sides.homes[there].projection.nodes
    return [commit for commit in sides.homes[here].projection.ids if commit not in known]


def _fork_points(sides: Sides, holders: dict[CommitId, tuple[int, ...]]) -> tuple[CommitId, ...]:
    found: set[CommitId] = set()
    for commit, places in holders.items():
        projection = sides.homes[places[0]].projection
        parents = (projection.ids[parent] for parent in projection.dag.parents(projection.nodes[commit]))
        found.update(parent for parent in parents if parent not in holders)
    return tuple(sorted(found))
