"""`RemoteBranch`: `Graph.branch` for a process that has no replica, through a node's control socket.

    with sync.BlockingControlClient("node/control") as node, sync.RemoteBranch(node, "agents/planner/fix-17") as branch:
        branch.commit(changes={"src/a.py": b"..."}, message="try this")
        branch.state()["src/a.py"]

The node does the work, one call after the other, so the writers of one node never conflict over `into` itself; those
who merge at the same time share an fsync. Whoever asks is anything with `call(method, **params)`: a client of a control
socket, or a `LocalCaller`. If the process dies the branch stays, and opening it again goes on with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol

from crdtgraph.branch import MergeConflictError, OnConflict, read_on_conflict
from crdtgraph.errors import LocalError, RemoteError
from crdtgraph.ids import CommitId
from crdtgraph.records import Value
from crdtgraph.state import MergeResult, PathConflict, SettledPath
from sync.calls import Plain
from sync.plain import value_from_plain, value_to_plain

MAIN = "main"


class Caller(Protocol):
    """Whoever answers the methods of docs/protocol.md."""

    def call(self, method: str, **params: Plain) -> Plain:
        """The result of a method; of one that answers in parts, the list of them."""
        ...


class RemoteBranch:
    """A branch of a node's graph that this process works on; a context manager that merges it at the end.

    Args:
        node: whom to ask.
        policies: names of policies by pattern; functions stay in one process and cannot be asked for.

    The other arguments, and the errors, are those of `Graph.branch`.
    """

    def __init__(
        self,
        node: Caller,
        name: str,
        *,
        from_: str | CommitId | None = MAIN,
        into: str | None = MAIN,
        policies: Mapping[str, str] | None = None,
        on_conflict: OnConflict | str = OnConflict.RAISE,
        author: str | None = None,
        keep: bool = False,
    ) -> None:
        if name == into:
            raise LocalError(f"branch {name!r} cannot be merged into itself", hint="take another name, or into=None")
        self._node = node
        self.name = name
        self.into = into
        self.author = author
        self._policies: dict[str, Plain] | None = None if policies is None else {**policies}
        self._on_conflict = read_on_conflict(on_conflict)
        self._keep = keep
        self.head = _id(node.call("branch_open", name=name, **{"from": from_}))
        """Its last commit of ours, or where it started; None while it has none."""
        self.result: MergeResult | None = None
        """What the last `merge` came to."""

    def __enter__(self) -> RemoteBranch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            at = "it has no commits" if self.head is None else f"our part of it is at {self.head.hex()[:12]}"
            error.add_note(f"branch {self.name!r} was not merged: {at}, and opening it again goes on with it")
        elif self.into is not None and self.head is not None:
            self._merge(self.into, self._on_conflict, remove=not self._keep)

    def commit(
        self,
        *,
        changes: Mapping[str, Value] | None = None,
        message: str = "",
        author: str | None = None,
        time: int | None = None,
    ) -> CommitId:
        """Add a commit to the branch and return its id; one round trip, and no wait for a disk."""
        author = author if author is not None else self.author
        plain = {path: value_to_plain(value) for path, value in (changes or {}).items()}
        answer = self._node.call(
            "branch_commit",
            name=self.name,
            head=self.head,
            message=message,
            changes=plain,
            author=author,
            time=time,
        )
        self.head = made = _id(answer)
        if made is None:
            raise RemoteError("a node answered a commit without an id")
        return made

    def state(self) -> dict[str, Value]:
        """Path -> value at its head; empty while it has no commits. All of it is fetched."""
        if self.head is None:
            return {}
        found: dict[str, Value] = {}
        parts = self._node.call("state", rev=self.head)
        for part in parts if isinstance(parts, list) else []:
            for entry in part if isinstance(part, list) else []:
                match entry:
                    case [str() as path, value]:
                        found[path] = value_from_plain(value)
        return found

    def update(self, ref: str | None = None, *, on_conflict: OnConflict | str | None = None) -> MergeResult:
        """Take a ref, `into` by default, into the branch; see `Branch.update`."""
        name = ref if ref is not None else self.into
        if name is None:
            raise LocalError(f"branch {self.name!r} has nothing to take in", hint='name a ref: branch.update("main")')
        result = self._ask(name, self.name, None, on_conflict or self._on_conflict, durability="normal")
        if result.merged or not result.conflicts:
            self.head = result.commit
        return result

    def merge(self, into: str | None = None, *, on_conflict: OnConflict | str | None = None) -> MergeResult:
        """Merge all of the branch into a ref, by default its `into`; see `Branch.merge`."""
        name = into if into is not None else self.into
        if name is None or name == self.name:
            raise LocalError(f"branch {self.name!r} has no other ref to be merged into", hint='branch.merge("main")')
        return self._merge(name, on_conflict or self._on_conflict, remove=False)

    # Inside

    def _merge(self, into: str, on_conflict: OnConflict | str, *, remove: bool) -> MergeResult:
        self.result = self._ask(self.name, into, self.head, on_conflict, remove=remove)
        return self.result

    def _ask(
        self, branch: str, into: str, head: CommitId | None, on_conflict: OnConflict | str, **more: Plain
    ) -> MergeResult:
        mode = read_on_conflict(on_conflict)
        # An error on the way back would have lost the paths: it is made here.
        asked = OnConflict.WINNER if mode is OnConflict.WINNER else OnConflict.LEAVE
        answer = self._node.call(
            "branch_merge",
            branch=branch,
            into=into,
            head=head,
            policies=self._policies,
            on_conflict=asked.value,
            **more,
        )
        result = _result(answer)
        if mode is OnConflict.RAISE and result.conflicts and not result.merged:
            raise MergeConflictError(into, result)
        return result


def _id(answer: Plain) -> CommitId | None:
    return CommitId(answer) if isinstance(answer, bytes) else None


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
                CommitId(commit),
                tuple([CommitId(each) for each in parents if isinstance(each, bytes)]),
                tuple(_conflicts(conflicts)),
                merged,
                tuple(_settled(settled)),
            )
    raise RemoteError(f"a node answered a merge with {answer!r:.80}", hint="it may run another version of crdtgraph")


def _conflicts(tables: list[Plain]) -> list[PathConflict]:
    found = []
    for each in tables:
        match each:
            case {"path": str() as path, "base": base, "ours": ours, "theirs": theirs}:
                found.append(PathConflict(path, *(value_from_plain(value) for value in (base, ours, theirs))))
    return found


def _settled(tables: list[Plain]) -> list[SettledPath]:
    found = []
    for each in tables:
        match each:
            case {"path": str() as path, "policy": str() as policy, "value": value}:
                found.append(SettledPath(path, policy, value_from_plain(value)))
    return found
