"""What travels between a driver and the nodes of its fleet: values alone, all of which can be pickled."""

from __future__ import annotations

from dataclasses import dataclass

from crdtgraph.ids import CommitId
from sync.fleet.crew import Work

Feed = list[tuple[str, bytes]]
"""Updates, each with the plane that it belongs to."""
IN_MEMORY = "memory:"
"""Where replicas are kept unless a directory is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What every node of a fleet has to know.

    Attributes:
        cluster: the name of the graph's cluster.
        search: the name of the search.
        root: the commit of the ledger that it begins at, None for the problem's initial state.
        matter: the problem and how to search it, pickled.
        seed: of the generators of all workers, each of which has one of its own.
        batch: leaves that a worker is given at once.
        patience_s: how long it may take over them.
        stores: a directory, in which each node has a store of its own, or `memory:`.
        beyond_loopback: whether nodes talk over the network.
        cpus_per_worker: what Ray is told that one takes.
    """

    cluster: str
    search: str
    root: CommitId | None
    matter: bytes
    seed: int
    batch: int
    patience_s: float
    stores: str
    beyond_loopback: bool
    cpus_per_worker: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Times of a fleet, in seconds.

    Attributes:
        lease_s: a lease at most; then the budget is looked at, and who is there.
        look_s: between two looks at the list of nodes.
        head_s: the head may be silent for so long. One that is restarted with its state kept is back within it.
        start_s: for the first result to come, with the start of all processes.
        answer_s: beyond what was asked for; a site that takes longer is lost.
        agree_s: for the nodes to hear all of each other's work at the end.
    """

    lease_s: float = 0.5
    look_s: float = 1.0
    head_s: float = 10.0
    start_s: float = 120.0
    answer_s: float = 30.0
    agree_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Place:
    """A Ray node: its address, and the CPUs that it was declared to have."""

    host: str
    cpus: float


@dataclass(frozen=True, slots=True)
class Arrived:
    """A node of the fleet that can be talked to: where it listens, and what opens its store."""

    address: str
    store: str


@dataclass(frozen=True, slots=True)
class Report:
    """How a node stands at the end of a lease.

    Attributes:
        work: what the lease came to.
        visits: iterations that the tree holds there, those of all nodes as far as they were heard of.
        leader: the move that leads at the root, None without any.
        lead: by this share of the root's visits.
        line: the best line, as the texts of its actions.
    """

    work: Work
    visits: int
    leader: str | None
    lead: float
    line: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The answer as a node found it, promoted to its ledger.

    Attributes:
        commit: the last of the best line.
        line: the texts of the actions that lead there from the root.
        visits: iterations that the tree holds.
    """

    commit: CommitId
    line: tuple[str, ...]
    visits: int
