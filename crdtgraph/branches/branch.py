"""`Branch`: one writer's branch, from its first commit to its merge.

    with graph.branch("agents/planner/fix-17") as branch:
        branch.commit(changes={"src/a.py": b"..."}, message="try this")
        branch.state()["src/a.py"]
        branch.update()                 # takes in what the others merged meanwhile
    # here it is part of main, and the ref is gone

What always holds: a commit that was made on a branch stays reachable from the branch's ref until a ref that it was
merged into reaches it; nothing but a merge without conflicts (or one that was asked for all the same) moves that ref;
and whatever goes wrong, a conflict, an error in the block, a kill of the process, the branch stays and
`graph.branch(name)` goes on with it. Two processes that work on one name are two writers of one ref: it is in conflict
then, neither loses a commit, and the merge takes both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING

from crdtgraph.durability import Durability
from crdtgraph.errors import LocalError, first_few
from crdtgraph.ids import CommitId
from crdtgraph.records import Value

if TYPE_CHECKING:
    from crdtgraph.branches.branching import Brancher
    from crdtgraph.state import MergeResult
    from crdtgraph.state.policies import PathPolicies


class OnConflict(StrEnum):
    """What becomes of a merge when both sides changed a path and no policy decides.

    RAISE: an error with the paths, nothing is written. LEAVE: the same without an error, the branch stays for later.
    WINNER: it is merged, and the winner's value stands, as `Graph.merge` does it.
    """

    RAISE = "raise"
    LEAVE = "leave"
    WINNER = "winner"


class MergeConflictError(LocalError):
    """Both sides changed a path and no policy decides; nothing was written. `conflicts` has the paths and values."""

    def __init__(self, name: str, result: MergeResult, hint: str = "") -> None:
        self.ref = name
        self.result = result
        self.conflicts = result.conflicts
        paths = sorted({conflict.path for conflict in result.conflicts})
        count = "a path that was" if len(paths) == 1 else f"{len(paths)} paths that were"
        super().__init__(
            f"not merged into {name!r}: {count} changed on both sides: {first_few(paths, repr)}",
            hint or 'give policies={"PATTERN": "latest"}, or merge all the same: on_conflict="winner"',
        )

    def __reduce__(self) -> tuple[type[MergeConflictError], tuple[str, MergeResult, str]]:
        return type(self), (self.ref, self.result, self.hint)


@dataclass(frozen=True, slots=True)
class BranchInfo:
    """A branch in a listing. `ahead` commits are not in the ref it was compared with, `behind` are only there.

    `targets` has the winner first; author, time (microseconds since the Unix epoch) and title are of its commit.
    """

    name: str
    targets: tuple[CommitId, ...]
    ahead: int
    behind: int
    author: str
    time: int
    title: str

    @property
    def head(self) -> CommitId:
        """Where it is."""
        return self.targets[0]

    @property
    def conflicted(self) -> bool:
        """Whether several writers moved it apart."""
        return len(self.targets) > 1


class Branch:
    """A branch that somebody works on; made by `Graph.branch`. A context manager that merges it at the end."""

    def __init__(
        self,
        graph: Brancher,
        name: str,
        head: CommitId | None,
        *,
        into: str | None,
        policies: PathPolicies | None,
        on_conflict: OnConflict,
        author: str | None,
        keep: bool,
        durability: Durability | None,
    ) -> None:
        self._graph = graph
        self.name = name
        self.into = into
        self.author = author
        self._head = head
        self._policies = policies
        self._on_conflict = on_conflict
        self._keep = keep
        self._durability = durability
        self.result: MergeResult | None = None
        """What the last `merge` came to."""

    def __enter__(self) -> Branch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"branch {self.name!r} was not merged: {self._whereabouts()}")
        elif self.into is not None and self._targets():
            self.merge()
            if not self._keep and self.is_merged:
                self.remove()

    def __repr__(self) -> str:
        return f"Branch({self.name!r})"

    @property
    def head(self) -> CommitId | None:
        """Its last commit; None while it has none. Also what another writer of this branch built on ours."""
        self._head = self._graph.branch_head(self.name, self._head)
        return self._head

    @property
    def is_merged(self) -> bool:
        """Whether all of it is in `into`."""
        graph = self._graph
        merged = graph.refs.targets(self.into) if self.into is not None else ()
        return all(any(graph.is_ancestor(each, target) for target in merged) for each in self._targets())

    def commit(
        self,
        *,
        changes: Mapping[str, Value] | None = None,
        message: str = "",
        author: str | None = None,
        time: int | None = None,
        durability: Durability = Durability.NORMAL,
    ) -> CommitId:
        """Add a commit to the branch and return its id; it waits for no disk and for no other writer.

        Arguments and errors as for `Graph.commit`.
        """
        self._head = self._graph.extend_branch(
            self.name,
            self._head,
            message=message,
            changes=changes,
            author=author if author is not None else self.author,
            time=time,
            durability=durability,
        )
        return self._head

    def state(self) -> Mapping[str, Value]:
        """Path -> value at its head, as `Graph.state`; empty while it has no commits."""
        head = self.head
        return {} if head is None else self._graph.state(head)

    def commits(self) -> list[CommitId]:
        """The commits that `into` does not have, parents first; all of them without one. O(result)."""
        merged = self._graph.refs.targets(self.into) if self.into is not None else ()
        return self._graph.commits_beyond(self._targets(), merged)

    def update(
        self,
        ref: str | None = None,
        *,
        on_conflict: OnConflict | str | None = None,
        durability: Durability | None = None,
    ) -> MergeResult:
        """Take a ref, `into` by default, into the branch: what others merged meanwhile. NORMAL by default.

        To settle conflicts: `update(on_conflict="winner")`, then commit the values that are to stand.

        Raises LocalError without a ref, NotFoundError when there is none of that name, and MergeConflictError with
        nothing written.
        """
        name = ref if ref is not None else self.into
        if name is None:
            raise LocalError(f"branch {self.name!r} has nothing to take in", hint='name a ref: branch.update("main")')
        theirs = self._graph.refs.require(name).targets
        result = self._merge_into(self.name, theirs, on_conflict, durability)
        self._head = self._graph.branch_head(self.name, self._head)
        return result

    def merge(
        self,
        into: str | None = None,
        *,
        on_conflict: OnConflict | str | None = None,
        durability: Durability | None = None,
    ) -> MergeResult:
        """Merge all of the branch into a ref, by default its `into`. The branch stays and may go on.

        `MergeResult.conflicts` without `merged`: it was left for later. CRITICAL by default.

        Raises LocalError without a ref, and MergeConflictError, with the paths and with nothing written.
        """
        name = into if into is not None else self.into
        if name is None or name == self.name:
            raise LocalError(f"branch {self.name!r} has no other ref to be merged into", hint='branch.merge("main")')
        targets = self._targets()
        if not targets:
            raise LocalError(f"branch {self.name!r} has no commits", hint="commit to it first")
        self.result = self._merge_into(name, targets, on_conflict, durability or self._durability)
        return self.result

    def remove(self) -> None:
        """Remove the ref if it is there. Commits that no other ref reaches stay in the graph, by their ids."""
        if self.name in self._graph.refs:
            self._graph.delete_ref(self.name, durability=Durability.NORMAL)

    # Inside

    def _targets(self) -> tuple[CommitId, ...]:
        """All that is on the branch, also what another writer of it has there, and what somebody took the ref from."""
        targets = self._graph.refs.targets(self.name)
        known = self._head is None or any(self._graph.is_ancestor(self._head, each) for each in targets)
        return targets if known or self._head is None else (*targets, self._head)

    def _merge_into(
        self, name: str, commits: tuple[CommitId, ...], mode: OnConflict | str | None, durability: Durability | None
    ) -> MergeResult:
        try:
            return self._graph.merge_into(
                name,
                commits,
                policies=self._policies,
                on_conflict=self._on_conflict if mode is None else mode,
                durability=durability,
            )
        except MergeConflictError as error:
            hint = f'{self._whereabouts()}; branch.update(on_conflict="winner") and commit what is to stand'
            raise MergeConflictError(name, error.result, hint) from None

    def _whereabouts(self) -> str:
        targets = ", ".join(target.hex()[:12] for target in self._graph.refs.targets(self.name))
        place = f"it stays at {targets}" if targets else "it has no commits"
        return f"{place}, and graph.branch({self.name!r}) goes on with it"


def read_on_conflict(given: OnConflict | str) -> OnConflict:
    """A caller's choice; LocalError with those that there are."""
    found = next((mode for mode in OnConflict if mode == given), None)
    if found is None:
        raise LocalError(f"on_conflict is {given!r:.80}", hint=f"one of {', '.join(OnConflict)}")
    return found
