"""The reading half of a graph: commits, ancestry, refs, states, names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from crdtgraph import ancestry
from crdtgraph.contents import Contents
from crdtgraph.dates import newest_first
from crdtgraph.errors import AmbiguousError, LocalError, NotFoundError
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId, unique_prefix
from crdtgraph.pending import PendingCommit, PendingCount, WaitingRecord
from crdtgraph.planes import LEDGER
from crdtgraph.prefixes import ids_with_prefix, texts_with_prefix
from crdtgraph.projection import Projection
from crdtgraph.records import META_NAMESPACE, Assign, Commit
from crdtgraph.refs import Ref, Refs

if TYPE_CHECKING:
    from crdtgraph.dag import Dag
    from crdtgraph.state import PathChange, State, States
    from crdtgraph.store import Store

PREFIX_DIGITS_MIN = 4
CANDIDATES_SHOWN = 10
_GIT = "git:"
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A record that cannot be applied yet, and the commit that it waits for.

    `kind` is "commit", "assign", "count" or "discard"; `subject` the id of a waiting commit, the name of a ref, or "".
    `since_us` is when it was made by its writer's clock: a commit's own time, else the stamp.
    """

    kind: str
    subject: str
    waits_for: CommitId
    since_us: int


class Source(Protocol):
    """What is read: the fold of one plane, and where the contents of its commits are."""

    projection: Projection
    contents: Contents

    def commit(self, commit_id: CommitId) -> Commit:
        """The content of a visible commit."""
        ...


