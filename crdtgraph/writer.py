"""What a graph writes about commits: themselves, counters, discards, and their way from a search to the ledger.

A call that returns has folded its records into the projection, so a writer always sees its own writes; what survives a
crash is said by `Durability` (buffer.py). A call that raises has changed nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from crdtgraph.buffer import FLUSH_RECORDS, commit_size, record_size
from crdtgraph.durability import STANDARD_POLICY, Durability, Policy, Write, WriteKind, classify, standard_class
from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.ids import CommitId, Dot
from crdtgraph.largevalues import LargeValues
from crdtgraph.planes import LARGE_COMMIT_BYTES, LEDGER, Plane
from crdtgraph.reader import show_id
from crdtgraph.records import (
    REF_NAMESPACE,
    Assign,
    Commit,
    Count,
    Discard,
    Value,
    check_commit,
    check_name,
    check_vector,
    encode_commit,
    ordered_changes,
)
from crdtgraph.refs import exact_ids
from crdtgraph.segment import RECORDS_MAX
from crdtgraph.store import Store

if TYPE_CHECKING:
    from crdtgraph.searches.plane import SearchPlane


class MadeCommit(NamedTuple):
    """A commit to be written: its id, content, stamp, and the number of its canonical bytes."""

    id: CommitId | None
    commit: Commit | None
    stamp: int
    size: int


class Writer(LargeValues):
    """The writing half of a graph, but for what is in registers, which `assigning` writes."""

    store: Store
    author: str
    writer: int
    _dots: int
    _read_only: bool
    _policy: Policy

    # Commits

    def commit(
        self,
        *,
        parents: Iterable[CommitId] | None = None,
        message: str = "",
        changes: Mapping[str, Value] | None = None,
        ref: str | None = None,
        author: str | None = None,
        time: int | None = None,
        origin: str = "",
        durability: Durability | None = None,
        plane: str = LEDGER,
    ) -> CommitId:
        """Add one commit and return its id; about 8 us.

        Args:
            parents: ids of visible commits, the base of the state first. By default the ref's target, or none.
            message: any text.
            changes: path -> bytes, Reference, or None to remove the path. Bytes above 16 KiB are kept as an object, and
                the commit has a Reference in their place (see `put_object` and `read`).
            ref: move this ref to the new commit (create it if need be). The commit must descend from the ref's target,
                or from one of them when the ref is conflicted; the other targets then stay.
            author: default is the graph's `author`.
            time: microseconds since the Unix epoch; default is now.
            origin: where an imported commit came from.
            durability: default is what the graph's policy says: CRITICAL when a ref moves, SPECULATIVE inside a search,
                else NORMAL.
            plane: the ledger, or that of an open search. A commit of a search that moves a ref, or is to be kept by its
                durability, is promoted in the same call.

        Raises:
            LocalError: a parent is missing, a value is wrong, the ref cannot move there, the plane keeps nothing
                speculative; NotFoundError: no such plane.
            StoreError: the disk refuses.
        """
        home = self._writable(plane)
        if durability is None and self._policy is STANDARD_POLICY:
            durability = standard_class(moves_ref=ref is not None, in_search=plane != LEDGER)
        else:
            durability = self._class_of(WriteKind.COMMIT, plane, durability, ref)
        stamp = self._clock.tick()
        if parents is None:
            parents = self.refs.targets(ref)[:1] if ref is not None else ()
        commit = Commit(
            exact_ids(parents),
            self.author if author is None else author,
            stamp if time is None else time,
            message,
            ordered_changes(self._with_objects(changes)) if changes else (),
            origin,
        )
        data = encode_commit(commit)
        nodes = home.projection.nodes
        for parent in commit.parents:
            if parent not in nodes and (plane == LEDGER or not self._search(plane).knows_parent(parent)):
                raise _missing_parent(parent)
        commit_id = CommitId(hashlib.sha256(data).digest())
        if plane != LEDGER:
            is_kept = ref is not None or durability is not Durability.SPECULATIVE
            if is_kept:
                # Read before anything is added: what was thrown away may be gone.
                _, below = self._search(plane).missing(commit.parents)
            if ref is not None:
                check_name(ref, "ref")
                self.refs.fast_forward(ref, commit_id, below)
            for parent in commit.parents:
                if parent not in nodes:
                    home.has_parent(parent)
            if not home.has_parent(commit_id):
                home.add_commit(commit_id, commit, stamp, len(data), FLUSH_RECORDS)
            if is_kept:
                kept = None if durability is Durability.SPECULATIVE else durability
                self.promote(commit_id, plane=plane, ref=ref, durability=kept)
        elif ref is None and durability is Durability.NORMAL:
            if commit_id not in nodes:
                home.add_commit(commit_id, commit, stamp, len(data), FLUSH_RECORDS)
        else:
            assigns = [] if ref is None else [self._move_ref(ref, commit_id, commit.parents)]
            self._write(home, assigns, durability, MadeCommit(commit_id, commit, stamp, len(data)))
        return commit_id

    def commit_many(
        self, commits: Iterable[Commit], *, plane: str = LEDGER, durability: Durability | None = None
    ) -> list[CommitId]:
        """Add many commits in the order given, parents first; returns their ids. About 6 us each.

        They are packed into full segments, which makes for fewer bytes to send than one call a commit, and share one
        fsync if they are CRITICAL. In a search those that are to be kept are promoted. Raises LocalError at the first
        that is wrong; those before it are added.
        """
        home = self._writable(plane)
        durability = self._class_of(WriteKind.COMMIT, plane, durability)
        ids = self._add_many(home, commits)
        if plane != LEDGER and durability is not Durability.SPECULATIVE:
            for commit_id in ids:
                self.promote(commit_id, plane=plane, durability=Durability.NORMAL)
        if durability is Durability.CRITICAL:
            self._writable(LEDGER).flush(sync=True)
        return ids

    # Counters, discards, promotions

    def count(
        self, commit: CommitId, vector: Iterable[int], *, plane: str = LEDGER, durability: Durability | None = None
    ) -> None:
        """Add a vector of signed 64-bit integers to the counters of a visible commit."""
        home = self._writable(plane)
        durability = self._class_of(WriteKind.COUNT, plane, durability)
        self._node(home, commit)
        numbers = check_vector(vector)
        self._write(home, [Count(commit, numbers, self._clock.tick())], durability)

    def discard(self, commit: CommitId, *, plane: str = LEDGER, durability: Durability | None = None) -> None:
        """Throw a commit and all that follows from it away: it stays readable and is no longer live. For ever.

        In the plane that is named only: what was promoted from a search stays live in the ledger.
        """
        home = self._writable(plane)
        durability = self._class_of(WriteKind.DISCARD, plane, durability)
        is_new = self._is_new_discard(home, commit)
        self._write(home, [Discard(commit, self._clock.tick())] if is_new else [], durability)

    def promote(
        self, commit: CommitId, *, plane: str, ref: str | None = None, durability: Durability | None = None
    ) -> list[CommitId]:
        """Copy a commit of a search and its ancestors that the ledger lacks to the ledger; returns them, parents first.

        Ids are content hashes, so nothing changes its name. Counters stay behind. A promoted commit survives any
        discard in the search, and its end. O(commits copied).

        Args:
            commit: a commit of the search; one that the ledger has already only moves the ref.
            plane: the search's plane.
            ref: move this ref there, as `commit` does.
            durability: default is what the graph's policy says: CRITICAL when a ref moves, else NORMAL.

        Raises:
            NotFoundError: no such plane or commit; LocalError: the ref cannot move there. Nothing was copied then.
            StoreError: the disk refuses; some of the commits may have been copied.
        """
        home = self._writable(LEDGER)
        durability = self._class_of(WriteKind.PROMOTE, LEDGER, durability, *(() if ref is None else (ref,)))
        search = self._search(plane)
        if commit in home.projection.nodes:
            commits: list[Commit] = []
            below: tuple[CommitId, ...] = (commit,)
        else:
            self._node(search, commit)
            commits, below = search.missing((commit,))
        if ref is not None:
            check_name(ref, "ref")
            self.refs.fast_forward(ref, commit, below)
        copied = self._add_many(home, commits)
        assigns = [] if ref is None else [self._move_ref(ref, commit, self.parents(commit))]
        self._write(home, assigns, durability)
        return copied

    def durability_of(self, write: Write, chosen: Durability | None = None) -> Durability:
        """The class that a write has: the one chosen, else the policy's. Raises LocalError if that cannot be."""
        return classify(self._policy, write, chosen)

    # Inside

    def _add_many(self, home: Plane, commits: Iterable[Commit]) -> list[CommitId]:
        nodes = home.projection.nodes
        ids = []
        for commit in commits:
            data = encode_commit(commit)
            if commit.changes != ():
                check_commit(commit)
                self._want_objects_of([commit])
            for parent in commit.parents:
                if parent not in nodes and not home.has_parent(parent):
                    raise _missing_parent(parent)
            commit_id = CommitId(hashlib.sha256(data).digest())
            if commit_id not in nodes and not home.has_parent(commit_id):
                home.add_commit(commit_id, commit, self._clock.tick(), len(data), RECORDS_MAX)
            ids.append(commit_id)
        return ids

    def _is_new_discard(self, home: Plane, commit: CommitId) -> bool:
        """Whether nobody discarded this very commit yet; LocalError for one that the plane only builds on."""
        if self._node(home, commit) in home.projection.bases:
            raise LocalError(
                f"commit {show_id(commit)} belongs to the ledger, plane {home.name!r} only builds on it",
                hint="discard it in the ledger, or what follows from it in the search",
            )
        return commit not in home.projection.discards.roots

    def _writable(self, plane: str) -> Plane:
        home = self._plane(plane)
        if self._read_only:
            raise LocalError(f"{self.store.url} is open for reading only", hint="open it with read_only=False")
        return home

    def _move_ref(self, name: str, target: CommitId, parents: tuple[CommitId, ...]) -> Assign:
        check_name(name, "ref")
        return self._assign(REF_NAMESPACE, name, target, self.refs.fast_forward(name, target, parents))

    def _assign(self, namespace: str, key: str, value: bytes | None, supersedes: tuple[Dot, ...]) -> Assign:
        dot = Dot(self.writer, self._dots)
        self._dots += 1
        return Assign(namespace, key, value, dot, supersedes, self._clock.tick())

    def _class_of(self, kind: WriteKind, plane: str, chosen: Durability | None, *moves: str | None) -> Durability:
        names = tuple([name for name in moves if name is not None])
        return classify(self._policy, Write(kind, plane, plane != LEDGER, names), chosen)

    def _write(
        self,
        home: Plane,
        records: Sequence[Assign | Count | Discard],
        durability: Durability,
        made: MadeCommit | None = None,
    ) -> None:
        """Write a commit, unless it is there, and other records, all in one class and, if that is CRITICAL, at once."""
        if made is None or made.id in home.projection.nodes:
            made = MadeCommit(None, None, records[-1].stamp if records else 0, 0)
        if durability is Durability.CRITICAL or made.size > LARGE_COMMIT_BYTES:
            if made.commit is None and not records:
                home.flush(sync=True)
            else:
                home.add_critical(made.id, made.commit, records, made.stamp, made.size)
            return
        if len(records) > 1 and made.commit is None:
            home.make_room(len(records), sum(map(record_size, records)))
        if made.id is not None and made.commit is not None:
            home.make_room(1 + len(records), commit_size(made.commit, made.size) + sum(map(record_size, records)))
            home.add_commit(made.id, made.commit, made.stamp, made.size, FLUSH_RECORDS)
        for record in records:
            if isinstance(record, Count):
                home.add_count(record)
            else:
                home.add(record)

    def _search(self, plane: str) -> SearchPlane:
        try:
            return self._searches[plane]
        except KeyError:
            raise NotFoundError(
                f"there is no open search with plane {plane!r}", hint="graph.searches() lists them"
            ) from None

    def _unpromoted(self, target: CommitId) -> tuple[list[Commit], tuple[CommitId, ...]]:
        """What the ledger lacks of a commit and its ancestors, parents first, and the ledger's commits below it."""
        home = self._plane(LEDGER)
        if target not in home.projection.nodes:
            for search in self._searches.values():
                if target in search.projection.nodes:
                    return search.missing((target,))
        self._node(home, target)
        return [], self.parents(target)


def _missing_parent(parent: object) -> LocalError:
    return LocalError(
        f"parent {show_id(parent)} is not in the graph",
        hint="commit or import it first; an id is 32 bytes, graph.resolve() turns text into one",
    )
