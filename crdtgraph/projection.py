"""The projection: everything a replica knows, folded from the segments that it holds.

A pure function of the set of segments. Each fold below is commutative, associative and idempotent, so the same set
gives the same projection whatever the order, the repetition and the grouping in which segments came:

    commits     set union by id; visible once all parents are (until then pending)
    registers   multi-value registers (registers.py)
    counters    sums of integers, once per segment (counters.py)
    discards    a grow-only set of roots (discards.py)

The digest is a set hash: for each component the sum modulo 2**256 of one SHA-256 per item, after Bellare and
Micciancio's AdHASH (1997). Adding or removing an item is one addition, independent of order. A commit's item is its id,
which is already the hash of canonical bytes that begin like no other item's.

Local records enter through the same methods before they are in any segment; `folded_own` then names the segment.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from crdtgraph.ancestry import is_ancestor
from crdtgraph.counters import Counters
from crdtgraph.dates import CorrectedDates
from crdtgraph.discards import Discards
from crdtgraph.growing import GrowingSet
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.index import Index
from crdtgraph.pending import Pending, PendingCommit, PendingCount
from crdtgraph.records import REF_NAMESPACE, Assign, Count, Discard
from crdtgraph.refs import Refs
from crdtgraph.registers import Registers
from crdtgraph.segment import Segment

if TYPE_CHECKING:
    from crdtgraph.checkpoints.checkpoint import Checkpoint

_MASK = (1 << 256) - 1
_DOMAIN = b"crdtgraph projection\0"

NOT_PACKED = SegmentKey(0, 0)
"""Stands for the segment of a count that is in none yet: only counts that wait for a commit are asked for theirs."""
NO_LOCATION = 0
BLOCK_ROWS = 4_096
"""Rows (commits in order of arrival) that a checkpoint keeps under one key, about 300 kB.

