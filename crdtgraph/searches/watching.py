"""What came into a search since somebody looked: for whoever keeps a picture of the tree and must not walk it again.

    watch = search.watch()
    ...
    news = watch.take()
    for commit in news.commits: ...

Commits and discards cost whoever writes them nothing: a plane keeps both in order of arrival, so a watch is a place in
that order. Of counts and registers it notes which were changed by others, each once, and not how: totals and values are
read when they are wanted. What the search that the watch belongs to counts and assigns itself is not listed; its own
commits and discards are.

What was discarded may be gone from the search as soon as `take` has told of it, and not before, so that whoever reads
the totals of a commit need not expect that it is not there; but a watch that nobody looks at holds nothing up for ever.

A watch takes memory for so many names at most; one that nobody looks at gives up on names and says "everything". Of
commits that were gone before anybody looked it does not tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crdtgraph.ids import CommitId

if TYPE_CHECKING:
    from crdtgraph.searches.plane import SearchPlane
    from crdtgraph.segment import Segment

NAMES_MAX = 100_000
"""Commits with new totals that a watch notes before it gives up on names; about 10 MB."""


@dataclass(frozen=True, slots=True)
class News:
    """What came in since the last look; each a tuple in order of first arrival, each thing once.

    `commits` are new visible commits, parents first; `counted` visible commits whose totals may have changed;
    `discarded` the roots that were thrown away; `assigned` the keys of registers that were assigned.
    """

    commits: tuple[CommitId, ...] = ()
    counted: tuple[CommitId, ...] = ()
    discarded: tuple[CommitId, ...] = ()
    assigned: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.commits or self.counted or self.discarded or self.assigned)


class Watch:
    """One reader's place in a search. `owner` is whoever writes through the same search, and wants no echo."""

    __slots__ = ("_assigned", "_commits", "_counted", "_discarded", "_is_full", "_nodes", "_plane", "_roots", "owner")

    def __init__(self, plane: SearchPlane, owner: object) -> None:
        self._plane = plane
        self.owner = owner
        self._counted: dict[CommitId, None] = {}
        self._assigned: dict[str, None] = {}
        self._is_full = False
        # What an earlier projection of the plane had and was not taken yet, and the places in this one.
        self._commits: list[CommitId] = []
        self._discarded: list[CommitId] = []
        self._nodes = len(plane.projection.ids)
        self._roots = len(plane.projection.discards.roots.order)

    def take(self) -> News:
        """What came since the last call, or since the watch was made. O(what is in it), 0.3 us when there is nothing.

        After so much that the watch gave up on names, all commits with totals and all keys are in it.
        """
        if self._plane.is_dropped:
            return _NOTHING
        projection = self._plane.projection
        if (
            not self._counted
            and not self._assigned
            and not self._is_full
            and len(projection.ids) == self._nodes
            and len(projection.discards.roots.order) == self._roots
            and not self._commits
            and not self._discarded
        ):
            return _NOTHING
        self._collect()
        if self._is_full:
            self._counted = dict.fromkeys(commit for commit, _ in projection.counters if commit in projection.nodes)
            self._assigned = dict.fromkeys(self._plane.keys())
        news = News(tuple(self._commits), tuple(self._counted), tuple(self._discarded), tuple(self._assigned))
        self._commits, self._discarded = [], []
        self._counted, self._assigned, self._is_full = {}, {}, False
        return news

    @property
    def knows_discards(self) -> bool:
        """Whether all that was discarded was taken: only then it may be gone."""
        return not self._discarded and len(self._plane.projection.discards.roots.order) == self._roots

    def close(self) -> None:
        """Look no more, so that writers need not note anything. Closing again does nothing."""
        if self in self._plane.watches:
            self._plane.watches.remove(self)

    def note_counted(self, commit: CommitId) -> None:
        """A commit's totals were changed by somebody else."""
        if not self._is_full:
            self._counted[commit] = None
            if len(self._counted) > NAMES_MAX:
                self._give_up()

    def note_assigned(self, key: str) -> None:
        """A register was assigned by somebody else."""
        if not self._is_full:
            self._assigned[key] = None
            if len(self._assigned) > NAMES_MAX:
                self._give_up()

    def leave(self) -> None:
        """The plane is about to have another projection, with other places: note what is new in this one."""
        self._collect()

    def enter(self, claimed: Iterable[CommitId] = ()) -> None:
        """The plane has other places now, all of which were noted but for these commits."""
        self._commits += claimed
        self._forget_gone()
        self._nodes = len(self._plane.projection.ids)
        self._roots = len(self._plane.projection.discards.roots.order)

    def _collect(self) -> None:
        projection = self._plane.projection
        ids, bases = projection.ids, projection.bases
        if bases:
            self._commits += [ids[node] for node in range(self._nodes, len(ids)) if node not in bases]
        else:
            self._commits += ids[self._nodes :]
        self._discarded += projection.discards.roots.order[self._roots :]
        self.enter()

    def _forget_gone(self) -> None:
        """Whoever never heard of a commit need not hear of it, or of its discard, when it is gone already."""
        nodes = self._plane.projection.nodes
        gone = {commit for commit in self._commits if commit not in nodes}
        if gone:
            self._commits = [commit for commit in self._commits if commit not in gone]
            self._discarded = [root for root in self._discarded if root not in gone]
        self._counted = {commit: None for commit in self._counted if commit in nodes}

    def _give_up(self) -> None:
        self._is_full = True
        self._counted, self._assigned = {}, {}


def note_segments(watches: Iterable[Watch], plane: SearchPlane, segments: Iterable[Segment]) -> None:
    """Let watches note what segments of others have counted and assigned.

    A count of a commit that is not visible yet is not noted: the commit will be news itself.
    """
    nodes = plane.projection.nodes
    for segment in segments:
        counted = [count.commit for count in segment.counts if count.commit in nodes]
        for watch in watches:
            for commit in counted:
                watch.note_counted(commit)
            for assign in segment.assigns:
                watch.note_assigned(assign.key)


_NOTHING = News()
