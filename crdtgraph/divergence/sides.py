"""Questions about commits of several replicas at once, answered without joining their graphs.

Whoever shows a commit shows all its ancestors. So two commits that no replica has both of are unrelated, and what two
commits have in common, every replica that has one of them has as well. That is all it takes: the *frontier* of a
commit in a replica that lacks it are the commits there that it builds on first, and common ancestors with it are
common ancestors with its frontier.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crdtgraph import ancestry
from crdtgraph.errors import LocalError
from crdtgraph.ids import CommitId
from crdtgraph.largevalues import LargeValues
from crdtgraph.planes import Plane

Rank = tuple[int, int, CommitId]


class Sides:
    """One plane of several replicas. Frontiers that were asked for are remembered.

    Raises LocalError when the replicas belong to different clusters.
    """

    def __init__(self, replicas: Sequence[LargeValues], plane: str) -> None:
        first = replicas[0].cluster
        for replica in replicas:
            if replica.cluster != first:
                raise LocalError(
                    f"the replicas belong to different clusters, {first!r} and {replica.cluster!r}",
                    hint="replicas of different clusters never exchange anything",
                )
        self.replicas = replicas
        self.plane = plane
        self.homes: tuple[Plane, ...] = tuple(replica._plane(plane) for replica in replicas)
        self._set_digests = tuple(replica.set_digest(plane) for replica in replicas)
        # What is not written yet is folded already, and in no segment.
        self._written = tuple(not len(home.buffer) and not home.unsettled() for home in self.homes)
        self._frontiers: dict[tuple[CommitId, int], frozenset[int]] = {}

    def hold_the_same(self, here: int, there: int) -> bool:
        """Whether two replicas are made of the same segments, and so show the same."""
        written = self._written[here] and self._written[there]
        return written and self._set_digests[here] == self._set_digests[there]

    def home_of(self, commit: CommitId) -> Plane:
        """The first replica that shows a commit; at least one must."""
        return self.homes[self.place_of(commit)]

    def place_of(self, commit: CommitId) -> int:
        """The number of the first replica that shows a commit; at least one must."""
        return next(place for place, home in enumerate(self.homes) if commit in home.projection.nodes)

    def place_of_all(self, commits: Sequence[CommitId]) -> int | None:
        """The number of the first replica that shows all of these commits, if there is one."""
        places = range(len(self.homes))
        return next((each for each in places if all(c in self.homes[each].projection.nodes for c in commits)), None)

    def shows(self, commit: CommitId) -> bool:
        """Whether any replica does."""
        return any(commit in home.projection.nodes for home in self.homes)

    def rank(self, commit: CommitId) -> Rank:
        """What winners are picked by, equal wherever a commit is: generation, time, id."""
        projection = self.home_of(commit).projection
        return projection.rank(projection.nodes[commit])

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId) -> bool:
        """Whether the first is the second or comes before it."""
        projection = self.home_of(descendant).projection
        node = projection.nodes.get(ancestor)
        return node is not None and projection.is_ancestor_node(node, projection.nodes[descendant])

    def independent(self, commits: Iterable[CommitId]) -> tuple[CommitId, ...]:
        """Those that are ancestors of no other, the winner first. O(n * n) questions of ancestry."""
        found = sorted(set(commits), key=self.rank, reverse=True)
        return tuple(
            commit
            for place, commit in enumerate(found)
            # An ancestor has a smaller generation, so it comes later in this order.
            if not any(self.is_ancestor(commit, other) for other in found[:place])
        )

    def nodes_at(self, place: int, commits: Iterable[CommitId]) -> set[int]:
        """The nodes of commits in one replica, with the frontiers of those that it lacks."""
        nodes = self.homes[place].projection.nodes
        found: set[int] = set()
        for commit in commits:
            node = nodes.get(commit)
            found.update([node] if node is not None else self._frontier(commit, place))
        return found

    def only(self, included: Sequence[CommitId], excluded: Iterable[CommitId]) -> set[CommitId]:
        """What the included ones and their ancestors are beyond the excluded ones and theirs.

        One replica must have all that are included.
        """
        place = self.place_of_all(included)
        assert place is not None
        projection = self.homes[place].projection
        nodes = ancestry.only(projection.dag, self.nodes_at(place, included), self.nodes_at(place, excluded))
        return {projection.ids[node] for node in nodes}

    def merge_bases(self, first: Sequence[CommitId], second: CommitId) -> tuple[int, list[CommitId]]:
        """All best common ancestors of the first ones, taken together, and of the second, the lowest rank first.

        Also the number of a replica that has the second and the bases.
        """
        place = self.place_of(second)
        projection = self.homes[place].projection
        bases = ancestry.merge_bases(projection.dag, self.nodes_at(place, first), [projection.nodes[second]])
        return place, [projection.ids[node] for node in sorted(bases, key=projection.rank)]

    def _frontier(self, commit: CommitId, place: int) -> frozenset[int]:
        """The nodes of one replica that a commit which it lacks builds on first. O(commits in between)."""
        found = self._frontiers.get((commit, place))
        if found is None:
            theirs = self.home_of(commit).projection
            nodes = self.homes[place].projection.nodes
            seen = {theirs.nodes[commit]}
            stack = list(seen)
            reached: set[int] = set()
            while stack:
                for parent in theirs.dag.parents(stack.pop()):
                    here = nodes.get(theirs.ids[parent])
                    if here is not None:
                        reached.add(here)
                    elif parent not in seen:
                        seen.add(parent)
                        stack.append(parent)
            found = self._frontiers[commit, place] = frozenset(reached)
        return found
