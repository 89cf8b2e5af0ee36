"""What requests are about, and what kinds of handlers answer them.

A handler is one of three kinds: a function that answers at once, a generator whose parts are sent as they come (with
others served in between), or a coroutine that waits for something.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from crdtgraph import AmbiguousError, CommitId, Graph, LocalError, NotFoundError
from crdtgraph.reader import Reader
from sync.params import Params, Rev
from sync.protocol.calls import Plain
from sync.protocol.limits import CHUNK_ENTRIES

if TYPE_CHECKING:
    from crdtgraph.asof import AsOf
    from sync.callers import Caller
    from sync.node import Node
    from sync.workers.desks import Desks

REVS_MAX = 1_000
"""Commits that one request may name."""
PART_BYTES = 1 << 20
"""Of contents in one part of an answer; with one more entry it stays well below a frame."""


@dataclass(frozen=True, slots=True)
class Target:
    """A graph, the node that runs it (or None), how to stop that process, and the graph as of then to read instead.

    `caller` is who asks, None within this process; `desks` are the trees that workers may work for.
    """

    graph: Graph
    node: Node | None = None
    stop: Callable[[], None] | None = None
    view: AsOf | None = None
    caller: Caller | None = None
    desks: Desks | None = None

    @property
    def reader(self) -> Reader:
        """Where reading requests read: the view, if there is one, else the graph itself."""
        return self.graph if self.view is None else self.view

    def running(self) -> Node:
        """The node; LocalError when the store is at rest."""
        if self.node is None:
            raise LocalError("no node is running on this store", hint="ask a node: --node PATH of its control socket")
        return self.node

    def commit_of(self, rev: Rev) -> CommitId:
        """The commit that a request names, by its id or by a revset that selects one."""
        if not isinstance(rev, str):
            return rev
        if rev.isalnum():
            # A plain ref or an id, as nearly always. The language is not even imported for it, until an error has to
            # say what was meant.
            with suppress(NotFoundError, AmbiguousError):
                return self.reader.resolve(rev)
        from crdtgraph.revsets import resolve_one

        return resolve_one(self.reader, rev, now_us=self.now_us())

    def now_us(self) -> int:
        """The time that durations count back from: now, or that of the view."""
        return self.graph.now_us() if self.view is None else self.view.now_us()


Parts: TypeAlias = Generator[Plain, None, Plain]
"""Parts first, and the final result as the return value."""
Handler: TypeAlias = Callable[[Target, Params], "Plain | Parts | Awaitable[Plain]"]


def parted(entries: Iterable[tuple[Plain, int] | None]) -> Iterator[Plain]:
    """Parts of at most `CHUNK_ENTRIES` and about `PART_BYTES`, of entries with their sizes; a None ends a part.

    So a part may be empty, and others are served after it: where looking for entries takes long.
    """
    part: list[Plain] = []
    size = 0
    for entry in entries:
        if entry is not None:
            part.append(entry[0])
            size += entry[1]
        if entry is None or len(part) >= CHUNK_ENTRIES or size >= PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part
