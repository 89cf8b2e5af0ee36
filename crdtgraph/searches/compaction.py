"""A writer of a search joins all its segments into as few as can be, without what is of no use any more.

Kept are commits that are live, discarded ones below live ones with their discards, and those that the ledger has;
counts of live commits, added up; and of each register the writer's latest assignment. If it does not hold any more, or
removes the value, it has no value and names itself, so that it only says what of others was replaced; if that is
nothing it goes as well. The segments made are the parts of one batch (batches.py), which takes effect when the last of
them is there, so a crash on the way loses nothing.

Whoever leaves out a commit or a discard repeats the discards of others: these may die before they are told, and a
replica that has heard of what is left out would differ from one that never did. All that hold are repeated, and not
only those above it: what was between may have been let go of, or be in the ledger alone.

It is due when the records have doubled since the last time, so each record is written again about once on the average,
and what a plane takes follows what is live in it and not how long it has run. Only the incarnation that wrote the
segments does it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from operator import add
from typing import TYPE_CHECKING

from crdtgraph.buffer import commit_size, fits, record_size
from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.ids import CommitId, Dot
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.registers import Register
from crdtgraph.searches.registers import latest
from crdtgraph.segment import RECORD_OVERHEAD_BYTES, Part, Records, Segment

if TYPE_CHECKING:
    from crdtgraph.searches.plane import SearchPlane
    from crdtgraph.searches.projection import SearchProjection

SPARE_RECORDS = 4_096
"""Records beyond twice what is of use before a compaction is due: a small search needs none."""
REGISTERS_AT_ONCE = 1_000
"""Looked at in one step, about 2 ms."""
DISCARDS_AT_ONCE = 2_000
"""The same."""


def compact_steps(plane: SearchPlane) -> Generator[None, None, int]:
    """Join a plane's own segments in steps of one segment read or written, about 3 ms; returns the records that stay.

    Between two steps anything may happen, but for another compaction of the same plane.
    """
    keys = plane.own_segments()
    kept = _Kept(plane.grounded, plane.identity.writer)
    for key in keys:
        kept.take(plane.segment(key))
        yield
    for _ in kept.choose_discards():
        yield
    for _ in kept.choose_assigns():
        yield
    # What was left out may follow from what is only buffered yet. It goes ahead: if we die, others have it first.
    plane.flush(sync=True)
    batches: list[Records] = []
    for batch in kept.batches():
        batches.append(batch)
        yield
    total = len(batches)
    # All earlier segments of ours are among the keys or were superseded before. Each part covers an equal share.
    bounds = [0, *(keys[len(keys) * number // total].seq for number in range(1, total)), keys[-1].seq + 1]
    start = plane.next_seq
    for number, batch in enumerate(batches):
        first, length = bounds[number], bounds[number + 1] - bounds[number]
        part = Part(start, number, total, ((first, length),) if length else ())
        plane.write_part(batch, part, keys if number == total - 1 else [])
        yield
    return sum(map(len, batches))


class _Kept:
    """What is of use in the segments that were given to it."""

    def __init__(self, projection: SearchProjection, writer: int) -> None:
        self._projection = projection
        self._writer = writer
        self._commits: list[tuple[CommitId, Commit, int]] = []
        # Of one commit there are several only if a sum would not fit into 64 bits.
        self._counts: dict[CommitId, list[Count]] = {}
        self._discards: dict[CommitId, Discard] = {}
        # The stamp of a commit or discard that is left out, if any is.
        self._left_out_us: int | None = None
        # Of each register our latest assignment, and the latest dots of others that we named in any of ours.
        self._latest: dict[Register, Assign] = {}
        self._replaced: dict[Register, dict[int, int]] = {}
        self._assigns: list[Assign] = []
        self._last: Assign | Count | None = None

    def take(self, segment: Segment) -> None:
        """Look through a segment; the earliest first. About 1 us a record."""
        projection = self._projection
        if projection.is_open(segment):
            # It was to be part of a compaction that was given up, and all that it says is in those before it.
            return
        nodes, marks = projection.nodes, projection.discards.marks
        for place, commit in enumerate(segment.ids):
            node = nodes.get(commit)
            if node is not None and projection.is_kept(node):
                self._commits.append((commit, segment.commit(place), segment.stamps[place]))
            else:
                self._last = Count(commit, (0,), segment.stamps[place])
                self._left_out_us = segment.stamps[place]
        for count in segment.counts:
            node = nodes.get(count.commit)
            if node is not None and not marks[node]:
                self._add(count)
            self._last = Count(count.commit, (0,), count.stamp)
        for discard in segment.discards:
            node = nodes.get(discard.commit)
            self._last = Count(discard.commit, (0,), discard.stamp)
            if discard.commit in projection.discards.roots and (node is None or projection.is_kept(node)):
                self._discards.setdefault(discard.commit, discard)
            else:
                self._left_out_us = discard.stamp
        for assign in segment.assigns:
            self._note_assign(assign)
            self._last = Assign(assign.namespace, assign.key, None, assign.dot, (assign.dot,), assign.stamp)

    def choose_discards(self) -> Iterator[None]:
        """Find the discards that are repeated, in steps; before `batches`."""
        projection = self._projection
        if self._left_out_us is None:
            return
        # One that comes meanwhile is looked at, too: perhaps one that was to be repeated is none that holds any more.
        for number, root in enumerate(projection.discards.roots.order, 1):
            if projection.is_kept(projection.nodes[root]):
                self._discards.setdefault(root, Discard(root, self._left_out_us))
            if not number % DISCARDS_AT_ONCE:
                yield

    def choose_assigns(self) -> Iterator[None]:
        """Find the assignments that are kept, in steps; before `batches`."""
        registers = self._projection.registers
        for number, (register, assign) in enumerate(self._latest.items(), 1):
            replaced = [Dot(*dot) for dot in self._replaced.get(register, {}).items()]
            if assign.value is not None and any(each.dot == assign.dot for each in registers.live(*register)):
                self._assigns.append(assign._replace(supersedes=tuple(sorted(replaced))))
            elif replaced:
                names = tuple(sorted([*replaced, assign.dot]))
                self._assigns.append(assign._replace(value=None, supersedes=names))
            if not number % REGISTERS_AT_ONCE:
                yield

    def batches(self) -> Iterator[Records]:
        """Everything that is kept, as records of one segment each; at least one."""
        batch, size = Records(), 0
        for record, more in self._records():
            if len(batch) and not fits(len(batch) + 1, size + more):
                yield batch
                batch, size = Records(), 0
            size += more
            if isinstance(record, Count):
                batch.counts.append(record)
            elif isinstance(record, Discard):
                batch.discards.append(record)
            elif isinstance(record, Assign):
                batch.assigns.append(record)
            else:
                batch.ids.append(record[0])
                batch.commits.append(record[1])
                batch.stamps.append(record[2])
        yield batch

    def _records(self) -> Iterator[tuple[Assign | Count | Discard | tuple[CommitId, Commit, int], int]]:
        is_empty = True
        for commit in self._commits:
            size = commit_size(commit[1], len(commit[1].canonical()))
            yield commit, size + RECORD_OVERHEAD_BYTES
            is_empty = False
        for records in (self._all_counts(), self._discards.values(), self._assigns):
            for record in records:
                yield record, record_size(record) + RECORD_OVERHEAD_BYTES
                is_empty = False
        if is_empty and self._last is not None:
            # A segment holds something in any case: this changes nothing.
            yield self._last, record_size(self._last)

    def _add(self, count: Count) -> None:
        sums = self._counts.setdefault(count.commit, [])
        if sums:
            before, vector = sums[-1].vector, count.vector
            width = max(len(before), len(vector))
            before, vector = before + (0,) * (width - len(before)), vector + (0,) * (width - len(vector))
            total = tuple(map(add, before, vector))
            if INT64_MIN <= min(total) <= max(total) <= INT64_MAX:
                sums[-1] = Count(count.commit, total, count.stamp)
                return
        sums.append(count)

    def _all_counts(self) -> Iterator[Count]:
        for sums in self._counts.values():
            yield from (count for count in sums if any(count.vector))

    def _note_assign(self, assign: Assign) -> None:
        register = (assign.namespace, assign.key)
        before = self._latest.get(register)
        if before is None or before.dot < assign.dot:
            self._latest[register] = assign
        others = latest(dot for dot in assign.supersedes if dot.writer != self._writer)
        if others:
            replaced = self._replaced.setdefault(register, {})
            for writer, counter in others.items():
                replaced[writer] = max(counter, replaced.get(writer, -1))


def is_due(records: int, kept: int) -> bool:
    """Whether a writer's segments with so many records, of which so many stayed the last time, are to be joined."""
    return records > 2 * kept + SPARE_RECORDS
