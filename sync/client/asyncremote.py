"""A node's ledger and searches under trio, from a process that has no replica; `remote.py` says what it is about.

    async with await ControlClient.connect("node/control") as node:
        search = await async_remote_search(node, "move 12")
        ids = await search.commit_many([Draft([root], "e4"), Draft([0], "e5")])

Every method is that of the blocking class, and awaited.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

from crdtgraph.bulk import Draft
from crdtgraph.durability import Durability
from crdtgraph.errors import NotFoundError
from crdtgraph.ids import CommitId
from crdtgraph.planes import LEDGER
from crdtgraph.records import Commit, Value
from sync.client import asks
from sync.client.asks import Ask, Greeting
from sync.client.asyncclient import ControlClient

_Result = TypeVar("_Result")


async def async_greet(client: ControlClient, name: str = "") -> Greeting:
    """Say which version this program speaks, before anything else; LocalError if the node speaks another.

    `name` is for people, in what the node says of this worker; by default the number of its process.
    """
    name = name or f"process {os.getpid()}"
    try:
        return await _ask(client, asks.hello(name))
    except NotFoundError as error:
        raise asks.not_greeted(error, name) from None


async def async_remote_ledger(client: ControlClient, name: str = "") -> AsyncRemotePlane:
    """The ledger of a node; see `async_greet` for the name and what it raises."""
    await async_greet(client, name)
    return AsyncRemotePlane(client, LEDGER)


async def async_remote_search(client: ControlClient, search: str, name: str = "") -> AsyncRemoteSearch:
    """Open a search in a node, or join the one of that name; raises what `async_greet` and `Graph.search` do."""
    await async_greet(client, name)
    return AsyncRemoteSearch(client, search, await _ask(client, asks.open_search(search)))


class AsyncRemotePlane:
    """The ledger of a node. Made by `async_remote_ledger`.

    A batch has at most 1,000 items, and one for the ledger at most 256 KiB. Methods raise what the same ones of a graph
    raise; the message begins with the place of the item, and nothing of the batch was written. UnreachableError says
    that the node went away: what was asked may have been done or not, and commits with author and time may be sent
    again.
    """

    def __init__(self, client: ControlClient, plane: str) -> None:
        self._client = client
        self.plane = plane

    async def commit_many(self, drafts: Iterable[Draft], *, durability: Durability | None = None) -> list[CommitId]:
        """Make commits, all or none, and return their ids in order. About 20 us each, 0.3 ms a call."""
        return await self._ask(asks.commit_many(self.plane, drafts, durability))

    async def commit(
        self,
        *,
        parents: Sequence[CommitId],
        message: str = "",
        changes: Mapping[str, Value] | None = None,
        author: str | None = None,
        time: int | None = None,
        durability: Durability | None = None,
    ) -> CommitId:
        """Make one commit. A call each: for many, `commit_many`."""
        return (await self.commit_many([Draft(parents, message, changes, author, time)], durability=durability))[0]

    async def count_many(self, counts: Iterable[tuple[CommitId, Sequence[int]]]) -> None:
        """Add vectors of integers to the counters of commits, all or none; a commit may stand several times."""
        await self._ask(asks.count_many(self.plane, counts))

    async def discard_many(self, commits: Iterable[CommitId]) -> None:
        """Throw commits and what follows from them away, all or none."""
        await self._ask(asks.discard_many(self.plane, commits))

    async def get_many(self, commits: Iterable[CommitId]) -> list[Commit]:
        """The contents of commits, in order."""
        return await self._ask(asks.get_many(self.plane, commits))

    async def children_many(self, commits: Iterable[CommitId]) -> list[tuple[CommitId, ...]]:
        """The children of each commit, ordered by id."""
        return await self._ask(asks.children_many(self.plane, commits))

    async def counters_many(self, commits: Iterable[CommitId]) -> list[tuple[int, ...]]:
        """The totals of each commit; empty where nothing was counted."""
        return await self._ask(asks.counters_many(self.plane, commits))

    async def are_live(self, commits: Iterable[CommitId]) -> list[bool]:
        """Whether each commit is live."""
        return await self._ask(asks.are_live(self.plane, commits))

    async def state_many(self, commits: Iterable[CommitId]) -> list[dict[str, Value]]:
        """Path -> value at each commit."""
        return await self._ask(asks.state_many(self.plane, commits))

    async def _ask(self, ask: Ask[_Result]) -> _Result:
        return await _ask(self._client, ask)


class AsyncRemoteSearch(AsyncRemotePlane):
    """An open search of a node. Made by `async_remote_search`; leaving its block closes the search for everybody."""

    def __init__(self, client: ControlClient, name: str, plane: str) -> None:
        super().__init__(client, plane)
        self.name = name

    async def __aenter__(self) -> AsyncRemoteSearch:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def promote(self, commit: CommitId, *, ref: str | None = None) -> list[CommitId]:
        """Copy a commit and its ancestors that the ledger lacks to the ledger; durable on return if a ref moves."""
        return await self._ask(asks.promote(self.plane, commit, ref))

    async def assign(self, key: str, value: bytes | None) -> None:
        """Set a register of the search, or with None remove it."""
        await self._ask(asks.assign(self.plane, key, value))

    async def values(self, key: str) -> tuple[bytes, ...]:
        """All values that a register has: several, when writers set it at the same time."""
        return await self._ask(asks.values(self.plane, key))

    async def close(self) -> None:
        """End the search for everybody; what was promoted stays. Closing again does nothing."""
        await self._ask(asks.close_search(self.name))


async def _ask(client: ControlClient, ask: Ask[_Result]) -> _Result:
    return ask.read(await client.call(ask.method, **ask.params))
