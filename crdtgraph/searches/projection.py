"""The fold of a search whose writers take back what is of no use any more.

A search grows with its iterations, and what is left of them is small: counts of one commit add up, and what was
discarded need not be kept. Each writer compacts its own segments (compaction.py), and every replica lets go of
the nodes that were discarded (`prune_steps`). What follows from that for a fold:

- Compactions change no digest. A digest is over what is live, and a compaction drops what is not, and adds up.
- A discarded commit whose parents are live stays, with the discard: another writer may hold the same commit. What is
  below it goes, and discards below it with it. A discarded commit that the ledger has stays, too: without its record it
  would be taken for ground to build on.
- What one writer made below a commit of another that is gone waits for it, and is in no digest, as it would not be if
  the commit were here. It waits no longer than its writer holds on to it: the records of a superseded segment that were
  waiting go with it. What a process that died has said below a discarded commit waits until the search is closed.

Superseded segments are kept as runs of numbers, so that the memory they leave is none; superseded assignments as the
latest of each writer (registers.py).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import compress

from crdtgraph.dates import CorrectedDates
from crdtgraph.discards import Discards
from crdtgraph.growing import GrowingSet
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.index import Index
from crdtgraph.pending import PendingCount
from crdtgraph.projection import Projection
from crdtgraph.records import REF_NAMESPACE, Assign, Discard
from crdtgraph.searches.batches import Batch, BatchName, batch_name
from crdtgraph.searches.grounded import GroundedProjection
from crdtgraph.searches.registers import SearchRegisters
from crdtgraph.searches.runs import KeyRuns
from crdtgraph.segment import Segment

PRUNED_MIN = 2_000
"""Discarded commits that are worth letting go of; a search of fewer is small in any case."""
NODES_AT_ONCE = 2_000
"""Looked at in one step of `prune_steps`, about 2 ms."""

Load = Callable[[SegmentKey], Iterable[Segment]]


class SearchProjection(GroundedProjection):
    """See above. `ground` and `locate` as for `GroundedProjection`."""

    __slots__ = ("_backers", "_batches", "_discarded_kept", "_finished", "_runs", "_values")

    def __init__(self, ground: Projection, locate: Callable[[CommitId], int]) -> None:
        super().__init__(ground, locate)
        self.superseded = self._runs = KeyRuns()
        self.registers = self._values = SearchRegisters()
        self._batches: dict[BatchName, Batch] = {}
        # The batches of each writer that are whole, with their parts, but for those that are superseded: all but one.
        self._finished: dict[int, dict[BatchName, list[SegmentKey]]] = {}
        # Which segments say what waits: when none is left, nobody says it.
        self._backers: dict[CommitId | Discard | Assign, set[SegmentKey]] = {}
        self._discarded_kept = 0

    # Folding

    def fold(self, segment: Segment, location: int, load: Load) -> bool:
        """See `Projection.fold`."""
        key, part = segment.key, segment.part
        if key in self._runs:
            return False
        if part is None:
            folded = super().fold(segment, location, load)
        else:
            folded = self._fold_part(segment, location, load)
        if folded:
            for batch in self._batches.values():
                if batch.covers(key):
                    # The counts of a part hold when its batch is whole, and are taken back then.
                    batch.take_back(segment, with_counts=part is None)
            if self.pending:
                self._note_backers(segment)
        return folded

    def _fold_part(self, segment: Segment, location: int, load: Load) -> bool:
        key, part = segment.key, segment.part
        assert part is not None
        seen = self._folded.setdefault(key, set())
        if segment.digest in seen:
            return False
        seen.add(segment.digest)
        self._fold_commits(segment, location)
        for assign in segment.assigns:
            self.add_assign(assign)
        for discard in segment.discards:
            self.add_discard(discard)
        name = batch_name(key, part)
        batch = self._batches.get(name)
        if batch is None:
            batch = self._batches[name] = Batch(name)
            if name in self._finished.get(key.writer, ()):
                # A second segment under the number of a part, as only a cloned process makes.
                batch.total = 1
        covered = KeyRuns()
        for first, length in part.runs:
            covered.add_run(key.writer, first, length)
        for old in self._folded_in(covered):
            # What parts before this one supersede, too, was taken back with them.
            for earlier in () if batch.covers(old) else load(old):
                batch.take_back(earlier, with_counts=not self.is_open(earlier))
        batch.note_part(segment, part, self.nodes)
        # What waits and is in this part, too, waits on when what it supersedes is no more.
        if self.pending:
            self._note_backers(segment)
        if batch.is_whole:
            self._finish(name, batch, load)
        return True

    def _folded_in(self, covered: KeyRuns) -> list[SegmentKey]:
        # What is covered may be anything, as it is claimed; what is folded is what is here.
        few = len(covered) <= len(self._folded)
        keys: Iterable[SegmentKey] = covered if few else (key for key in self._folded if key in covered)
        return sorted(key for key in keys if self._folded.get(key) and key not in self._runs)

    def is_open(self, segment: Segment) -> bool:
        """Whether it is a part of a batch that is not whole, so that its counts do not hold."""
        return segment.part is not None and batch_name(segment.key, segment.part) in self._batches

    def _finish(self, name: BatchName, batch: Batch, load: Load) -> None:
        """All parts are here: what they supersede is no more, and their counts hold."""
        self._let_leave()
        del self._batches[name]
        old = self._folded_in(batch.covered)
        for other in self._batches.values():
            # What this one takes back is not to be taken back again by a later one that is under way.
            for earlier in [each for key in old if other.covers(key) for each in load(key)]:
                if not self.is_open(earlier):
                    other.give_back(earlier)
        for first, length in batch.runs:
            self._runs.add_run(batch.writer, first, length)
        before = self._finished.get(batch.writer, {})
        held = {each: parts for each, parts in before.items() if not all(key in self._runs for key in parts)}
        self._finished[batch.writer] = {**held, name: batch.parts}
        for key in old:
            del self._folded[key]
        for each in [each for each, other in self._batches.items() if all(key in self._runs for key in other.parts)]:
            del self._batches[each]
        for other in self._batches.values():
            other.take_back_counts(batch.added)
        if self.pending:
            self.pending.drop_counts_of(self._runs)
            self._forget_unbacked()
        for commit, vector in batch.differences():
            node = self.nodes.get(commit)
            if node is not None:
                self.counters.add(commit, vector, live=node not in self.discards)
        for count, key in batch.waiting:
            if count.commit not in self.nodes and key not in self._runs:
                self.pending.wait(count.commit, PendingCount(count, key))
        for assign in batch.dropped():
            self._values.take_back(assign)

    def _retract(self, old: Segment) -> None:
        if not self.is_open(old):
            super()._retract(old)

    def _note_backers(self, segment: Segment) -> None:
        for commit in segment.ids:
            if self.pending.holds(commit):
                self._backers.setdefault(commit, set()).add(segment.key)
        for discard in segment.discards:
            if discard.commit not in self.nodes:
                self._backers.setdefault(discard, set()).add(segment.key)
        for assign in segment.assigns:
            if assign.namespace == REF_NAMESPACE and assign.value is not None and assign.value not in self.nodes:
                self._backers.setdefault(assign, set()).add(segment.key)

    def _forget_unbacked(self) -> None:
        for record, keys in list(self._backers.items()):
            keys -= {key for key in keys if key in self._runs}
            if not keys:
                del self._backers[record]
                self.pending.forget(record)

    # Letting go

    def is_kept(self, node: int) -> bool:
        """Whether a commit is of use: live, discarded below live ones, or one that the ledger has. O(parents)."""
        return self._is_kept(node, self.discards.marks)

    def pruning_due(self) -> float:
        """How many nodes were discarded since the last time for each that was not; 0 when they are few.

        O(nodes): counting a million takes 0.1 ms.
        """
        discarded = len(self.discards) - self._discarded_kept
        return 0 if discarded <= PRUNED_MIN else discarded / (len(self.ids) - discarded or 1)

    def prune_steps(self) -> Generator[None, None, bool]:
        """Let go of the discarded nodes of no use, in steps of about 2 ms; returns whether any were.

        The others are numbered anew beside the old ones, and change places with them at the end. Anything may happen
        between two steps; when nodes get other numbers there, nothing comes of it.
        """
        renumbered, marks = self.renumbered, bytes(self.discards.marks)
        dag, ids, nodes = Index(), list[CommitId](), dict[CommitId, int]()
        times, locations, bases = array("q"), array("Q"), set[int]()
        kept, places = bytearray(), array("I")
        while len(kept) < len(self.ids):
            self._let_leave()
            for node in range(len(kept), min(len(kept) + NODES_AT_ONCE, len(self.ids))):
                commit = self.ids[node]
                above = self.dag.parents(node)
                # What has come or was discarded since then stays for the next time.
                is_kept = node >= len(marks) or self._is_kept(node, marks)
                is_kept = is_kept and all(kept[parent] for parent in above)
                kept.append(is_kept)
                places.append(len(ids))
                if not is_kept:
                    self.counters.forget(commit)
                    continue
                nodes[commit] = dag.append([places[parent] for parent in above])
                if node in self.bases:
                    bases.add(len(ids))
                ids.append(commit)
                times.append(self.times[node])
                locations.append(self.locations[node])
            if len(kept) < len(self.ids):
                yield
                if self.renumbered != renumbered:
                    return False
        self._let_leave()
        self.on_numbering(None)
        self._replace(dag, ids, nodes, times, locations, bases, kept)
        self.renumbered += 1
        self.on_numbering([])
        return True

    def _is_kept(self, node: int, marks: Sequence[int]) -> bool:
        if not marks[node] or self.ids[node] in self._ground.nodes:
            return True
        return not any(marks[parent] for parent in self.dag.parents(node))

    def _replace(
        self,
        dag: Index,
        ids: list[CommitId],
        nodes: dict[CommitId, int],
        times: array[int],
        locations: array[int],
        bases: set[int],
        kept: bytearray,
    ) -> None:
        marks = bytearray(compress(self.discards.marks, kept))
        # What was moved to other segments between the steps is there now.
        locations[:] = array("Q", compress(self.locations, kept))
        gone = [root for root in self.discards.roots.order if root in self.nodes and root not in nodes]
        roots = GrowingSet[CommitId]()
        dropped = set(gone)
        roots.update(root for root in self.discards.roots.order if root not in dropped)
        self.dag, self.ids, self.nodes, self.times, self.locations, self.bases = (
            dag,
            ids,
            nodes,
            times,
            locations,
            bases,
        )
        self.dates = CorrectedDates(dag, times)
        self.discards = Discards()
        self.discards.marks, self.discards.roots = marks, roots
        self._discarded_kept = len(self.discards)
