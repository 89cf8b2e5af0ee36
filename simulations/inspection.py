"""Which rule is checked when: often enough that nothing escapes, and nothing twice that cannot have changed.

Three depths. A light look, every second of simulated time, costs next to nothing. A deep one reads what is new on each
machine and folds what each holds from scratch, once for each set of segments. The last look at a world takes nothing
for granted: it reads every byte of every machine again, every commit, and folds in other orders as well.

A deep look does not read a commit's content twice while its process lives, unless a compaction has put it elsewhere;
and it does not compare a projection with the model again while neither its digest nor that of its segments has changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from crdtgraph import LEDGER, Commit, CommitId
from simulations import checkers, searchchecks
from simulations.checkers import Shown
from simulations.journal import Journal
from simulations.process import Process
from simulations.reading import Order, Reading


class Depth(Enum):
    """How closely to look."""

    LIGHT = auto()
    DEEP = auto()
    WHOLE = auto()


ORDERS = {Depth.DEEP: (Order.MIXED,), Depth.WHOLE: (Order.ASCENDING, Order.DESCENDING)}
"""In which orders a look folds from scratch."""


class Inspection:
    """Looks at the machines of one world; raises ViolationError."""

    def __init__(self, journal: Journal) -> None:
        self.reading = Reading()
        self._journal = journal
        self._hashed: dict[CommitId, Commit] = {}

    def look(self, processes: Iterable[Process], depth: Depth) -> None:
        """Check whichever of them run."""
        running = [process for process in processes if process.is_running]
        for process in running:
            if process.workload is not None:
                process.workload.acknowledge()
            if process.node is not None:
                checkers.check_bounds(process.name, process.node)
            if process.graph is not None:
                searchchecks.check_closed_stay_closed(process.name, process.graph, process.seen)
        graphs = {process.name: process.graph for process in running if process.graph is not None}
        checkers.check_equal_sets(graphs)
        searchchecks.check_equal_searches(graphs)
        if depth is not Depth.LIGHT:
            self.reading.forget_sets()
            for process in running:
                self._inspect(process, depth)

    def check_losses(self, processes: Iterable[Process]) -> None:
        """Nothing acknowledged as durable may be missing anywhere, once all have agreed."""
        for process in processes:
            if process.graph is not None:
                checkers.check_nothing_lost(process.name, self.reading.held_by(process.graph), self._journal)

    def _inspect(self, process: Process, depth: Depth) -> None:
        name, graph, seen = process.name, process.graph, process.seen
        if graph is None:
            return
        shown = Shown(name, graph)
        checkers.check_never_unsees(shown, seen)
        checkers.check_own_durable(name, graph, self._journal)
        held = self.reading.held(graph)
        if depth is Depth.WHOLE:
            found = self.reading.held_in_truth(graph)
            checkers.check_set(name, held, found)
        checkers.check_document(name, graph.state_vector(LEDGER), held)
        checkers.check_holes(name, graph, held)
        is_elsewhere = depth is Depth.WHOLE or held.superseded != seen.superseded
        unread = shown.commits if is_elsewhere else shown.commits[seen.read :]
        contents = checkers.check_contents(shown, unread, self._journal.written, self._hashed)
        checkers.check_parents_visible(shown, contents)
        seen.read, seen.superseded = len(shown.commits), held.superseded
        for plane in searchchecks.search_planes(graph):
            if graph.is_flushed(plane):
                searchchecks.check_search_model(name, graph, plane, self.reading.of_search(graph, plane))
        state = graph.set_digest(LEDGER), graph.digest()
        if graph.flush_due() is None and (depth is Depth.WHOLE or seen.folded != state):
            checkers.check_from_scratch(name, graph, held, ORDERS[depth])
            checkers.check_model(shown, held.model)
            seen.folded = state