class Reader:
    """Everything that can be asked of a graph. All of it is of one plane, the ledger unless another is named."""

    _planes: Mapping[str, Source]

    def __init__(self, planes: Mapping[str, Source]) -> None:
        self._planes = planes
        self._dag: Dag | None = None
        self._states_found: States | None = None
        self._origins: dict[str, dict[str, CommitId]] = {}
        self._origins_read: dict[str, int] = {}
        self._origins_sorted: dict[str, list[str]] = {}
        self._ids_sorted: dict[str, list[CommitId]] = {}

    # Commits

    def get(self, commit: CommitId, *, plane: str = LEDGER) -> Commit:
        """The content of a commit; NotFoundError when it is not visible here."""
        home = self._plane(plane)
        self._node(home, commit)
        return home.commit(commit)

    def get_many(self, commits: Iterable[CommitId], *, plane: str = LEDGER) -> list[Commit]:
        """The contents of many commits, in the order given. Each segment they lie in is unpacked once."""
        home = self._plane(plane)
        wanted = list(commits)
        nodes = [self._node(home, commit) for commit in wanted]
        locations = home.projection.locations
        found = {node: home.contents.get(locations[node]) for node in sorted(set(nodes), key=locations.__getitem__)}
        return [found[node] for node in nodes]

    def __contains__(self, commit: object) -> bool:
        return commit in self._plane(LEDGER).projection.nodes

    def __len__(self) -> int:
        return len(self._plane(LEDGER).projection)

    def has(self, commit: CommitId, *, plane: str = LEDGER) -> bool:
        """Whether a commit is visible in a plane, or the plane is a search that builds on it; no for a closed one."""
        home = self._open_plane(plane)
        return home is not None and commit in home.projection.nodes

    def is_live(self, commit: CommitId, *, plane: str = LEDGER) -> bool:
        """Whether neither the commit nor an ancestor was discarded."""
        home = self._plane(plane)
        return self._node(home, commit) not in home.projection.discards

    def counters(self, commit: CommitId, *, plane: str = LEDGER) -> tuple[int, ...]:
        """The totals counted for a commit; empty when nothing was."""
        home = self._plane(plane)
        self._node(home, commit)
        return home.projection.counters.get(commit)

    def pending(self, *, plane: str = LEDGER) -> list[Waiting]:
        """Records that wait for a commit that is not here, ordered by what they wait for."""
        return [_waiting(record, missing) for record, missing in self._plane(plane).projection.pending]

    # Ancestry

    @property
    def dag(self) -> Dag:
        """The ledger's graph as a read-only networkx DiGraph over dense integers (see `node` and `id_of`)."""
        index = self._plane(LEDGER).projection.dag
        if self._dag is None:
            # networkx takes longer to import than most commands run, and nothing else has a use for it.
            from crdtgraph.dag import Dag

            self._dag = Dag(index)
        return self._dag

    def node(self, commit: CommitId, *, plane: str = LEDGER) -> int:
        """The number of a commit in `dag`; valid in this process only."""
        return self._node(self._plane(plane), commit)

    def id_of(self, node: int, *, plane: str = LEDGER) -> CommitId:
        """The commit of a number in `dag`; NotFoundError when there is no such node."""
        ids = self._plane(plane).projection.ids
        if not 0 <= node < len(ids):
            raise NotFoundError(f"{node} is no node of the graph", hint=f"nodes are 0 to {len(ids) - 1}")
        return ids[node]

    def parents(self, commit: CommitId, *, plane: str = LEDGER) -> tuple[CommitId, ...]:
        """Parents in order, the base of the state first."""
        home = self._plane(plane)
        return self._ids(home, home.projection.dag.parents(self._node(home, commit)))

    def children(self, commit: CommitId, *, plane: str = LEDGER) -> tuple[CommitId, ...]:
        """Children, ordered by id."""
        home = self._plane(plane)
        return tuple(sorted(self._ids(home, home.projection.dag.children(self._node(home, commit)))))

    def generation(self, commit: CommitId, *, plane: str = LEDGER) -> int:
        """1 for a root, otherwise one more than the greatest of its parents."""
        home = self._plane(plane)
        return home.projection.dag.generation(self._node(home, commit))

    def ancestors(self, commit: CommitId, *, plane: str = LEDGER) -> set[CommitId]:
        """All commits before it, itself excluded. O(result)."""
        home = self._plane(plane)
        return set(self._ids(home, ancestry.ancestors(home.projection.dag, self._node(home, commit))))

    def descendants(self, commit: CommitId, *, plane: str = LEDGER) -> set[CommitId]:
        """All commits after it, itself excluded. O(result)."""
        home = self._plane(plane)
        return set(self._ids(home, ancestry.descendants(home.projection.dag, self._node(home, commit))))

    def is_ancestor(self, ancestor: CommitId, descendant: CommitId, *, plane: str = LEDGER) -> bool:
        """Whether the first is the second or comes before it."""
        home = self._plane(plane)
        return home.projection.is_ancestor_node(self._node(home, ancestor), self._node(home, descendant))

    def merge_bases(self, a: CommitId, b: CommitId, *, plane: str = LEDGER) -> list[CommitId]:
        """All best common ancestors, as `git merge-base --all`, ordered by id."""
        home = self._plane(plane)
        nodes = ancestry.merge_bases(home.projection.dag, [self._node(home, a)], [self._node(home, b)])
        return sorted(self._ids(home, nodes))

    def between(self, a: CommitId, b: CommitId, *, plane: str = LEDGER) -> list[CommitId]:
        """What `b` has beyond `a` (git's `a..b`), parents first, in an order equal on all replicas."""
        home = self._plane(plane)
        nodes = ancestry.between(home.projection.dag, self._node(home, a), self._node(home, b))
        return self._topological(home, nodes)

    def topological(self, *, plane: str = LEDGER) -> list[CommitId]:
        """All commits, parents before children, in an order that depends on the commits alone. O(n log n)."""
        home = self._plane(plane)
        return self._topological(home, range(len(home.projection)))

    def heads(self, *, plane: str = LEDGER) -> list[CommitId]:
        """Commits without children, ordered by id."""
        home = self._plane(plane)
        return sorted(self._ids(home, home.projection.dag.heads()))

    def roots(self, *, plane: str = LEDGER) -> list[CommitId]:
        """Commits without parents, ordered by id."""
        home = self._plane(plane)
        return sorted(self._ids(home, home.projection.dag.roots()))

    def newest_first(self, starts: Iterable[CommitId] | None = None, *, plane: str = LEDGER) -> Iterator[CommitId]:
        """Commits reachable from `starts` (default: all): the latest first, but children always before parents.

        By corrected date (see `crdtgraph.dates`), then generation, then id: equal on all replicas. Lazy: the first
        call after a commit was added dates the new ones, the first results cost O(starts).
        """
        projection = self._plane(plane).projection
        nodes = projection.dag.heads() if starts is None else {self.node(commit, plane=plane) for commit in starts}
        ids = projection.ids
        return (ids[node] for node in newest_first(projection, nodes))

    # Refs, metadata, states

    @property
    def refs(self) -> Refs:
        """The refs, a mapping from name to `Ref`. They live in the ledger."""
        return self._plane(LEDGER).projection.refs

    def meta(self, commit: CommitId | None = None) -> Mapping[str, bytes]:
        """Metadata of the graph, or of one commit: key -> value (of concurrent ones the latest stamp, then dot)."""
        registers = self._plane(LEDGER).projection.registers
        namespace = meta_namespace(commit)
        found = {}
        for key in registers.keys(namespace):
            live = [assign for assign in registers.live(namespace, key) if assign.value is not None]
            latest = max(live, key=lambda assign: (assign.stamp, assign.dot, assign.value))
            found[key] = latest.value or b""
        return found

    def state(self, commit: CommitId, *, plane: str = LEDGER) -> State:
        """Path -> value at a commit, an immutable mapping; large values are References.

        About 1 us when it was read lately and 0.2 ms when the store has it; else O(first parents since one that is
        known).
        """
        home = self._plane(plane)
        return self._states().at(home, self._node(home, commit))

    def state_many(self, commits: Iterable[CommitId], *, plane: str = LEDGER) -> list[State]:
        """The states at many commits, in the order given. They share what they have in common."""
        home = self._plane(plane)
        return self._states().many(home, [self._node(home, commit) for commit in commits])

    def diff(self, before: CommitId | None, after: CommitId, *, plane: str = LEDGER) -> list[PathChange]:
        """The paths whose values differ between the states at two commits, ordered; None stands for the empty state.

        O(what the commits between the two change) when they are close. Commits far apart are compared by what the store
        has of their states, page by page, and equal pages are not read.
        """
        from crdtgraph.state import difference

        home, states = self._plane(plane), self._states()
        start = None if before is None else states.place(home, self._node(home, before))
        return difference(states, start, states.place(home, self._node(home, after)))

    # Names

    def resolve(self, rev: str, *, plane: str = LEDGER) -> CommitId:
        """The commit that REV names: a ref, an id or a unique prefix of at least 4 digits, or `git:<oid prefix>`.

        Digits may be in upper case. Raises NotFoundError, or AmbiguousError whose hint lists the candidates. The first
        prefix after commits were added sorts them in; otherwise O(log n).
        """
        home = self._plane(plane)
        if rev.startswith(_GIT):
            origins, known = self.origins(plane=plane), self._sorted_origins(plane)
            names = [rev] if rev in origins else texts_with_prefix(known, rev) or texts_with_prefix(known, rev.lower())
            return self._only_one(rev, sorted({origins[name] for name in names}), home)
        if len(rev) == 2 * COMMIT_ID_BYTES and set(rev) <= _HEX and bytes.fromhex(rev) in home.projection.nodes:
            return CommitId(bytes.fromhex(rev))
        targets = self.refs.targets(rev)
        if targets:
            return targets[0]
        digits = rev.lower()
        if not PREFIX_DIGITS_MIN <= len(digits) <= 2 * COMMIT_ID_BYTES or not set(digits) <= _HEX:
            hint = f"use at least 4 digits of a commit id, git:<oid>, or a ref; refs: {self.refs.listed()}"
            raise NotFoundError(f"{rev!r} names no commit", hint)
        return self._only_one(rev, ids_with_prefix(self._sorted_ids(plane), digits), home)

    def short(self, commit: CommitId, *, plane: str = LEDGER) -> str:
        """The shortest unique prefix of an id, at least 8 digits. O(n log n) for the first, see `shorts` for many."""
        return self.shorts([commit], plane=plane)[0]

    def shorts(self, commits: Iterable[CommitId], *, plane: str = LEDGER) -> list[str]:
        """The shortest unique prefixes of many ids."""
        known = self._sorted_ids(plane)
        return [unique_prefix(known, commit) for commit in commits]

    def origins(self, *, plane: str = LEDGER) -> Mapping[str, CommitId]:
        """Origin -> commit for every imported commit. The first call reads all contents, later ones what is new."""
        home = self._plane(plane)
        known = self._origins.setdefault(plane, {})
        start = self._origins_read.get(plane, 0)
        ids = home.projection.ids
        for place, origin in enumerate(home.contents.origins(home.projection.locations[start:]), start):
            if origin:
                known[origin] = ids[place]
        self._origins_read[plane] = len(ids)
        return known

    def digest(self, *, plane: str = LEDGER) -> bytes:
        """32 bytes, equal on two replicas exactly when they hold the same visible graph. O(1)."""
        return self._plane(plane).projection.digest()

    # Inside

    def _states(self) -> States:
        if self._states_found is None:
            from crdtgraph.state import States

            self._states_found = States(self._plane(LEDGER), self._state_store())
        return self._states_found

    def _state_store(self) -> Store | None:
        """Where states may be stored."""
        return None

    def _plane(self, name: str) -> Source:
        home = self._open_plane(name)
        if home is None:
            raise self._no_plane(name)
        return home

    def _open_plane(self, name: str) -> Source | None:
        return self._planes.get(name)

    def _no_plane(self, name: str) -> LocalError:
        if not self._planes:
            return LocalError("the graph is closed")
        return NotFoundError(f"there is no plane {name!r}", hint=f"planes: {', '.join(self._planes)}")

    @staticmethod
    def _node(home: Source, commit: CommitId) -> int:
        given: object = commit
        node = home.projection.nodes.get(commit) if isinstance(given, bytes) else None
        if node is None:
            raise NotFoundError(
                f"commit {show_id(commit)} is not here",
                hint="an id is 32 bytes; graph.resolve() turns text into one",
            )
        return node

    @staticmethod
    def _ids(home: Source, nodes: Iterable[int]) -> tuple[CommitId, ...]:
        ids = home.projection.ids
        return tuple([ids[node] for node in nodes])

    def _topological(self, home: Source, nodes: Iterable[int]) -> list[CommitId]:
        projection = home.projection
        return list(self._ids(home, ancestry.topological(projection.dag, nodes, projection.ids.__getitem__)))

    def _sorted_ids(self, plane: str) -> list[CommitId]:
        found = self._ids_sorted.setdefault(plane, [])
        ids = self._plane(plane).projection.ids
        if len(found) < len(ids):
            found += ids[len(found) :]
            found.sort()
        return found

    def _sorted_origins(self, plane: str) -> list[str]:
        origins = self.origins(plane=plane)
        found = self._origins_sorted.get(plane, [])
        if len(found) < len(origins):
            found = self._origins_sorted[plane] = sorted(origins)
        return found

    def _only_one(self, rev: str, found: list[CommitId], home: Source) -> CommitId:
        if len(found) == 1:
            return found[0]
        if not found:
            raise NotFoundError(f"{rev!r} names no commit", hint="`crdtgraph log` lists commits")
        lines = [f"{commit.hex()[:16]} {commit_title(home.commit(commit))}" for commit in found[:CANDIDATES_SHOWN]]
        more = len(found) - len(lines)
        raise AmbiguousError(
            f"{rev!r} is the beginning of {len(found)} commit ids",
            hint="give more digits; candidates:\n  " + "\n  ".join(lines) + (f"\n  and {more} more" if more else ""),
        )


def meta_namespace(commit: CommitId | None) -> str:
    """The namespace of the graph's metadata, or of one commit's."""
    return f"{META_NAMESPACE}/graph" if commit is None else f"{META_NAMESPACE}/{commit.hex()}"


def show_id(value: object) -> str:
    """What a caller gave for an id, for a message."""
    return value.hex() if isinstance(value, bytes) else repr(value)


def commit_title(commit: Commit) -> str:
    """The beginning of a message, for lists of candidates."""
    return commit.message.partition("\n")[0][:60]


def _waiting(record: WaitingRecord, missing: CommitId) -> Waiting:
    if isinstance(record, PendingCommit):
        return Waiting("commit", record.id.hex(), missing, record.time)
    if isinstance(record, PendingCount):
        return Waiting("count", "", missing, record.record.stamp)
    if isinstance(record, Assign):
        return Waiting("assign", record.key, missing, record.stamp)
    return Waiting("discard", "", missing, record.stamp)


__all__ = ["Reader", "Ref", "Waiting"]
