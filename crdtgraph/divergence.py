"""Two replicas compared: what only one has, where they parted, which refs and paths are apart.

Needs both graphs in one process; for a running node that is a copy fetched through `Replica.deltas`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from crdtgraph.errors import LocalError
from crdtgraph.ids import CommitId
from crdtgraph.planes import LEDGER
from crdtgraph.reader import Reader
from crdtgraph.records import REF_NAMESPACE
from crdtgraph.replica import Replica


class RefState(StrEnum):
    """How a ref of replica A relates to the one of B."""

    ONLY_A = "only-a"
    ONLY_B = "only-b"
    AHEAD = "ahead"
    BEHIND = "behind"
    DIVERGED = "diverged"


@dataclass(frozen=True, slots=True)
class RefDifference:
    """A ref that is not the same on both sides. Targets are the winner and then the others; empty where missing."""

    name: str
    state: RefState
    a: tuple[CommitId, ...]
    b: tuple[CommitId, ...]


@dataclass(frozen=True, slots=True)
class Divergence:
    """How two replicas differ.

    `only_a` and `only_b` are the commits that one side has, parents first; `fork_points` the common commits that those
    build on, by id. `conflicted` are refs with several targets on either side. `paths` were changed by commits of both
    sides. `metadata` names registers whose values differ, and `set_apart` registers (refs among them) that have the
    same value because both sides set it, each for itself: one exchange makes those equal. `counters` are commits with
    other totals, `discarded` what only one side threw away. `pending` counts the waiting records of each.
    """

    equal: bool
    digest_a: bytes
    digest_b: bytes
    fork_points: tuple[CommitId, ...]
    only_a: tuple[CommitId, ...]
    only_b: tuple[CommitId, ...]
    refs: tuple[RefDifference, ...]
    conflicted: tuple[str, ...]
    paths: tuple[str, ...]
    metadata: tuple[str, ...]
    set_apart: tuple[str, ...]
    counters: tuple[CommitId, ...]
    discarded: tuple[CommitId, ...]
    pending: tuple[int, int]

    @property
    def ahead(self) -> int:
        """How many commits only A has."""
        return len(self.only_a)

    @property
    def behind(self) -> int:
        """How many commits only B has."""
        return len(self.only_b)


def compare(a: Replica, b: Replica, *, plane: str = LEDGER) -> Divergence:
    """Compare a plane of two replicas; O(commits of both) set operations plus reading the commits that differ.

    Raises LocalError when they belong to different clusters.
    """
    if a.cluster != b.cluster:
        raise LocalError(
            f"the replicas belong to different clusters, {a.cluster!r} and {b.cluster!r}",
            hint="replicas of different clusters never exchange anything",
        )
    home_a, home_b = a._plane(plane).projection, b._plane(plane).projection
    only_a = [commit for commit in home_a.ids if commit not in home_b.nodes]
    only_b = [commit for commit in home_b.ids if commit not in home_a.nodes]
    forks = _bases(a, only_a, set(only_a), plane) | _bases(b, only_b, set(only_b), plane)
    names = sorted(set(a.refs) | set(b.refs))
    refs = tuple(difference for name in names if (difference := _ref(name, a, b)))
    meta_a, meta_b = ({(r.namespace, r.key, r.value) for r in home.registers} for home in (home_a, home_b))
    metadata = {f"{space}/{key}" for space, key, _ in meta_a ^ meta_b if space != REF_NAMESPACE}
    set_apart = {f"{r.namespace}/{r.key}" for r in set(home_a.registers) ^ set(home_b.registers)}
    set_apart -= metadata | {f"{REF_NAMESPACE}/{difference.name}" for difference in refs}
    totals = set(home_a.counters) ^ set(home_b.counters)
    return Divergence(
        equal=home_a.digest() == home_b.digest(),
        digest_a=home_a.digest(),
        digest_b=home_b.digest(),
        fork_points=tuple(sorted(forks)),
        only_a=tuple(_ordered(a, only_a, plane)),
        only_b=tuple(_ordered(b, only_b, plane)),
        refs=refs,
        conflicted=tuple(name for name in names if len(a.refs.targets(name)) > 1 or len(b.refs.targets(name)) > 1),
        paths=tuple(sorted(_paths(a, only_a, plane) & _paths(b, only_b, plane))),
        metadata=tuple(sorted(metadata)),
        set_apart=tuple(sorted(set_apart)),
        counters=tuple(sorted({commit for commit, _ in totals})),
        discarded=tuple(sorted(home_a.discards.roots ^ home_b.discards.roots)),
        pending=(len(home_a.pending), len(home_b.pending)),
    )


def _bases(graph: Reader, commits: Iterable[CommitId], only: set[CommitId], plane: str) -> set[CommitId]:
    return {parent for commit in commits for parent in graph.parents(commit, plane=plane) if parent not in only}


def _ordered(graph: Reader, commits: list[CommitId], plane: str) -> list[CommitId]:
    home = graph._plane(plane).projection
    return sorted(commits, key=lambda commit: home.rank(home.nodes[commit]))


def _paths(graph: Reader, commits: list[CommitId], plane: str) -> set[str]:
    return {path for commit in graph.get_many(commits, plane=plane) for path, _ in commit.changes}


def _ref(name: str, a: Replica, b: Replica) -> RefDifference | None:
    at_a, at_b = a.refs.targets(name), b.refs.targets(name)
    if at_a == at_b:
        return None
    if not at_a or not at_b:
        return RefDifference(name, RefState.ONLY_A if at_a else RefState.ONLY_B, at_a, at_b)
    state = RefState.DIVERGED
    if _descends(a, at_a, at_b):
        state = RefState.AHEAD
    elif _descends(b, at_b, at_a):
        state = RefState.BEHIND
    return RefDifference(name, state, at_a, at_b)


def _descends(graph: Reader, targets: tuple[CommitId, ...], earlier: tuple[CommitId, ...]) -> bool:
    return all(commit in graph and any(graph.is_ancestor(commit, target) for target in targets) for commit in earlier)
