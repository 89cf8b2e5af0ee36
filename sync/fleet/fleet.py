"""`Fleet`: one search over all nodes of a Ray cluster.

    answer = Fleet(Game(), workers=8, graph=graph).run(Budget(seconds=60))
    answer.commit, answer.line          # in the ledger of `graph`, and the ref `answer.ref` points there

On every Ray node there is one replica of the graph, with workers beside it that evaluate what its tree asks for. The
replicas gossip the search among themselves; the driver (the process that runs this module) only gives out the budget
in leases, and looks whether everybody is there. It holds no part of the tree.

- A worker that dies is replaced by its node, and what it was at is done again.
- A node that dies takes with it what it had not told the others yet, some tens of milliseconds of work; what was
  leased to it is leased again, its workers start on the nodes that are left where there is room. If only its process
  died, another starts there.
- A node that joins gets a replica and workers, if not all are placed yet or the others have more than their share.
- When the head of the cluster dies the search ends: the best line so far is brought home, and HeadLostError says so.

The ledger that the search begins at is carried to the nodes through Ray and the answer comes back in the same way, so
the driver need not be reachable for them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import crdtgraph
from crdtgraph import CommitId, Graph, LocalError
from crdtgraph.errors import CrdtGraphError
from crdtgraph.mcts import Budget, SearchTree, Stop
from crdtgraph.mcts.referee import Referee
from crdtgraph.records import check_name
from crdtgraph.searches.searching import check_search_name
from sync.fleet.actors import Cluster, pickled
from sync.fleet.allotment import check_places
from sync.fleet.driving import Drive
from sync.fleet.errors import HeadLostError
from sync.fleet.evaluating import Matter, reported
from sync.fleet.homecoming import bring_home, feed_of, part
from sync.fleet.plan import IN_MEMORY, Pace, Plan
from sync.version import software_version

BATCH = 32
"""Leaves that a worker is given at once: several milliseconds of random games, against one for a call of Ray."""
PATIENCE_S = 300.0
"""For a worker to evaluate a batch, with the start of its process."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a fleet found.

    Attributes:
        commit: the last commit of the best line; with all that leads there it is in the ledger, on disk.
        ref: points at it.
        line: the actions from the root to there, as texts.
        search: the name of the search, which is over.
        visits: iterations that the tree held in the end; those of a lost node are in it as far as others heard of them.
        iterations: those that were acknowledged to the driver.
        seconds: what the run took, with the start of all processes.
        stop: why it ended.
        digest: of the ledger.
        store: what opens the ledger.
        nodes: replicas that took part; nodes_lost, workers_lost: how many of them, and of the workers, did not live to
            the end.
    """

    commit: CommitId
    ref: str
    line: tuple[str, ...]
    search: str
    visits: int
    iterations: int
    seconds: float
    stop: Stop
    digest: bytes
    store: str
    nodes: int
    nodes_lost: int
    workers_lost: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How a running fleet does: as in `Answer`, from the reports of the nodes so far."""

    iterations: int
    seconds: float
    visits: int
    line: tuple[str, ...]
    nodes: int
    nodes_lost: int
    workers_lost: int


