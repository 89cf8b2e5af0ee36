"""The half of a graph that writes: commits, refs, metadata, counters, discards, merges.

A call that returns has folded its records into the projection, so a writer always sees its own writes; what survives a
crash is said by `Durability` (buffer.py). A call that raises has changed nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from crdtgraph.buffer import FLUSH_RECORDS, Durability, commit_size, fits, record_size
from crdtgraph.errors import LocalError
from crdtgraph.ids import CommitId, Dot
from crdtgraph.largevalues import LargeValues
from crdtgraph.planes import LARGE_COMMIT_BYTES, LEDGER, Plane
from crdtgraph.reader import meta_namespace, show_id
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
from crdtgraph.segment import RECORD_OVERHEAD_BYTES, RECORDS_MAX
from crdtgraph.store import Store

if TYPE_CHECKING:
    from crdtgraph.state import MergeResult

META_VALUE_BYTES_MAX = 64 << 10
REFS_AT_ONCE = 500
"""Refs moved with one fsync: half of what a segment holds."""


class Writer(LargeValues):
    """What a program says to a graph. `Graph` opens and closes it."""

    store: Store
    author: str
    writer: int
    _dots: int
    _read_only: bool

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
            durability: default is CRITICAL when a ref moves, else NORMAL.
            plane: the ledger is the only one so far.

        Raises:
            LocalError: a parent is missing, a value is wrong, the ref cannot move there; NotFoundError: no such plane.
            StoreError: the disk refuses.
        """
        home = self._writable(plane)
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
            if parent not in nodes:
                raise _missing_parent(parent)
        commit_id = CommitId(hashlib.sha256(data).digest())
        if ref is None and durability is not Durability.CRITICAL:
            if commit_id not in nodes:
                home.add_commit(commit_id, commit, stamp, len(data), FLUSH_RECORDS)
            return commit_id
        assigns = [] if ref is None else [self._move_ref(ref, commit_id, commit.parents)]
        if durability is Durability.NORMAL and len(data) <= LARGE_COMMIT_BYTES:
            home.make_room(2, commit_size(commit, len(data)) + record_size(assigns[0]))
            if commit_id not in nodes:
                home.add_commit(commit_id, commit, stamp, len(data), FLUSH_RECORDS)
            home.add(assigns[0], stamp)
        elif commit_id in nodes:
            home.add_critical(None, None, assigns, stamp, 0)
        else:
            home.add_critical(commit_id, commit, assigns, stamp, len(data))
        return commit_id

    def commit_many(self, commits: Iterable[Commit], *, plane: str = LEDGER) -> list[CommitId]:
        """Add many commits in the order given, parents first; returns their ids. About 6 us each.

        They are packed into full segments, which makes for fewer bytes to send than one call a commit. Raises
        LocalError at the first that is wrong; those before it are added.
        """
        home = self._writable(plane)
        nodes = home.projection.nodes
        ids = []
        for commit in commits:
            data = encode_commit(commit)
            if commit.changes != ():
                check_commit(commit)
                self._want_objects_of([commit])
            for parent in commit.parents:
                if parent not in nodes:
                    raise _missing_parent(parent)
            commit_id = CommitId(hashlib.sha256(data).digest())
            if commit_id not in nodes:
                home.add_commit(commit_id, commit, self._clock.tick(), len(data), RECORDS_MAX)
            ids.append(commit_id)
        return ids

    # Refs, metadata, counters, discards

    def set_ref(self, name: str, target: CommitId, *, force: bool = False, keep_others: bool = False) -> None:
        """Point a ref at a commit, durably.

        Without `force` the commit must descend from the present targets (or the ref be new). `force` replaces all of
        them. `keep_others` moves only what the commit descends from and leaves the rest: a conflict for a merge.
        """
        self.set_refs({name: target}, force=force, keep_others=keep_others)

    def set_refs(self, targets: Mapping[str, CommitId], *, force: bool = False, keep_others: bool = False) -> None:
        """Point many refs at commits as `set_ref` does, with one fsync for each 500.

        Raises before anything is written if one of them is wrong.
        """
        home = self._writable(LEDGER)
        moves = []
        for name, target in targets.items():
            self._node(home, target)
            check_name(name, "ref")
            dots = {assign.dot for assign in self.refs.live(name)}
            superseded = dots if force else set(self.refs.dominated_by(name, target, self.parents(target)))
            if dots != superseded and not keep_others:
                raise self.refs.not_fast_forward(name)
            if self.refs.targets(name) != (target,):
                moves.append((name, target, tuple(sorted(superseded))))
        batch: list[Assign] = []
        size = 0
        for name, target, replaced in moves:
            assign = self._assign(REF_NAMESPACE, name, bytes(target), replaced)
            more = record_size(assign) + RECORD_OVERHEAD_BYTES
            if batch and (len(batch) == REFS_AT_ONCE or not fits(len(batch) + 1, size + more)):
                self._write_durably(home, batch)
                batch, size = [], 0
            batch.append(assign)
            size += more
        if batch:
            self._write_durably(home, batch)

    def delete_ref(self, name: str) -> None:
        """Remove a ref, durably; NotFoundError when there is none. A concurrent move of it elsewhere survives."""
        home = self._writable(LEDGER)
        self.refs.require(name)
        supersedes = tuple(sorted({assign.dot for assign in self.refs.live(name)}))
        self._write_durably(home, [self._assign(REF_NAMESPACE, name, None, supersedes)])

    def set_meta(self, key: str, value: bytes | None, *, commit: CommitId | None = None) -> None:
        """Set (or with None remove) metadata of the graph or of one commit; it changes no commit's id."""
        home = self._writable(LEDGER)
        check_name(key, "metadata key")
        if value is not None and (type(value) is not bytes or len(value) > META_VALUE_BYTES_MAX):
            raise LocalError(
                f"metadata {key!r} is not bytes of at most {META_VALUE_BYTES_MAX}",
                hint="keep large values in a commit's changes",
            )
        if commit is not None:
            self._node(home, commit)
        namespace = meta_namespace(commit)
        supersedes = tuple(sorted({assign.dot for assign in home.projection.registers.live(namespace, key)}))
        assign = self._assign(namespace, key, value, supersedes)
        home.add(assign, assign.stamp)

    def count(self, commit: CommitId, vector: Iterable[int], *, plane: str = LEDGER) -> None:
        """Add a vector of signed 64-bit integers to the counters of a visible commit."""
        home = self._writable(plane)
        self._node(home, commit)
        numbers = check_vector(vector)
        stamp = self._clock.tick()
        home.add(Count(commit, numbers, stamp), stamp)

    def discard(self, commit: CommitId, *, plane: str = LEDGER) -> None:
        """Throw a commit and all that follows from it away: it stays readable and is no longer live. For ever."""
        home = self._writable(plane)
        self._node(home, commit)
        if commit not in home.projection.discards.roots:
            stamp = self._clock.tick()
            home.add(Discard(commit, stamp), stamp)

    # Merging

    def merge(self, name: str) -> MergeResult:
        """Merge the targets of a conflicted ref into one commit and point the ref at it, durably.

        The commit follows from its parents alone, so replicas that merge the same targets make the same commit. A ref
        without conflict is left as it is. Raises NotFoundError when there is no such ref.
        """
        commit, result = self._prepare_merge(name)
        if commit is not None:
            home = self._writable(LEDGER)
            data = encode_commit(commit)
            assign = self._move_ref(name, result.commit, commit.parents)
            known = result.commit in home.projection
            home.add_critical(
                None if known else result.commit, None if known else commit, [assign], assign.stamp, len(data)
            )
        return result

    def preview_merge(self, name: str) -> MergeResult:
        """What `merge` would do: the commit it would make and the paths in conflict. Changes nothing."""
        return self._prepare_merge(name)[1]

    # Inside

    def _writable(self, plane: str) -> Plane:
        home = self._plane(plane)
        if self._read_only:
            raise LocalError(f"{self.store.url} is open for reading only", hint="open it with read_only=False")
        return home

    def _prepare_merge(self, name: str) -> tuple[Commit | None, MergeResult]:
        from crdtgraph.state import MergeResult, merge_heads

        targets = self.refs.require(name).targets
        if len(targets) == 1:
            return None, MergeResult(targets[0], targets, (), merged=False)
        home = self._plane(LEDGER)
        commit, conflicts = merge_heads(home.projection, home.contents, targets)
        return commit, MergeResult(commit.id, targets, tuple(conflicts), merged=True)

    def _move_ref(self, name: str, target: CommitId, parents: tuple[CommitId, ...]) -> Assign:
        check_name(name, "ref")
        return self._assign(REF_NAMESPACE, name, target, self.refs.fast_forward(name, target, parents))

    def _assign(self, namespace: str, key: str, value: bytes | None, supersedes: tuple[Dot, ...]) -> Assign:
        dot = Dot(self.writer, self._dots)
        self._dots += 1
        return Assign(namespace, key, value, dot, supersedes, self._clock.tick())

    def _write_durably(self, home: Plane, assigns: list[Assign]) -> None:
        home.add_critical(None, None, assigns, assigns[-1].stamp, 0)


def _missing_parent(parent: object) -> LocalError:
    return LocalError(
        f"parent {show_id(parent)} is not in the graph",
        hint="commit or import it first; an id is 32 bytes, graph.resolve() turns text into one",
    )
