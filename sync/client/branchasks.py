"""What a writer without a replica asks of a node about its branch; sans-IO, behind `branches` and `asyncbranches`.

`BranchAsks` holds what one writer knows of its branch: its name, its last commit, how it wants to be merged. `OnNode`
is what the blocking class and that for trio have in common: all but the asking itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from crdtgraph.branches.branch import MergeConflictError, OnConflict, read_on_conflict
from crdtgraph.errors import LocalError
from crdtgraph.ids import COMMIT_ID_BYTES, CommitId
from crdtgraph.records import Value
from crdtgraph.state import MergeResult, PathConflict, SettledPath
from sync.client.asks import Ask
from sync.plain import value_from_plain, value_to_plain
from sync.protocol.calls import Plain
from sync.protocol.packing import RemoteMessageError

MAIN = "main"

_Node = TypeVar("_Node")


class BranchAsks:
    """One writer's branch: the requests for what it does, each with how the answer is read."""

    def __init__(
        self,
        name: str,
        from_: str | CommitId | None,
        into: str | None,
        policies: Mapping[str, str] | None,
        on_conflict: OnConflict | str,
        author: str | None,
        keep: bool,
    ) -> None:
        if name == into:
            raise LocalError(f"branch {name!r} cannot be merged into itself", hint="take another name, or into=None")
        self.name = name
        self.into = into
        self.author = author
        self.head: CommitId | None = None
        self.result: MergeResult | None = None
        self._from = from_
        self._policies: dict[str, Plain] | None = None if policies is None else {**policies}
        self._on_conflict = read_on_conflict(on_conflict)
        self._keep = keep

    def opening(self) -> Ask[None]:
        """Start the branch, or go on with it."""

        def read(answer: Plain) -> None:
            self.head = None if answer is None else _id(answer)

        return Ask("branch_open", {"name": self.name, "from": self._from}, read)

    def committing(
        self, changes: Mapping[str, Value] | None, message: str, author: str | None, time: int | None
    ) -> Ask[CommitId]:
        """Add a commit."""

        def read(answer: Plain) -> CommitId:
            self.head = made = _id(answer)
            return made

        params: dict[str, Plain] = {
            "name": self.name,
            "head": self.head,
            "message": message,
            "changes": {path: value_to_plain(value) for path, value in (changes or {}).items()},
            "author": author if author is not None else self.author,
            "time": time,
        }
        return Ask("branch_commit", params, read)

    def reading(self) -> Ask[dict[str, Value]]:
        """The state at its head, which there must be."""
        return Ask("state", {"rev": self.head}, _state)

    def updating(self, ref: str | None, on_conflict: OnConflict | str | None) -> Ask[MergeResult]:
        """Take a ref in."""
        name = ref if ref is not None else self.into
        if name is None:
            raise LocalError(f"branch {self.name!r} has nothing to take in", hint='name a ref: branch.update("main")')

        def note(result: MergeResult) -> None:
            if result.merged or not result.conflicts:
                self.head = result.commit

        return self._merging(name, self.name, None, on_conflict, note, durability="normal")

    def merging(
        self, into: str | None, on_conflict: OnConflict | str | None, *, remove: bool = False
    ) -> Ask[MergeResult]:
        """Merge it into a ref, and with `remove` take its own away then."""
        name = into if into is not None else self.into
        if name is None or name == self.name:
            raise LocalError(f"branch {self.name!r} has no other ref to be merged into", hint='branch.merge("main")')

        def note(result: MergeResult) -> None:
            self.result = result

        return self._merging(self.name, name, self.head, on_conflict, note, remove=remove)

    def ending(self, error: BaseException | None) -> Ask[MergeResult] | None:
        """The merge at the end of the work, if there is something to merge and a ref to merge it into.

        An error that ended the work is told that the branch was left unmerged.
        """
        if error is not None:
            self._note(error)
        elif self.into is not None and self.head is not None:
            return self.merging(None, None, remove=not self._keep)
        return None

    def _note(self, error: BaseException) -> None:
        at = "it has no commits" if self.head is None else f"our part of it is at {self.head.hex()[:12]}"
        error.add_note(f"branch {self.name!r} was not merged: {at}, and opening it again goes on with it")

    def _merging(
        self,
        branch: str,
        into: str,
        head: CommitId | None,
        on_conflict: OnConflict | str | None,
        note: Callable[[MergeResult], None],
        **more: Plain,
    ) -> Ask[MergeResult]:
        mode = self._on_conflict if on_conflict is None else read_on_conflict(on_conflict)

        def read(answer: Plain) -> MergeResult:
            result = _result(answer)
            note(result)
            if mode is OnConflict.RAISE and result.conflicts and not result.merged:
                raise MergeConflictError(into, result)
            return result

        # As an error it would come without its paths: it is made here.
        asked = OnConflict.WINNER if mode is OnConflict.WINNER else OnConflict.LEAVE
        params: dict[str, Plain] = {
            "branch": branch,
            "into": into,
            "head": head,
            "policies": self._policies,
            "on_conflict": asked.value,
        }
        return Ask("branch_merge", {**params, **more}, read)