class Fleet:
    """A search over all nodes of a Ray cluster.

    Args:
        problem: a `crdtgraph.mcts.Problem` that can be pickled, with states that can.
        workers: how many processes evaluate, on all nodes together.
        graph: the ledger that the search begins at and the answer comes to: an open graph, which no other thread may
            use meanwhile, or what opens one. By default a new store in a temporary directory, which stays if
            there is an answer.
        root: the commit of the ledger to go on from, which a tree of this problem promoted; by default the problem's
            initial state.
        ref: is pointed at the answer; by default `mcts/` and the name of the search. One that exists has to be at or
            above `root`.
        search: the name of the search; by default one that nobody has had.
        address: of the Ray cluster, as for `ray.init`; by default a local one is started, for this run alone. Without
            any meaning if Ray is initialised already.
        directory: where each node keeps its replica, in a store named after it. By default in memory: what it holds
            beyond the ledger is speculative in any case.
        beyond_loopback: let the nodes listen on their network addresses, which a cluster of several machines needs.
            Peers are not authenticated, and nothing is encrypted: only where all who can reach them are trusted.
        cpus_per_worker: what Ray is told that a worker takes.
        batch: leaves that a worker is given at once, at most.
        seed: of the generators of the workers. A run is not repeatable for it: who is faster decides what is tried.
        pace: times, see `Pace`.
        options: how to search: `rule`, `in_flight`, `widening`, `solve`, `nodes_max` of `crdtgraph.mcts.SearchTree`.

    Raises:
        LocalError: Ray is missing, the problem cannot be pickled, or an argument is wrong.
    """

    def __init__(
        self,
        problem: object,
        *,
        workers: int,
        graph: Graph | str | None = None,
        root: CommitId | None = None,
        ref: str | None = None,
        search: str | None = None,
        address: str | None = None,
        directory: str | os.PathLike[str] | None = None,
        beyond_loopback: bool = False,
        cpus_per_worker: float = 1.0,
        batch: int = BATCH,
        seed: int | None = None,
        pace: Pace = Pace(),  # noqa: B008 (it is frozen)
        **options: Any,
    ) -> None:
        if type(workers) is not int or workers < 1:
            raise LocalError(f"a fleet of {workers!r} workers", hint="it is a number from 1 on")
        if type(batch) is not int or batch < 1:
            raise LocalError(f"batches of {batch!r} leaves", hint="it is a number from 1 on")
        if type(cpus_per_worker) not in (int, float) or not 0 <= cpus_per_worker < float("inf"):
            raise LocalError(
                f"{cpus_per_worker!r} CPUs a worker", hint="1, or a fraction if they wait a lot; 0 for none"
            )
        self._matter = _packed(Matter(problem, options))
        self._check_problem()
        self._workers = workers
        self._graph = graph
        self._root = root
        self._search = check_search_name(search) if search is not None else None
        self._ref = check_name(ref, "ref") if ref is not None else None
        self._address = address
        self._stores = IN_MEMORY if directory is None else os.path.abspath(directory)
        self._beyond_loopback = beyond_loopback
        self._cpus_per_worker = float(cpus_per_worker)
        self._batch = batch
        self._seed = seed if seed is not None else int.from_bytes(os.urandom(8), "big")
        self._pace = pace

    def run(self, budget: Budget | int, *, on_progress: Callable[[Progress], None] | None = None) -> Answer:
        """Search, and bring the answer home.

        Args:
            budget: of all nodes together, see `crdtgraph.mcts.Budget`; or a number of iterations. Seconds count from
                the first result: until then some processes have to start, which takes a few.
            on_progress: called some times a second.

        Returns:
            What was found, when it is on disk in the ledger.

        Raises:
            LocalError: the budget is none, there is no room for the workers, the nodes are on several machines and that
                was not allowed, the search's name was used before.
            ProblemError: the problem raised or answered what cannot be; ProblemFailedError, one of them, has the
                traceback of the worker.
            HeadLostError: the head of the Ray cluster is gone. The best line until then is in the ledger if the
                nodes could still be asked, and Ray is disconnected, as it would end this process otherwise.
            FleetLostError: no node is left, or workers are lost one after the other.
        """
        budget = Budget.of(budget)
        search = self._search if self._search is not None else f"fleet-{os.urandom(6).hex()}"
        ref = self._ref if self._ref is not None else f"mcts/{search}"
        began = time.monotonic()
        with ExitStack() as stack:
            cluster = Cluster(self._address)
            is_headless = False
            stack.callback(lambda: cluster.close(headless=is_headless))
            check_places(
                cluster.places(),
                workers=self._workers,
                cpus_per_worker=self._cpus_per_worker,
                beyond_loopback=self._beyond_loopback,
            )
            graph = stack.enter_context(self._opened())
            self._check_ledger(graph, search, ref)

            def looked(drive: Drive) -> None:
                if on_progress is not None:
                    on_progress(_progress(drive, time.monotonic() - began))

            drive = Drive(
                cluster,
                plan=cluster.share(self._plan(graph.cluster, search)),
                feed=cluster.share(feed_of(graph)),
                workers=self._workers,
                cpus_per_worker=self._cpus_per_worker,
                version=software_version(),
                budget=budget,
                now=time.monotonic,
                pace=self._pace,
                looked=looked,
            )
            stack.callback(part, drive)
            try:
                stop = drive.run()
            except HeadLostError as error:
                is_headless = True
                raise _without_head(drive, graph, ref, error) from error
            found = bring_home(drive, graph, ref)
            return Answer(
                commit=found.commit,
                ref=ref,
                line=found.line,
                search=search,
                visits=found.visits,
                iterations=drive.meter.iterations,
                seconds=time.monotonic() - began,
                stop=stop,
                digest=graph.digest(),
                store=graph.url,
                nodes=drive.tally.sites_started,
                nodes_lost=drive.tally.sites_lost,
                workers_lost=drive.tally.workers_lost,
            )

    def _check_problem(self) -> None:
        """Raise what is wrong with the problem before anything is started: of a copy that went through pickling."""
        matter = Matter.unpickled(self._matter)
        with reported(), crdtgraph.open("memory:") as graph:
            SearchTree(graph, matter.problem, name="check", **matter.options)
            referee = Referee(matter.problem)
            if not referee.actions(referee.initial()):
                raise LocalError(
                    "there is nothing to search: the initial state has no actions",
                    hint="begin at a state that is not over; actions(state) must not be empty there",
                )

    def _check_ledger(self, graph: Graph, search: str, ref: str) -> None:
        if graph.read_only:
            raise LocalError(f"{graph.url} is open for reading only", hint="the answer is to be written there")
        if search in graph.closed_searches():
            raise LocalError(
                f"a search {search!r} was closed before, and a name is good for one search",
                hint="take another name, or none",
            )
        if self._root is not None and self._root not in graph:
            raise LocalError(f"the root {self._root.hex()[:12]} is not in {graph.url}", hint="promote it first")
        for target in graph.refs.targets(ref):
            if self._root is None or not graph.is_ancestor(target, self._root):
                raise LocalError(
                    f"ref {ref!r} is at {target.hex()[:12]}, and the answer would not descend from it",
                    hint="take another ref, or none; or search on from there, with root=...",
                )

    def _opened(self) -> AbstractContextManager[Graph]:
        """The driver's graph; one that was given open stays open."""
        if isinstance(self._graph, Graph):
            return nullcontext(self._graph)
        return crdtgraph.open(self._graph) if self._graph is not None else _new_store()

    def _plan(self, cluster: str, search: str) -> Plan:
        return Plan(
            cluster=cluster,
            search=search,
            root=self._root,
            matter=self._matter,
            seed=self._seed,
            batch=self._batch,
            patience_s=PATIENCE_S,
            stores=self._stores,
            beyond_loopback=self._beyond_loopback,
            cpus_per_worker=self._cpus_per_worker,
        )


