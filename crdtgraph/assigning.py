"""What a graph writes about refs and metadata: assignments to registers, and the merges that end their conflicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crdtgraph.buffer import fits, record_size
from crdtgraph.durability import Durability, WriteKind
from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.ids import CommitId
from crdtgraph.objects.format import as_kept
from crdtgraph.planes import LEDGER
from crdtgraph.reader import meta_namespace
from crdtgraph.records import REF_NAMESPACE, Assign, Commit, check_name, encode_commit
from crdtgraph.segment import RECORD_OVERHEAD_BYTES
from crdtgraph.writer import MadeCommit, Writer

if TYPE_CHECKING:
    from crdtgraph.state import MergePolicy, MergeResult
    from crdtgraph.state.policies import PathPolicies, Policies

META_VALUE_BYTES_MAX = 64 << 10
REFS_AT_ONCE = 500
"""Refs moved with one fsync: half of what a segment holds."""


class Assigner(Writer):
    """The part of a graph that assigns. `Graph` opens and closes it."""

    # Refs and metadata

    def set_ref(
        self,
        name: str,
        target: CommitId,
        *,
        force: bool = False,
        keep_others: bool = False,
        durability: Durability | None = None,
    ) -> None:
        """Point a ref at a commit, durably unless another class is chosen. One that is in a search is promoted first.

        Without `force` the commit must descend from the present targets (or the ref be new). `force` replaces all of
        them. `keep_others` moves only what the commit descends from and leaves the rest: a conflict for a merge.
        """
        self.set_refs({name: target}, force=force, keep_others=keep_others, durability=durability)

    def set_refs(
        self,
        targets: Mapping[str, CommitId],
        *,
        force: bool = False,
        keep_others: bool = False,
        durability: Durability | None = None,
    ) -> None:
        """Point many refs at commits as `set_ref` does, with one fsync for each 500.

        Raises before anything is written if one of them is wrong.
        """
        home = self._writable(LEDGER)
        durability = self._class_of(WriteKind.REF, LEDGER, durability, *targets)
        moves = []
        promoted: list[list[Commit]] = []
        for name, target in targets.items():
            commits, below = self._unpromoted(target)
            check_name(name, "ref")
            dots = {assign.dot for assign in self.refs.live(name)}
            superseded = dots if force else set(self.refs.dominated_by(name, target, below))
            if dots != superseded and not keep_others:
                raise self.refs.not_fast_forward(name)
            promoted.append(commits)
            if self.refs.targets(name) != (target,):
                moves.append((name, target, tuple(sorted(superseded))))
        for commits in promoted:
            self._add_many(home, commits)
        batch: list[Assign] = []
        size = 0
        for name, target, replaced in moves:
            assign = self._assign(REF_NAMESPACE, name, bytes(target), replaced)
            more = record_size(assign) + RECORD_OVERHEAD_BYTES
            if batch and (len(batch) == REFS_AT_ONCE or not fits(len(batch) + 1, size + more)):
                self._write(home, batch, durability)
                batch, size = [], 0
            batch.append(assign)
            size += more
        # Also if they stand there already: somebody may have moved them who did not wait for the disk.
        self._write(home, batch, durability)

    def delete_ref(self, name: str, *, durability: Durability | None = None) -> None:
        """Remove a ref, durably; NotFoundError when there is none. A concurrent move of it elsewhere survives."""
        home = self._writable(LEDGER)
        durability = self._class_of(WriteKind.REF, LEDGER, durability, name)
        self.refs.require(name)
        supersedes = tuple(sorted({assign.dot for assign in self.refs.live(name)}))
        self._write(home, [self._assign(REF_NAMESPACE, name, None, supersedes)], durability)

    def set_meta(
        self,
        key: str,
        value: bytes | None,
        *,
        commit: CommitId | None = None,
        durability: Durability | None = None,
    ) -> None:
        """Set (or with None remove) metadata of the graph or of one commit; it changes no commit's id."""
        home = self._writable(LEDGER)
        durability = self._class_of(WriteKind.META, LEDGER, durability)
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
        self._write(home, [self._assign(namespace, key, value, supersedes)], durability)

    # Merging

    def merge(
        self, name: str, *, policies: PathPolicies | None = None, durability: Durability | None = None
    ) -> MergeResult:
        """Merge the targets of a conflicted ref into one commit and point the ref at it.

        Paths that several of them changed apart are merged by policies, pattern -> policy: a `MergePolicy`, its name,
        or a function of path, base, ours and theirs (see `crdtgraph.state.policies`). Those of the ledger
        (`merge_policies`) hold when none are given, and none of those when any are. Without one the path is in
        conflict, and the winner's value stands.

        The commit follows from its parents and the policies, so replicas that merge the same targets by the same
        policies make the same commit; that is why it is NORMAL by default, and CRITICAL with policies that the call
        alone knows. Replicas that merge them by others make another commit, and the ref is in conflict again until
        one of them merges these.

        A ref without conflict is left as it is. Raises, with nothing written, NotFoundError when there is no such ref,
        LocalError for policies that are wrong and functions that fail, ObjectMissingError when a large set or text is
        to be merged that is not here yet.
        """
        kind = WriteKind.MERGE if policies is None else WriteKind.REF
        durability = self._class_of(kind, LEDGER, durability, name)
        merged, result = self._prepare_merge(name, policies)
        if merged is not None:
            self._write_merge(name, merged, durability)
        return result

    def preview_merge(self, name: str, *, policies: PathPolicies | None = None) -> MergeResult:
        """What `merge` would do: the commit it would make and the paths in conflict. Changes nothing."""
        return self._prepare_merge(name, policies)[1]

    def merge_policies(self) -> dict[str, MergePolicy]:
        """The policies that the ledger holds, by pattern, the most specific pattern first: it decides.

        Of policies that were set at the same time on several replicas the latest counts, as for all metadata.
        """
        from crdtgraph.state.policies import stored_policies

        return stored_policies(self.meta())

    def set_merge_policy(
        self, pattern: str, policy: MergePolicy | str | None, *, durability: Durability | None = None
    ) -> None:
        """Keep a policy for the paths of a pattern in the ledger, for all replicas; None removes it.

        It is metadata, with the key "merge/" and the pattern. Functions cannot be kept: name them in the call.

        Raises LocalError for a pattern or a policy that is none, NotFoundError when there is nothing to remove.
        """
        from crdtgraph.state.patterns import parse_path_pattern
        from crdtgraph.state.policies import META_PREFIX, read_policy

        if policy is None:
            if META_PREFIX + str(pattern) not in self.meta():
                known = ", ".join(map(repr, self.merge_policies())) or "none"
                raise NotFoundError(f"there is no merge policy for {pattern!r:.80}", hint=f"there are: {known}")
            self.set_meta(META_PREFIX + pattern, None, durability=durability)
            return
        parse_path_pattern(pattern)
        self.set_meta(META_PREFIX + pattern, read_policy(policy).encode(), durability=durability)

    # Inside

    def _prepare_merge(self, name: str, given: PathPolicies | None) -> tuple[Commit | None, MergeResult]:
        from crdtgraph.state import MergeResult

        policies = self._policies(given)
        targets = self.refs.require(name).targets
        if len(targets) == 1:
            return None, MergeResult(targets[0], targets, (), merged=False)
        return self._merge_commit(targets, policies)

    def _policies(self, given: PathPolicies | None) -> Policies:
        """Those of the call, or of the ledger."""
        from crdtgraph.state.policies import read_policies

        return read_policies(self.merge_policies() if given is None else given)

    def _write_merge(self, name: str, merged: Commit, durability: Durability) -> None:
        """Add a commit that `_merge_commit` gave, and point the ref at it."""
        home = self._writable(LEDGER)
        self._put_large(value for _, value in merged.changes)
        commit = _as_kept(merged)
        commit_id = commit.id
        assign = self._move_ref(name, commit_id, commit.parents)
        made = MadeCommit(commit_id, commit, assign.stamp, len(encode_commit(commit)))
        self._write(home, [assign], durability, made)

    def _merge_commit(self, targets: tuple[CommitId, ...], policies: Policies) -> tuple[Commit, MergeResult]:
        """The commit that merges several heads, its values as policies made them, and the result; nothing is written.

        A policy may make a large value of small ones: the commit that is written, whose id the result has, names it.
        """
        from crdtgraph.state import MergeResult, merge_heads

        home = self._plane(LEDGER)
        commit, conflicts, settled = merge_heads(
            home.projection,
            home.contents,
            targets,
            lambda node: self._states().at(home, node),
            policies,
            self.objects.get,
        )
        return commit, MergeResult(_as_kept(commit).id, targets, tuple(conflicts), True, tuple(settled))


def _as_kept(commit: Commit) -> Commit:
    return commit._replace(changes=tuple((path, as_kept(value)) for path, value in commit.changes))
