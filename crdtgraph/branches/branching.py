"""Branches of many writers on one graph: who opens one, extends it, and takes it into another ref.

A branch is a ref and nothing more, `agents/NAME/...` by custom. Each writer moves its own, so writers have nothing to
wait for: a commit on a branch is NORMAL and touches no other ref. What is shared is the ref they merge *into*, and
bringing commits there is `merge_into`: a fast-forward where that does, else the very merge commit that `merge` would
make of the same heads, whoever makes it and in which order. So replicas that merge at the same time end up with a ref
in conflict, as data, and one `merge` of it makes one commit of all.

`Branch` (branch.py) is how a program works on one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from crdtgraph.ancestry import independent, only
from crdtgraph.assigning import Assigner
from crdtgraph.branches.branch import Branch, BranchInfo, MergeConflictError, OnConflict, read_on_conflict
from crdtgraph.durability import Durability, WriteKind
from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.ids import CommitId
from crdtgraph.planes import LEDGER
from crdtgraph.reader import commit_title
from crdtgraph.records import Value, check_name
from crdtgraph.refs import exact_ids

if TYPE_CHECKING:
    from crdtgraph.records import Commit
    from crdtgraph.state import MergeResult
    from crdtgraph.state.policies import PathPolicies

MAIN = "main"


class Brancher(Assigner):
    """The part of a graph that knows of branches. `Graph` opens and closes it."""

    def branch(
        self,
        name: str,
        *,
        from_: str | CommitId | None = MAIN,
        into: str | None = MAIN,
        policies: PathPolicies | None = None,
        on_conflict: OnConflict | str = OnConflict.RAISE,
        author: str | None = None,
        keep: bool = False,
        durability: Durability | None = None,
    ) -> Branch:
        """Start a working branch, or go on with the one of that name; a context manager that merges it at the end.

            with graph.branch("agents/planner/fix-17") as branch:
                branch.commit(changes={"src/a.py": b"..."}, message="try this")

        An error in the block leaves the branch as it is, unmerged, and notes that on the error.

        Args:
            name: of the ref; `agents/NAME/...` by custom.
            from_: where a new branch starts: a ref, or an id of a commit; None for a first commit without parents.
            into: the ref that it is merged into at the end; None for none.
            policies: how paths that both sides changed are merged, as for `merge`; those of the ledger by default.
            on_conflict: what becomes of a merge in which paths stay in conflict, see `OnConflict`.
            author: of the branch's commits; the graph's by default.
            keep: leave the ref when the branch was merged; it is removed by default, the commits are part of `into`.
            durability: of the merge; CRITICAL by default. Commits on the branch are NORMAL.

        Raises:
            LocalError: the name is none, or that of `into`; policies that are wrong; the graph is read-only.
            NotFoundError: `from_` names nothing.
        """
        if into is not None:
            check_name(into, "ref")
        if check_name(name, "branch") == into:
            raise LocalError(f"branch {name!r} cannot be merged into itself", hint="take another name, or into=None")
        if policies is not None:
            from crdtgraph.state.policies import read_policies

            read_policies(policies)
        mode = read_on_conflict(on_conflict)
        head = self.open_branch(name, from_)
        return Branch(
            self, name, head, into=into, policies=policies, on_conflict=mode, author=author, keep=keep,
            durability=durability,
        )  # fmt: skip

    def branches(self, prefix: str = "", *, into: str = MAIN) -> list[BranchInfo]:
        """The refs that begin so, by name, and how each stands to `into`, which is not listed itself.

        O(commits by which each differs from `into`).
        """
        home = self._plane(LEDGER)
        main = [home.projection.nodes[target] for target in self.refs.targets(into)]
        found = []
        for name in self.refs:
            if name == into or not name.startswith(prefix):
                continue
            targets = self.refs.targets(name)
            nodes = [home.projection.nodes[target] for target in targets]
            head = home.commit(targets[0])
            ahead, behind = (only(home.projection.dag, *sides) for sides in ((nodes, main), (main, nodes)))
            found.append(BranchInfo(name, targets, len(ahead), len(behind), head.author, head.time, commit_title(head)))
        return found

    def merge_into(
        self,
        name: str,
        commits: Iterable[CommitId],
        *,
        policies: PathPolicies | None = None,
        on_conflict: OnConflict | str = OnConflict.RAISE,
        durability: Durability | None = None,
    ) -> MergeResult:
        """Bring commits into a ref: by a fast-forward, or by a merge commit of them and the ref's targets.

        The merge commit is the one that `merge` makes of a ref with these targets, so replicas that merge the same
        commits make the same one. A ref in conflict is merged along; if its targets are at odds among themselves, the
        commits are merged with the first that they agree with, and the others stay.

        Args:
            name: the ref; it is made if it is not there.
            commits: ids of commits of the ledger.
            policies: as for `merge`.
            on_conflict: what to do when paths stay in conflict.
            durability: CRITICAL by default, as for every move of a ref.

        Returns:
            `merged` says whether there is a merge commit; without it and without `conflicts` the ref was moved ahead,
            or had all of it. `conflicts` and not `merged`: left for later, nothing was written.

        Raises:
            MergeConflictError: paths stay in conflict and `on_conflict` is RAISE; nothing was written.
            NotFoundError: a commit is not here; ObjectMissingError: a large value to be merged is not.
            LocalError: wrong policies, nothing to merge.
        """
        durability = self._class_of(WriteKind.REF, LEDGER, durability, name)
        home = self._writable(LEDGER)
        mode = read_on_conflict(on_conflict)
        given, present = exact_ids(commits), self.refs.targets(check_name(name, "ref"))
        heads = self._heads_of((*present, *given))
        if not heads:
            raise LocalError(f"no commits were given to merge into {name!r}", hint="pass ids: [branch.head]")
        if set(heads) == set(present):
            # Also if they stand there already: somebody may have moved them who did not wait for the disk.
            self._write(home, (), durability)
            return self._unmerged(present)
        commit, result = self._join(heads, policies)
        if result.conflicts and len(present) > 1:
            commit, result = self._join_one(present, given, policies) or (commit, result)
        if result.conflicts and mode is not OnConflict.WINNER:
            if mode is OnConflict.RAISE:
                raise MergeConflictError(name, result)
            return self._unmerged((present or heads)[:1], result)
        if commit is None:
            self._write(home, [self._move_ref(name, result.commit, self.parents(result.commit))], durability)
        else:
            self._write_merge(name, commit, durability)
        return result

    def open_branch(self, name: str, from_: str | CommitId | None) -> CommitId | None:
        """Where work on a branch goes on; a branch that is not there starts at `from_`. For `branch` and for nodes.

        None for a branch without commits. Of a branch in conflict the winner.
        """
        self._writable(LEDGER)
        targets = self.refs.targets(check_name(name, "branch"))
        if targets:
            return targets[0]
        if from_ is None:
            return None
        try:
            start = self.resolve(from_) if isinstance(from_, str) else exact_ids([from_])[0]
            self.set_ref(name, start, durability=Durability.NORMAL)
        except NotFoundError as error:
            raise NotFoundError(
                f"branch {name!r} has nowhere to start: {error.message}",
                hint="commit there first, or start a history of its own: from_=None",
            ) from None
        return start

    def remove_branch(
        self, name: str, *, into: str = MAIN, force: bool = False, durability: Durability | None = None
    ) -> int:
        """Remove the ref of a branch that `into` has all of; CRITICAL by default.

        Returns how many commits `into` lacks, which are some only with `force`. It is looked at and removed in
        one step, so no commit that somebody adds meanwhile loses its ref.

        Raises NotFoundError when there is none, LocalError without `force` when it is not merged or is `into` itself.
        """
        targets = self.refs.require(name).targets
        ahead = len(self.commits_beyond(targets, self.refs.targets(into))) if name != into else 0
        if not force and (ahead or name == into):
            count = "1 commit" if ahead == 1 else f"{ahead} commits"
            reason = f"has {count} more than {into!r}" if ahead else "is what branches are merged into"
            raise LocalError(
                f"branch {name!r} {reason}",
                hint=f"merge it first (crdtgraph branch merge {name}), or remove it all the same (--force)",
            )
        self.delete_ref(name, durability=durability)
        return ahead

    def branch_head(self, name: str, head: CommitId | None) -> CommitId | None:
        """Where a writer goes on whose last commit on the branch was `head`: there, or where somebody built on it."""
        targets = self.refs.targets(name)
        if head is None:
            return targets[0] if targets else None
        if head in targets:
            return head
        return next((target for target in targets if self.is_ancestor(head, target)), head)

    def extend_branch(
        self,
        name: str,
        head: CommitId | None,
        *,
        message: str = "",
        changes: Mapping[str, Value] | None = None,
        author: str | None = None,
        time: int | None = None,
        durability: Durability = Durability.NORMAL,
    ) -> CommitId:
        """Add a commit to a branch behind `branch_head(name, head)`; for `Branch.commit` and for nodes.

        A second writer's commits on the same branch stay where they are: the ref is in conflict then.
        """
        head = self.branch_head(name, head)
        parents = () if head is None else (head,)
        targets = self.refs.targets(check_name(name, "branch"))
        is_apart = bool(targets) and head not in targets and not any(self._is_below(each, head) for each in targets)
        made = self.commit(
            parents=parents,
            message=message,
            changes=changes,
            ref=None if is_apart else name,
            author=author,
            time=time,
            durability=durability,
        )
        if is_apart:
            self.set_ref(name, made, keep_others=True, durability=durability)
        return made

    def commits_beyond(self, heads: Iterable[CommitId], known: Iterable[CommitId]) -> list[CommitId]:
        """What these commits and their ancestors have beyond the known ones and theirs, parents first. O(result)."""
        home = self._plane(LEDGER)
        sides = [[self._node(home, commit) for commit in side] for side in (heads, known)]
        return self._topological(home, only(home.projection.dag, *sides))

    # Inside

    def _is_below(self, target: CommitId, head: CommitId | None) -> bool:
        return head is not None and self.is_ancestor(target, head)

    def _heads_of(self, commits: Sequence[CommitId]) -> tuple[CommitId, ...]:
        """Those that no other one descends from, as a ref that pointed at all of them would have them."""
        home = self._plane(LEDGER)
        projection = home.projection
        nodes = independent(projection.dag, [self._node(home, commit) for commit in commits])
        return self._ids(home, sorted(nodes, key=projection.rank, reverse=True))

    def _join(self, heads: tuple[CommitId, ...], given: PathPolicies | None) -> tuple[Commit | None, MergeResult]:
        """The merge commit of these heads, None for one alone, and what becomes of the ref."""
        return (None, self._unmerged(heads)) if len(heads) == 1 else self._merge_commit(heads, self._policies(given))

    def _join_one(
        self, present: tuple[CommitId, ...], given: tuple[CommitId, ...], policies: PathPolicies | None
    ) -> tuple[Commit | None, MergeResult] | None:
        """The merge with the first target of a conflicted ref that there is no conflict with, if there is one."""
        for target in present:
            commit, result = self._join(self._heads_of((target, *given)), policies)
            if not result.conflicts:
                return commit, result
        return None

    def _unmerged(self, heads: tuple[CommitId, ...], left: MergeResult | None = None) -> MergeResult:
        from crdtgraph.state import MergeResult

        if left is not None:
            return MergeResult(heads[0], left.parents, left.conflicts, False, left.settled)
        return MergeResult(heads[0], heads, (), merged=False)
