"""A node's branch under trio, from a process that has no replica; `branches.py` says what it is about.

    async with await ControlClient.connect("node/control") as node:
        async with AsyncRemoteBranch(node, "agents/planner/fix-17") as branch:
            await branch.commit(changes={"src/a.py": b"..."}, message="try this")

Every method is that of the blocking class, and awaited.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TypeVar

from crdtgraph.branches.branch import OnConflict
from crdtgraph.ids import CommitId
from crdtgraph.records import Value
from crdtgraph.state import MergeResult
from sync.client.asks import Ask
from sync.client.asyncclient import ControlClient
from sync.client.branchasks import OnNode

_Result = TypeVar("_Result")


class AsyncRemoteBranch(OnNode[ControlClient]):
    """A branch of a node's graph; an async context manager that opens it, and merges it at the end.

    Arguments and errors are those of `RemoteBranch`. Whatever ends the block, cancellation too, leaves the branch.
    """

    async def __aenter__(self) -> AsyncRemoteBranch:
        await self._ask(self._asks.opening())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (merge := self._asks.ending(error)) is not None:
            await self._ask(merge)

    async def commit(
        self,
        *,
        changes: Mapping[str, Value] | None = None,
        message: str = "",
        author: str | None = None,
        time: int | None = None,
    ) -> CommitId:
        """See `RemoteBranch.commit`."""
        return await self._ask(self._asks.committing(changes, message, author, time))

    async def state(self) -> dict[str, Value]:
        """See `RemoteBranch.state`."""
        return {} if self.head is None else await self._ask(self._asks.reading())

    async def update(self, ref: str | None = None, *, on_conflict: OnConflict | str | None = None) -> MergeResult:
        """See `RemoteBranch.update`."""
        return await self._ask(self._asks.updating(ref, on_conflict))

    async def merge(self, into: str | None = None, *, on_conflict: OnConflict | str | None = None) -> MergeResult:
        """See `RemoteBranch.merge`."""
        return await self._ask(self._asks.merging(into, on_conflict))

    async def _ask(self, ask: Ask[_Result]) -> _Result:
        return ask.read(await self._node.call(ask.method, **ask.params))
