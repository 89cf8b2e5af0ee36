"""What programs counted in searches, kept outside of the system under test, and what everybody must see of it.

A search is on no disk, so a crash costs what was not given away. But what is held of a writer is always all that it had
said up to some moment: its segments have numbers, and a replica that holds those up to a number shows the counts up to
there, once, whatever came twice, was joined by a compaction, or came by another way. A count is *acknowledged* when it
is packed into a segment; the tally knows after how many counts each segment ended.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from crdtgraph import CommitId, Graph
from crdtgraph.searches.plane import PREFIX
from simulations.assignments import Assignments
from simulations.checkers import ViolationError

Vector = tuple[int, ...]


@dataclass(slots=True)
class _Row:
    """What one writer counted in one search, in order; `marks` are places of its log and how many counts are before."""

    counts: list[tuple[CommitId, Vector]] = field(default_factory=list)
    marks: list[tuple[int, int]] = field(default_factory=list)
    is_counting: bool = False

    def between(self, clock: int) -> tuple[int, int]:
        """How many of its counts a replica shows at least and at most that holds its log up to a place."""
        before = bisect_right(self.marks, (clock, len(self.counts)))
        after = bisect_left(self.marks, (clock, 0))
        least = self.marks[before - 1][1] if before else 0
        most = self.marks[after][1] if after < len(self.marks) else len(self.counts)
        return least, most


class Tallies:
    """What was counted in all searches of one world, by plane and writer."""

    def __init__(self) -> None:
        self._rows: defaultdict[tuple[str, int], _Row] = defaultdict(_Row)
        self._discarded: defaultdict[str, set[CommitId]] = defaultdict(set)
        self.assignments = Assignments()
        """What was assigned there."""

    def count(self, plane: str, writer: int, commit: CommitId, vector: Vector, call: Callable[[], None]) -> None:
        """A program counts something; `call` does it."""
        row = self._rows[plane, writer]
        row.counts.append((commit, vector))
        row.is_counting = True
        call()
        row.is_counting = False

    def discard(self, plane: str, commit: CommitId) -> None:
        """A program throws something away: what was counted there may be let go of, here and there at its own time."""
        self._discarded[plane].add(commit)

    def mark(self, plane: str, writer: int, clock: int) -> None:
        """All that this writer counted is in segments, which end here."""
        row = self._rows[plane, writer]
        # In the middle of a call nobody knows whether what it counts is in the segment.
        if not row.is_counting and clock > (row.marks[-1][0] if row.marks else 0):
            row.marks.append((clock, len(row.counts)))

    def watch(self, graph: Graph) -> None:
        """Mark whatever a graph packs from now on."""

        def note(plane: str) -> None:
            if plane.startswith(PREFIX) and graph.is_flushed(plane):
                self.mark(plane, graph.writer, graph.state_vector(plane).get(graph.writer, 0))

        graph.on_durable(lambda delta: note(delta.plane))

    def check(self, name: str, graph: Graph, *, whole: Iterable[int] = ()) -> int:
        """Whether the totals of all searches of a graph are what their writers counted; how many were exact.

        Of the writers in `whole` nothing may be missing. ViolationError says what is wrong.
        """
        exact = 0
        for search in graph.searches():
            plane = PREFIX + search
            # What was lost in the middle of a log is asked for; until then the rest proves nothing.
            if not graph.holes(plane):
                exact += self._check_plane(name, graph, plane, set(whole))
        return exact

    def _check_plane(self, name: str, graph: Graph, plane: str, whole: set[int]) -> int:
        vector = graph.state_vector(plane)
        least, most = _Sums(), _Sums()
        for (where, writer), row in self._rows.items():
            if where != plane:
                continue
            count = len(row.counts)
            if writer == graph.writer:
                low, high = count, count
            else:
                low, high = row.between(vector.get(writer, 0))
            if writer in whole and low < count:
                held = f"{low} to {high} of {count} counts of {writer:x} in {plane!r}"
                raise ViolationError("nothing counted is lost", f"{name} has {held}")
            least.add(row.counts[:low])
            most.add(row.counts[:high])
        exact = 0
        for commit in sorted(most.totals):
            if not graph.has(commit, plane=plane) or self._is_thrown_away(graph, plane, commit):
                continue
            shown = graph.counters(commit, plane=plane)
            low_visits, high_visits = least.visits(commit), most.visits(commit)
            visits = shown[0] if shown else 0
            wrong = not low_visits <= visits <= high_visits
            if low_visits == high_visits:
                exact += 1
                wrong = shown != most.vector(commit)
            if wrong:
                raise ViolationError(
                    "totals are what was counted",
                    f"{name} shows {shown} of {commit.hex()[:16]} in {plane!r}, and between {least.vector(commit)} and "
                    f"{most.vector(commit)} was counted",
                )
        return exact

    def _is_thrown_away(self, graph: Graph, plane: str, commit: CommitId) -> bool:
        roots, waiting = self._discarded[plane], [commit]
        while waiting:
            each = waiting.pop()
            if each in roots:
                return True
            # Of one that was promoted, and then let go of in the search, the ledger has the parents.
            waiting += graph.parents(each) if each in graph else graph.parents(each, plane=plane)
        return False


class _Sums:
    def __init__(self) -> None:
        self.totals: dict[CommitId, Counter[int]] = {}

    def add(self, counts: Iterable[tuple[CommitId, Vector]]) -> None:
        for commit, vector in counts:
            total = self.totals.setdefault(commit, Counter())
            for place, number in enumerate(vector):
                total[place] += number

    def visits(self, commit: CommitId) -> int:
        return self.totals.get(commit, Counter())[0]

    def vector(self, commit: CommitId) -> Vector:
        total = self.totals.get(commit, Counter())
        vector = [total[place] for place in range(1 + max(total, default=-1))]
        while vector and vector[-1] == 0:
            del vector[-1]
        return tuple(vector)
