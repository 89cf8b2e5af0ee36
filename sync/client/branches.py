"""`RemoteBranch`: `Graph.branch` for a process that has no replica, through a node's control socket.

    with sync.BlockingControlClient("node/control") as node, sync.RemoteBranch(node, "agents/planner/fix-17") as branch:
        branch.commit(changes={"src/a.py": b"..."}, message="try this")
        branch.state()["src/a.py"]

The node does the work, one call after the other, so the writers of one node never conflict over `into` itself; those
who merge at the same time share an fsync. Whoever is asked is anything with `call(method, **params)`: a client of a
control socket, or a `LocalCaller`. If the process dies the branch stays, and opening it again goes on with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, TypeVar

from crdtgraph.branches.branch import OnConflict
from crdtgraph.ids import CommitId
from crdtgraph.records import Value
from crdtgraph.state import MergeResult
from sync.client.asks import Ask
from sync.client.branchasks import OnNode
from sync.protocol.calls import Plain

_Result = TypeVar("_Result")


class Caller(Protocol):
    """Whoever answers the methods of docs/protocol.md."""

    def call(self, method: str, **params: Plain) -> Plain:
        """The result of a method; of one that answers in parts, the list of them."""
        ...


class RemoteBranch(OnNode[Caller]):
    """A branch of a node's graph that this process works on; a context manager that merges it at the end.

    Args:
        node: whom to ask.
        policies: names of policies by pattern; functions stay in one process and cannot be asked for.

    The other arguments, and the errors, are those of `Graph.branch`.
    """

    def _begin(self) -> None:
        self._ask(self._asks.opening())

    def __enter__(self) -> RemoteBranch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (merge := self._asks.ending(error)) is not None:
            self._ask(merge)

    def commit(
        self,
        *,
        changes: Mapping[str, Value] | None = None,
        message: str = "",
        author: str | None = None,
        time: int | None = None,
    ) -> CommitId:
        """Add a commit to the branch and return its id; one round trip, and no wait for a disk."""
        return self._ask(self._asks.committing(changes, message, author, time))

    def state(self) -> dict[str, Value]:
        """Path -> value at its head; empty while it has no commits. All of it is fetched."""
        return {} if self.head is None else self._ask(self._asks.reading())

    def update(self, ref: str | None = None, *, on_conflict: OnConflict | str | None = None) -> MergeResult:
        """Take a ref, `into` by default, into the branch; see `Branch.update`."""
        return self._ask(self._asks.updating(ref, on_conflict))

    def merge(self, into: str | None = None, *, on_conflict: OnConflict | str | None = None) -> MergeResult:
        """Merge all of the branch into a ref, by default its `into`; see `Branch.merge`."""
        return self._ask(self._asks.merging(into, on_conflict))

    def _ask(self, ask: Ask[_Result]) -> _Result:
        return ask.read(self._node.call(ask.method, **ask.params))