class OnNode(Generic[_Node]):
    """A branch of a node's graph; a subclass opens it, asks, and merges it at the end of its block."""

    def __init__(
        self,
        node: _Node,
        name: str,
        *,
        from_: str | CommitId | None = MAIN,
        into: str | None = MAIN,
        policies: Mapping[str, str] | None = None,
        on_conflict: OnConflict | str = OnConflict.RAISE,
        author: str | None = None,
        keep: bool = False,
    ) -> None:
        self._node = node
        self._asks = BranchAsks(name, from_, into, policies, on_conflict, author, keep)
        self._begin()

    def _begin(self) -> None:
        """What comes with making one: nothing, where opening it has to be awaited."""

    @property
    def name(self) -> str:
        """The ref's."""
        return self._asks.name

    @property
    def head(self) -> CommitId | None:
        """Our last commit, or where it started; None while it has none."""
        return self._asks.head

    @property
    def result(self) -> MergeResult | None:
        """What the last merge came to."""
        return self._asks.result


def _id(answer: Plain) -> CommitId:
    if isinstance(answer, bytes) and len(answer) == COMMIT_ID_BYTES:
        return CommitId(answer)
    raise _strange(answer)


def _state(parts: Plain) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for part in parts if isinstance(parts, list) else []:
        for entry in part if isinstance(part, list) else []:
            match entry:
                case [str() as path, value]:
                    found[path] = value_from_plain(value)
                case _:
                    raise _strange(entry)
    return found


def _result(answer: Plain) -> MergeResult:
    match answer:
        case {
            "commit": bytes() as commit,
            "parents": list() as parents,
            "merged": bool() as merged,
            "conflicts": list() as conflicts,
            "settled": list() as settled,
        }:
            return MergeResult(
                _id(commit),
                tuple([_id(each) for each in parents]),
                tuple([_conflict(each) for each in conflicts]),
                merged,
                tuple([_settled(each) for each in settled]),
            )
    raise _strange(answer)


def _conflict(plain: Plain) -> PathConflict:
    match plain:
        case {"path": str() as path, "base": base, "ours": ours, "theirs": theirs}:
            return PathConflict(path, *(value_from_plain(value) for value in (base, ours, theirs)))
    raise _strange(plain)


def _settled(plain: Plain) -> SettledPath:
    match plain:
        case {"path": str() as path, "policy": str() as policy, "value": value}:
            return SettledPath(path, policy, value_from_plain(value))
    raise _strange(plain)


def _strange(answer: object) -> RemoteMessageError:
    return RemoteMessageError(
        f"a node answered {answer!r:.80} about a branch", hint="it may run another version of crdtgraph"
    )
