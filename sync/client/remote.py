"""A node's ledger and searches, from a process that has no replica: many writes or questions in one call.

    with BlockingControlClient("node/control") as node:
        search = remote_search(node, "move 12")
        ids = search.commit_many([Draft([root], "e4"), Draft([0], "e5"), Draft([1], "Nf3")])
        search.count_many((each, [1, reward]) for each in ids)

Blocking; `asyncremote.py` is the same under trio. A call costs one request, however many items it has; a batch is taken
whole or refused whole, and the error names the item. `crdtgraph.Draft` says how an item names an earlier one.
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
from sync.client.blocking import BlockingControlClient

_Result = TypeVar("_Result")


def greet(client: BlockingControlClient, name: str = "") -> Greeting:
    """Say which version this program speaks, before anything else; LocalError if the node speaks another.

    `name` is for people, in what the node says of this worker; by default the number of its process.
    """
    name = name or f"process {os.getpid()}"
    try:
        return _ask(client, asks.hello(name))
    except NotFoundError as error:
        raise asks.not_greeted(error, name) from None


def remote_ledger(client: BlockingControlClient, name: str = "") -> RemotePlane:
    """The ledger of a node; see `greet` for the name and what it raises."""
    greet(client, name)
    return RemotePlane(client, LEDGER)


def remote_search(client: BlockingControlClient, search: str, name: str = "") -> RemoteSearch:
    """Open a search in a node, or join the one of that name; see `greet`, and `Graph.search` for what it raises."""
    greet(client, name)
    return RemoteSearch(client, search, _ask(client, asks.open_search(search)))


class RemotePlane:
    """The ledger of a node. Made by `remote_ledger`.

    A batch has at most 1,000 items, and one for the ledger at most 256 KiB. Methods raise what the same ones of a graph
    raise; the message begins with the place of the item, and nothing of the batch was written. UnreachableError says
    that the node went away: what was asked may have been done or not, and commits with author and time may be sent
    again.
    """

    def __init__(self, client: BlockingControlClient, plane: str) -> None:
        self._client = client
        self.plane = plane

    def commit_many(self, drafts: Iterable[Draft], *, durability: Durability | None = None) -> list[CommitId]:
        """Make commits, all or none, and return their ids in order. About 20 us each, 0.3 ms a call."""
        return self._ask(asks.commit_many(self.plane, drafts, durability))

    def commit(
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
        return self.commit_many([Draft(parents, message, changes, author, time)], durability=durability)[0]

    def count_many(self, counts: Iterable[tuple[CommitId, Sequence[int]]]) -> None:
        """Add vectors of integers to the counters of commits, all or none; a commit may stand several times."""
        self._ask(asks.count_many(self.plane, counts))

    def discard_many(self, commits: Iterable[CommitId]) -> None:
        """Throw commits and what follows from them away, all or none."""
        self._ask(asks.discard_many(self.plane, commits))

    def get_many(self, commits: Iterable[CommitId]) -> list[Commit]:
        """The contents of commits, in order."""
        return self._ask(asks.get_many(self.plane, commits))

    def children_many(self, commits: Iterable[CommitId]) -> list[tuple[CommitId, ...]]:
        """The children of each commit, ordered by id."""
        return self._ask(asks.children_many(self.plane, commits))

    def counters_many(self, commits: Iterable[CommitId]) -> list[tuple[int, ...]]:
        """The totals of each commit; empty where nothing was counted."""
        return self._ask(asks.counters_many(self.plane, commits))

    def are_live(self, commits: Iterable[CommitId]) -> list[bool]:
        """Whether each commit is live."""
        return self._ask(asks.are_live(self.plane, commits))

    def state_many(self, commits: Iterable[CommitId]) -> list[dict[str, Value]]:
        """Path -> value at each commit."""
        return self._ask(asks.state_many(self.plane, commits))

    def _ask(self, ask: Ask[_Result]) -> _Result:
        return _ask(self._client, ask)


class RemoteSearch(RemotePlane):
    """An open search of a node. Made by `remote_search`; leaving a `with` block closes the search for everybody."""

    def __init__(self, client: BlockingControlClient, name: str, plane: str) -> None:
        super().__init__(client, plane)
        self.name = name

    def __enter__(self) -> RemoteSearch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def promote(self, commit: CommitId, *, ref: str | None = None) -> list[CommitId]:
        """Copy a commit and its ancestors that the ledger lacks to the ledger; durable on return if a ref moves."""
        return self._ask(asks.promote(self.plane, commit, ref))

    def assign(self, key: str, value: bytes | None) -> None:
        """Set a register of the search, or with None remove it."""
        self._ask(asks.assign(self.plane, key, value))

    def values(self, key: str) -> tuple[bytes, ...]:
        """All values that a register has: several, when writers set it at the same time."""
        return self._ask(asks.values(self.plane, key))

    def close(self) -> None:
        """End the search for everybody; what was promoted stays. Closing again does nothing."""
        self._ask(asks.close_search(self.name))


def _ask(client: BlockingControlClient, ask: Ask[_Result]) -> _Result:
    return ask.read(client.call(ask.method, **ask.params))