Another number needs another `MAGIC`.
"""


class Components(NamedTuple):
    """The digest before the last hash: what differs when two digests differ."""

    commits: bytes
    assignments: bytes
    counters: bytes


class Projection:
    """All folds of one plane. Nodes are dense integers in order of arrival; `ids[node]` names the commit.

    `locations[node]` is a number that the owner gives to each commit to find its content again; the projection
    itself never looks at it.
    """

    __slots__ = (
        "_commit_sum",
        "_folded",
        "_leaving",
        "awaited",
        "bases",
        "counters",
        "dag",
        "dates",
        "discards",
        "ids",
        "locations",
        "moved",
        "nodes",
        "pending",
        "refs",
        "registers",
        "renumbered",
        "superseded",
        "times",
    )

    def __init__(self) -> None:
        self.dag = Index()
        self.ids: list[CommitId] = []
        self.nodes: dict[CommitId, int] = {}
        self.times = array("q")
        self.locations = array("Q")
        self.dates = CorrectedDates(self.dag, self.times)
        self.pending = Pending()
        self.registers = Registers()
        self.counters = Counters()
        self.discards = Discards()
        self.refs = Refs(self)
        self.superseded: GrowingSet[SegmentKey] = GrowingSet()
        self.moved: set[int] = set()
        """The blocks of rows of `BLOCK_ROWS` in which a location has changed since this was emptied."""
        self._folded: dict[SegmentKey, set[bytes]] = {}
        self._commit_sum = 0
        self._leaving: list[int] = []
        self.bases: set[int] = set()
        """Nodes of commits that another plane holds and this one builds on."""
        self.awaited: dict[CommitId, list[Callable[[CommitId], object]]] = {}
        """Who is to be told when a commit becomes visible here: planes that build on this one. Emptied by that."""
        self.renumbered = 0
        """How often nodes were given other numbers, which only happens above another plane."""

    # As it was

    def restore(self, kept: Checkpoint) -> None:
        """Become what was kept; only for an empty projection."""
        self.dag.restore(kept.generations, kept.edge_starts, kept.edge_parents, kept.previous_children)
        self.times[:] = kept.times
        self.locations[:] = kept.locations
        self.dates.restore(kept.dates)
        self.ids += kept.ids
        self.nodes.update(zip(kept.ids, range(len(kept.ids)), strict=True))
        self.discards.marks[:] = kept.marks
        self.discards.roots.update(kept.roots)
        self.superseded.update(kept.superseded)
        self._folded = {key: {digest} for key, digest in kept.held.items()}
        self._commit_sum, registers, counters = kept.sums
        self.registers.restore(kept.assigns, kept.superseded_dots, registers)
        self.counters.restore(kept.totals, counters)
        for missing, record in kept.pending:
            self.pending.wait(missing, record)

    # Folding

    def fold(self, segment: Segment, location: int, load: Callable[[SegmentKey], Iterable[Segment]]) -> bool:
        """Fold a segment in; False when it changes nothing because it is known or superseded.

        `location` is the location of its first commit, the others count up from it. `load` gives what was
        folded under a key that this one supersedes, so that its counts can be taken back. Cost: about 2 us a commit.
        """
        key = segment.key
        seen = self._folded.setdefault(key, set())
        if segment.digest in seen:
            return False
        seen.add(segment.digest)
        for old in segment.supersedes:
            if old not in self.superseded:
                if self._folded.get(old):
                    for earlier in load(old):
                        self._retract(earlier)
                self.superseded.add(old)
        if key in self.superseded:
            return False
        self._fold_commits(segment, location)
        for assign in segment.assigns:
            self.add_assign(assign)
        for count in segment.counts:
            self.add_count(count, key)
        for discard in segment.discards:
            self.add_discard(discard)
        return True

    def folded_own(self, key: SegmentKey, digest: bytes) -> None:
        """Note that the records of this segment were folded one by one as they were made."""
        self._folded.setdefault(key, set()).add(digest)

    def knows(self, key: SegmentKey) -> bool:
        """Whether a segment of this key was folded, or superseded before it came."""
        return bool(self._folded.get(key)) or key in self.superseded

    def add_commit(self, commit: CommitId, parents: tuple[CommitId, ...], time: int, location: int) -> bool:
        """Make a commit visible if all its parents are, else let it wait; False when it is visible already."""
        nodes = self.nodes
        if commit in nodes:
            return self._add_again(commit, parents, time, location)
        parent_nodes = []
        for parent in parents:
            node = nodes.get(parent)
            if node is None:
                self.pending.wait(parent, PendingCommit(commit, parents, time, location))
                return True
            parent_nodes.append(node)
        self._show(commit, parent_nodes, time, location)
        if self.pending.by_missing:
            self._release(commit)
        return True

    def add_assign(self, assign: Assign) -> None:
        """Fold an assignment in; one of a ref waits until its target is visible."""
        if assign.namespace == REF_NAMESPACE and assign.value is not None and assign.value not in self.nodes:
            self.pending.wait(CommitId(assign.value), assign)
        else:
            self.registers.apply(assign)

    def add_count(self, count: Count, segment: SegmentKey) -> None:
        """Fold a count of that segment in, or let it wait for its commit."""
        node = self.nodes.get(count.commit)
        if node is None:
            self.pending.wait(count.commit, PendingCount(count, segment))
        else:
            if self._leaving:
                self._let_leave()
            self.counters.add(count.commit, count.vector, live=not self.discards.marks[node])

    def add_base(self, commit: CommitId, time: int, location: int) -> None:
        """Take in a commit that another plane holds, so that commits can build on it: a root here, in no digest."""
        self.bases.add(len(self.ids))
        self.nodes[commit] = self.dag.append(())
        self.ids.append(commit)
        self.times.append(time)
        self.locations.append(location)
        self.discards.append(())

    def add_discard(self, discard: Discard) -> None:
        """Fold a discard in, or let it wait for its commit. O(commits that it throws away)."""
        node = self.nodes.get(discard.commit)
        if node is None:
            self.pending.wait(discard.commit, discard)
            return
        self.discards.roots.add(discard.commit)
        # Whoever throws a thousand commits away waits for the marks only; the sums follow when somebody asks for them.
        self._leaving += self.discards.mark(self.dag, node)

    # Reading

    def __contains__(self, commit: CommitId) -> bool:
        return commit in self.nodes

    def __len__(self) -> int:
        return len(self.ids)

    def is_live(self, commit: CommitId) -> bool:
        """Whether a visible commit has not been discarded."""
        return self.nodes[commit] not in self.discards

    def live_count(self) -> int:
        """How many commits are live."""
        return len(self.ids) - len(self.bases) - len(self.discards)

    def rank(self, node: int) -> tuple[int, int, CommitId]:
        """The order that picks winners: generation, then time, then id; equal on all replicas."""
        return self.dag.generation(node), self.times[node], self.ids[node]

    def is_ancestor_node(self, ancestor: int, descendant: int) -> bool:
        """Whether `ancestor` is `descendant` or comes before it."""
        return ancestor == descendant or is_ancestor(self.dag, ancestor, descendant)

    def components(self) -> Components:
        """The sums over live commits, live assignments and counters of live commits."""
        return _components(self.sums())

    def sums(self) -> tuple[int, int, int]:
        """The same as numbers."""
        self._let_leave()
        return self._commit_sum & _MASK, self.registers.sum, self.counters.sum

    def digest(self) -> bytes:
        """32 bytes that are equal on two replicas exactly when their projections are. O(1)."""
        return digest_of(self.sums())

    def _add_again(self, commit: CommitId, parents: tuple[CommitId, ...], time: int, location: int) -> bool:
        """What `add_commit` does about a commit that is visible."""
        return False

    def _fold_commits(self, segment: Segment, location: int) -> None:
        compaction = bool(segment.supersedes) or segment.part is not None
        nodes, locations, pending = self.nodes, self.locations, self.pending.by_missing
        append, marks, awaited = self.dag.append, self.discards.marks, self.awaited
        total = 0
        for commit, parents, time in zip(segment.ids, segment.parents, segment.times, strict=True):
            parent = nodes.get(parents[0]) if len(parents) == 1 else None
            if parent is not None and commit not in nodes and not pending and not awaited:
                # What `add_commit` would do for most commits, written out: it takes two thirds of the time.
                nodes[commit] = append((parent,))
                self.ids.append(commit)
                self.times.append(time)
                locations.append(location)
                marks.append(marks[parent])
                if not marks[parent]:
                    total += int.from_bytes(commit, "big")
            elif not self.add_commit(commit, parents, time, location) and compaction and commit in nodes:
                locations[nodes[commit]] = location
                self.moved.add(nodes[commit] // BLOCK_ROWS)
            location += 1
        self._commit_sum += total

    def _let_leave(self) -> None:
        """Take what was discarded out of the sums. About 0.3 us a commit, 2 us more for one with counters."""
        if self._leaving:
            leaving, self._leaving = self._leaving, []
            ids, bases = self.ids, self.bases
            # A base was in no sum of commits; what is counted for it is.
            self._commit_sum -= sum([int.from_bytes(ids[node], "big") for node in leaving if node not in bases])
            for node in leaving:
                self.counters.leave(ids[node])

    def _retract(self, old: Segment) -> None:
        self._let_leave()
        self.pending.drop_counts(old.key)
        for count in old.counts:
            node = self.nodes.get(count.commit)
            if node is not None:
                self.counters.add(count.commit, count.vector, live=node not in self.discards, sign=-1)

    def _show(self, commit: CommitId, parents: list[int], time: int, location: int) -> None:
        self.nodes[commit] = self.dag.append(parents)
        self.ids.append(commit)
        self.times.append(time)
        self.locations.append(location)
        if not self.discards.append(parents):
            self._commit_sum += int.from_bytes(commit, "big")
        if self.awaited and commit in self.awaited:
            for tell in self.awaited.pop(commit):
                tell(commit)

    def _release(self, arrived: CommitId) -> None:
        # A loop and not a recursion through add_commit: a long chain may have waited for one commit.
        released = self.pending.release(arrived)
        while released:
            record = released.pop()
            if isinstance(record, PendingCommit):
                missing = next((parent for parent in record.parents if parent not in self.nodes), None)
                if missing is None:
                    parents = [self.nodes[parent] for parent in record.parents]
                    self._show(record.id, parents, record.time, record.location)
                    released += self.pending.release(record.id)
                else:
                    self.pending.wait(missing, record)
            elif isinstance(record, Assign):
                self.add_assign(record)
            elif isinstance(record, PendingCount):
                self.add_count(record.record, record.segment)
            else:
                self.add_discard(record)


def digest_of(sums: tuple[int, int, int]) -> bytes:
    """The digest of a projection that has these sums."""
    return hashlib.sha256(_DOMAIN + b"".join(_components(sums))).digest()


def fold_all(segments: Iterable[Segment]) -> Projection:
    """A projection from scratch. Counts of superseded segments are left out before anything is added."""
    found = list(segments)
    projection = Projection()
    projection.superseded.update(old for segment in found for old in segment.supersedes)
    for segment in found:
        projection.fold(segment, NO_LOCATION, _nothing_to_load)
    return projection


def _components(sums: tuple[int, int, int]) -> Components:
    return Components(*(value.to_bytes(32, "big") for value in sums))


def _nothing_to_load(key: SegmentKey) -> Iterable[Segment]:
    raise AssertionError(f"segment {key.text} was folded although it is superseded")
