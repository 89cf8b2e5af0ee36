"""A projection above another one: the fold of a search, which stands on commits of the ledger.

A commit of the ledger that the search builds on, counts for or discards below is a *base*: a root here, in no digest of
commits. Two planes travel by different ways, so what the search says may come before the commits of the ledger that it
builds on, or after them, and a commit that was promoted elsewhere may come by the ledger before it comes by the search.
What holds in the end, whatever came first:

    a record waits until its commit (or parent) is visible here, or in the ledger;
    a commit that a segment of the search brought is the search's own, whether or not the ledger has it as well;
    a commit of the ledger that no segment brought is a base, if anything needs it;
    what has been discarded is so with all that follows, be it by way of the ledger: a base below it is discarded, too.

The last is more than fairness. A writer lets go of what was discarded (compaction.py); if somebody promotes it
all the same, it is a base for whoever comes later, and must be no more alive than for those who still have the record.

So the digest is a function of the segments of the search and of which commits that they name are in the ledger. Being a
base says nothing by itself: asking makes one, and no peer can tell.

The ledger tells when a commit arrives that something here waits for. A base whose record arrives later is *claimed*: it
gets its parents, and with them perhaps a discard above, for itself and all that follows. Parents have smaller numbers
than their children, so the nodes are then numbered anew, in memory and about 2 us a commit.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from typing import NamedTuple

from crdtgraph.ancestry import is_ancestor
from crdtgraph.dates import CorrectedDates
from crdtgraph.ids import CommitId
from crdtgraph.index import Index
from crdtgraph.pending import Pending, WaitingRecord
from crdtgraph.projection import Projection
from crdtgraph.records import Assign, Discard


class _Claim(NamedTuple):
    """What a record says of a commit that is a base."""

    parents: tuple[CommitId, ...]
    time: int
    location: int


class _Waits(Pending):
    """Waiting records, with what has been waited for since somebody looked."""

    __slots__ = ("fresh", "released")

    def __init__(self, released: Callable[[CommitId], object]) -> None:
        super().__init__()
        self.fresh: list[CommitId] = []
        self.released = released

    def wait(self, missing: CommitId, record: WaitingRecord) -> None:
        super().wait(missing, record)
        self.fresh.append(missing)

    def release(self, arrived: CommitId) -> list[WaitingRecord]:
        found = super().release(arrived)
        if found:
            self.released(arrived)
        return found

    def forget(self, record: CommitId | Discard | Assign) -> None:
        super().forget(record)
        if isinstance(record, bytes) and record in self.by_missing:
            # What waits for it may stand on the ground now.
            self.fresh.append(record)

    def _drop(self, missing: CommitId) -> None:
        super()._drop(missing)
        self.released(missing)


class GroundedProjection(Projection):
    """The fold of a plane that stands on `ground`. `locate` gives a location to the content of a commit of the ground.

    After whatever may have made records wait, `settle` has to be called.
    """

    __slots__ = (
        "_claims",
        "_ground",
        "_ground_seen",
        "_locate",
        "_roots",
        "_roots_seen",
        "_sunk",
        "_waits",
        "on_numbering",
    )

    def __init__(self, ground: Projection, locate: Callable[[CommitId], int]) -> None:
        super().__init__()
        self._ground = ground
        self._locate = locate
        self.on_numbering: Callable[[list[CommitId] | None], object] = bool
        """Called with None before nodes are numbered anew, and then with the commits that were bases, parents first."""
        self._claims: dict[CommitId, _Claim] = {}
        # Nodes of the ground that were discarded here, among so many of its commits and of these roots.
        self._sunk: dict[int, None] = {}
        self._ground_seen = len(ground.ids)
        self._roots, self._roots_seen = self.discards.roots, 0
        self.pending = self._waits = _Waits(self._stop_awaiting)

    def stand_on(self, commit: CommitId) -> bool:
        """Whether something here can build on a commit: one of the ground becomes a base by it. O(1)."""
        if commit in self.nodes:
            return True
        node = self._ground.nodes.get(commit)
        if node is None:
            return False
        place = len(self.ids)
        self.add_base(commit, self._ground.times[node], self._locate(commit))
        if any(is_ancestor(self._ground.dag, root, node) for root in self._find_sunk()):
            self.discards.marks[place] = 1
        return True

    def add_discard(self, discard: Discard) -> None:
        """See `Projection.add_discard`; bases that follow from the commit by way of the ground go with it."""
        super().add_discard(discard)
        root = self._ground.nodes.get(discard.commit)
        if root is None or discard.commit not in self.nodes:
            return
        for base in sorted(self.bases):
            node = self._ground.nodes[self.ids[base]]
            if base not in self.discards and is_ancestor(self._ground.dag, root, node):
                self._leaving += self.discards.mark(self.dag, base)

    def settle(self) -> bool:
        """Find the ground for what waits, and give claimed bases their parents; whether nodes were numbered anew."""
        waits = self._waits
        while waits.fresh:
            fresh, waits.fresh = waits.fresh, []
            for missing in fresh:
                # One whose record is here waits for its own parents, and does not become a base.
                if missing not in waits.by_missing or waits.holds(missing):
                    continue
                if self.stand_on(missing):
                    self._release(missing)
                else:
                    tell = self._ground.awaited.setdefault(missing, [])
                    if self._arrive not in tell:
                        tell.append(self._arrive)
        if not self._claims:
            return False
        self._number_anew()
        return True

    def live_count(self) -> int:
        """How many commits are live; O(bases) and at memory's speed in the number of commits."""
        return super().live_count() + sum(base in self.discards for base in self.bases)

    def leave(self) -> None:
        """Have the ground tell nothing any more; it is of no use then, and nothing in it refers to it in a circle."""
        for missing in self._waits.by_missing:
            self._stop_awaiting(missing)
        del self.pending, self._waits, self._locate, self.on_numbering

    # Inside

    def _arrive(self, commit: CommitId) -> None:
        """The ground has a commit that was awaited."""
        self._waits.fresh.append(commit)
        self.settle()

    def _find_sunk(self) -> dict[int, None]:
        """The nodes of the ground that were discarded here. O(what is new in the ground and of discards)."""
        ground, roots = self._ground, self.discards.roots
        if roots is not self._roots:
            self._roots, self._roots_seen, self._sunk = roots, 0, {}
        for commit in roots.order[self._roots_seen :]:
            if commit in ground.nodes:
                self._sunk[ground.nodes[commit]] = None
        for commit in ground.ids[self._ground_seen :]:
            if commit in roots:
                self._sunk[ground.nodes[commit]] = None
        self._roots_seen, self._ground_seen = len(roots.order), len(ground.ids)
        return self._sunk

    def _stop_awaiting(self, commit: CommitId) -> None:
        tell = self._ground.awaited.get(commit)
        if tell is not None and self._arrive in tell:
            tell.remove(self._arrive)
            if not tell:
                del self._ground.awaited[commit]

    def _add_again(self, commit: CommitId, parents: tuple[CommitId, ...], time: int, location: int) -> bool:
        if self.nodes[commit] not in self.bases or commit in self._claims:
            return False
        self._claims[commit] = _Claim(parents, time, location)
        return True

    def _number_anew(self) -> None:
        self.on_numbering(None)
        claims, self._claims = self._claims, {}
        for claim in claims.values():
            for parent in claim.parents:
                # The ground has what one of its commits builds on.
                self.stand_on(parent)
        self._let_leave()
        ids, old_dag, old_nodes = [*self.ids], self.dag, dict(self.nodes)
        times, locations, marks = self.times[:], self.locations[:], bytes(self.discards.marks)
        bases, claimed = set(self.bases), {old_nodes[commit]: claim for commit, claim in claims.items()}

        def parents(node: int) -> tuple[int, ...]:
            claim = claimed.get(node)
            return old_dag.parents(node) if claim is None else tuple(old_nodes[each] for each in claim.parents)

        self.dag, self.times, self.locations = Index(), array("q"), array("Q")
        self.dates = CorrectedDates(self.dag, self.times)
        self.ids.clear()
        self.bases.clear()
        self.discards.marks.clear()
        for node in _parents_first(len(ids), parents):
            commit, own = ids[node], claimed.get(node)
            above = [self.nodes[ids[parent]] for parent in parents(node)]
            place = self.nodes[commit] = self.dag.append(above)
            self.ids.append(commit)
            self.times.append(times[node] if own is None else own.time)
            self.locations.append(locations[node] if own is None else own.location)
            self.discards.append(above)
            self.discards.marks[place] |= marks[node]
            is_dead = place in self.discards
            if is_dead and not marks[node]:
                self.counters.leave(commit)
            if node in bases and own is None:
                self.bases.add(place)
            # A base was in no sum; what a discard has only now got hold of leaves it.
            counted = node not in bases and not marks[node]
            self._commit_sum += (int(not is_dead and place not in self.bases) - counted) * int.from_bytes(commit, "big")
        self.renumbered += 1
        self.on_numbering(sorted(claims, key=self.nodes.__getitem__))


def _parents_first(count: int, parents: Callable[[int], tuple[int, ...]]) -> Iterator[int]:
    """The nodes 0 to `count` - 1, parents before children and otherwise as they are."""
    placed = bytearray(count)
    for start in range(count):
        stack = [start]
        while stack:
            node = stack[-1]
            missing = () if placed[node] else tuple(each for each in parents(node) if not placed[each])
            stack.extend(reversed(missing))
            if not missing:
                stack.pop()
                if not placed[node]:
                    placed[node] = 1
                    yield node