@contextmanager
def _new_store() -> Iterator[Graph]:
    """A graph in a temporary directory, which stays unless nothing came there in the end."""
    folder = tempfile.mkdtemp(prefix="crdtgraph-fleet-")
    is_empty = True
    try:
        with crdtgraph.open(folder) as graph:
            try:
                yield graph
            finally:
                is_empty = not graph.heads()
    finally:
        if is_empty:
            shutil.rmtree(folder, ignore_errors=True)


def _packed(matter: Matter) -> bytes:
    try:
        return pickled(matter)
    except LocalError:
        raise
    except Exception as error:
        raise LocalError(
            f"the problem cannot be sent to other processes: {type(error).__name__}: {error}",
            hint="make it of values that can be pickled; open files, locks and connections where they are used",
        ) from error


def _without_head(drive: Drive, graph: Graph, ref: str, error: HeadLostError) -> HeadLostError:
    """The error of a lost head, after what was found until then has been brought home if that is possible."""
    drive.hurry()
    try:
        bring_home(drive, graph, ref)
    except CrdtGraphError:
        hint = f"the ledger at {graph.url} is as it was before the search; start it again"
    else:
        hint = f"the best line until then is {ref!r} in the ledger at {graph.url}"
    message = f"{error.message}; the search ended after {drive.meter.iterations:,} iterations"
    return HeadLostError(message, hint=hint)


def _progress(drive: Drive, seconds: float) -> Progress:
    reports = [site.report for site in drive.sites.values() if site.report is not None]
    best = max(reports, key=lambda report: report.visits, default=None)
    return Progress(
        iterations=drive.meter.iterations,
        seconds=seconds,
        visits=best.visits if best is not None else 0,
        line=best.line if best is not None else (),
        nodes=len(drive.sites),
        nodes_lost=drive.tally.sites_lost,
        workers_lost=drive.tally.workers_lost,
    )
