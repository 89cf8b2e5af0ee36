"""The searches of a graph: opened by a program or because a peer has them, and ended everywhere by the ledger.

A search is open on every replica that has heard of it, until the ledger says that it is closed: one small assignment
(namespace "search", the name). It travels as the ledger does, so it reaches whoever was away, and a search that is
closed never comes back, whoever comes late with it: a name is good for one search.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, cast

from crdtgraph.assigning import Assigner
from crdtgraph.errors import LocalError, NotFoundError
from crdtgraph.host import Host
from crdtgraph.planes import LEDGER
from crdtgraph.records import check_name
from crdtgraph.searches.plane import PREFIX, SearchPlane
from crdtgraph.searches.search import Search
from crdtgraph.segment import Segment
from crdtgraph.signing import Identity

if TYPE_CHECKING:
    from crdtgraph.exchange import Received
    from crdtgraph.graph import Graph

NAMESPACE = "search"
"""Of the assignments that remember closed searches; the key is the name."""
CLOSED = b"closed"
SEARCH_NAME_BYTES_MAX = 128 - len(PREFIX)
"""A plane's name takes 128 bytes at most on the wire."""
SEARCHES_MAX = 256
"""Open at once in one graph; each has buffers and caches of its own."""
OTHERS_MAX = SEARCHES_MAX - 64
"""Of them, searches that peers have told of and that no program here has asked for. The other places are for those."""
EMPTY_KEPT_US = 60_000_000
"""What a peer has said in a search that it tells of has come by then, unless there is nothing."""
LARGE_SEARCH = 10_000
"""Commits beyond which the end of a search is worth the milliseconds that giving memory back to the system takes."""


class Hearing(StrEnum):
    """What became of the news that somebody has a plane."""

    OPEN = "open"
    """It is kept here, from now on if it was not before."""
    CLOSED = "closed"
    """The ledger says that this search is over; it will say so to whoever has it."""
    FULL = "full"
    """As many searches are open as can be."""
    UNKNOWN = "unknown"
    """It is no plane of a kind that is kept here."""


@dataclass(frozen=True, slots=True)
class SearchStatus:
    """How one open search is doing on this replica.

    `commits` are all that were made in it and `live` those that were not discarded; `pending` are records that wait for
    a commit that is not here. `bytes` are those of its segments; `written_us` is the stamp of the latest record, if
    there is any.
    """

    name: str
    commits: int
    live: int
    pending: int
    writers: int
    segments: int
    bytes: int
    written_us: int | None


class Searching(Assigner):
    """The part of a graph that opens and ends searches."""

    host: Host
    _identity: Identity

    def __init__(self) -> None:
        super().__init__()
        self._search_buffer_listeners: list[Callable[[], object]] = []
        self._search_end_listeners: list[Callable[[str], object]] = []
        self._may_be_over: dict[str, None] = {}

    def search(self, name: str) -> Search:
        """Open a search, or come back to an open one of that name, here or on a peer; see `crdtgraph.searches.search`.

        Raises LocalError when a search of that name is over, here or on a replica that we have heard of, or when too
        many are open.
        """
        check_search_name(name)
        self._writable(LEDGER)
        search = Search(cast("Graph", self), name)
        if not search.is_open:
            if self.is_closed_search(name):
                raise LocalError(
                    f"a search {name!r} was closed before, and a name is good for one search",
                    hint="take another name, such as one with the time or a number in it",
                )
            if not self._has_room(for_peers=False):
                raise LocalError(
                    f"{len(self._searches)} searches are open, as many as can be, and none for {name!r}",
                    hint="`crdtgraph searches` lists them; `crdtgraph searches close NAME` ends one that is over",
                )
            self._begin(name)
        self._searches[search.plane].is_joined = True
        return search

    def searches(self) -> list[str]:
        """The names of the searches that are open here, sorted: those of this process, and what peers have told of."""
        return sorted(plane.search for plane in self._searches.values())

    def _no_plane(self, name: str) -> LocalError:
        search = name.removeprefix(PREFIX)
        if search == name or LEDGER not in self._planes:
            return super()._no_plane(name)
        if self.is_closed_search(search):
            return NotFoundError(
                f"search {search!r:.150} is closed",
                hint="what was promoted is in the ledger; open a search of another name",
            )
        return NotFoundError(f"no open search {search!r:.150} is here", hint="open it first")

    def closed_searches(self) -> Collection[str]:
        """The names of the searches that the ledger remembers as closed, sorted."""
        return self._plane(LEDGER).projection.registers.keys(NAMESPACE)

    def is_closed_search(self, name: str) -> bool:
        """Whether the ledger remembers a search of this name as closed. O(1)."""
        live = self._plane(LEDGER).projection.registers.live(NAMESPACE, name)
        return any(assign.value is not None for assign in live)

    def search_closed_us(self, name: str) -> int | None:
        """The stamp with which a search was closed first; None if it was not."""
        live = self._plane(LEDGER).projection.registers.live(NAMESPACE, name)
        return min((assign.stamp for assign in live if assign.value is not None), default=None)

    def search_status(self, name: str) -> SearchStatus:
        """How an open search is doing; NotFoundError when there is none of that name. O(commits), at memory's speed."""
        plane = self._search(PREFIX + name)
        projection = plane.projection
        writers = set(plane.document.state_vector)
        if len(plane.buffer):
            writers.add(self._identity.writer)
        return SearchStatus(
            name=name,
            commits=len(projection) - len(projection.bases),
            live=projection.live_count(),
            pending=len(projection.pending),
            writers=len(writers),
            segments=plane.segment_count(),
            bytes=plane.document.bytes,
            written_us=plane.written_us() or None,
        )

    def search_written_us(self, name: str) -> int | None:
        """The stamp of the latest record of an open search that is known here; None when there is none. O(1)."""
        return self._search(PREFIX + name).written_us() or None

    def search_known_us(self, name: str) -> int:
        """When an open search became known here, by this process's clock. O(1)."""
        return self._search(PREFIX + name).known_us

    def forget_search(self, name: str) -> bool:
        """Let go of an open search that nothing was ever said in as far as is known here; whether it was such a one.

        The ledger knows nothing of it, so it goes on wherever anything was said in it, and whoever tells of it again
        brings it back.
        """
        plane = self._search(PREFIX + check_search_name(name))
        if plane.is_empty:
            self._end(plane)
            return True
        return False

    def close_search(self, name: str) -> None:
        """End an open search everywhere: its plane is dropped, and the ledger remembers the name (NORMAL durability).

        One that nothing was ever said in is forgotten without a trace, as nobody else knows of it.
        """
        plane = self._search(PREFIX + check_search_name(name))
        if not plane.is_empty or plane.is_heard_of:
            ledger = self._writable(LEDGER)
            assign = self._assign(NAMESPACE, name, CLOSED, ())
            ledger.add(assign)
        self._end(plane)

    def hear_of(self, plane: str) -> Hearing:
        """A peer has a plane of this name: open it, if it is a search that is not over and there is room.

        Places are kept free for searches of programs here, and one in which nothing was said for long makes room.
        """
        name = plane.removeprefix(PREFIX)
        known = self._searches.get(plane)
        if known is not None:
            known.is_heard_of = True
            return Hearing.OPEN
        if plane in self._planes:
            return Hearing.OPEN
        if not plane.startswith(PREFIX) or not _is_search_name(name) or self._read_only:
            return Hearing.UNKNOWN
        if self.is_closed_search(name):
            return Hearing.CLOSED
        if not self._has_room(for_peers=True):
            return Hearing.FULL
        self._begin(name).is_heard_of = True
        return Hearing.OPEN

    def flush_searches(self) -> None:
        """Pack what is buffered in searches, so that peers may have it. No disk is waited for, or written to."""
        for plane in list(self._searches.values()):
            plane.flush(sync=True)

    def searches_wait(self) -> bool:
        """Whether anything is buffered in a search."""
        return any(len(plane.buffer) for plane in self._searches.values())

    def on_search_buffered(self, callback: Callable[[], object]) -> Callable[[], None]:
        """Have `callback` called when a record is buffered in a search and none was before; returns how to stop.

        It must only take note.
        """
        self._search_buffer_listeners.append(callback)
        return lambda: self._search_buffer_listeners.remove(callback)

    def on_search_end(self, callback: Callable[[str], object]) -> Callable[[], None]:
        """Have `callback` called with the name of each search's plane that was dropped; returns how to stop."""
        self._search_end_listeners.append(callback)
        return lambda: self._search_end_listeners.remove(callback)

    # From peers

    def receive_steps(self, plane: str, update: bytes) -> Generator[None, None, Received]:
        """See `Replica.receive_steps`. What the ledger says to be over is dropped with the step that brings it."""
        steps = super().receive_steps(plane, update)
        while True:
            try:
                next(steps)
            except StopIteration as done:
                received: Received = done.value
                return received
            finally:
                self._end_what_is_over()
            yield

    def adopt(self, plane: str, segments: list[bytes]) -> int:
        """See `Replica.adopt`."""
        try:
            return super().adopt(plane, segments)
        finally:
            self._end_what_is_over()

    # Inside

    def _watch_ledger(self) -> Callable[[Segment], None]:
        """What the ledger is to call with each segment of others, before it writes it."""
        watch = self._watch()

        def note(segment: Segment) -> None:
            watch(segment)
            for assign in segment.assigns:
                if assign.namespace == NAMESPACE:
                    self._may_be_over[assign.key] = None

        return note

    def _end_what_is_over(self) -> None:
        while self._may_be_over:
            name, _ = self._may_be_over.popitem()
            plane = self._searches.get(PREFIX + name)
            if plane is not None and self.is_closed_search(name):
                self._end(plane)

    def _has_room(self, *, for_peers: bool) -> bool:
        """Whether one more can be opened; one that is of no use makes room.

        That is the one that was heard of first among those in which nothing was said and that nobody here has asked
        for. What peers tell of takes its place only when its content had the time to come.
        """
        others = [plane for plane in self._searches.values() if not plane.is_joined]
        if len(self._searches) < SEARCHES_MAX and not (for_peers and len(others) >= OTHERS_MAX):
            return True
        since_us = self.host.now_us() - EMPTY_KEPT_US
        for plane in others:
            if plane.is_empty and not (for_peers and plane.known_us > since_us):
                self._end(plane)
                return True
        return False

    def _begin(self, name: str) -> SearchPlane:
        plane = SearchPlane(name, self._identity, self._planes[LEDGER], self.host.now_us())
        plane.outgoing.on_durable = lambda durable: self._announce(plane, durable)
        plane.on_buffered = self._note_search_buffered
        plane.on_renumbered = lambda: self._forget_plane(plane.name)
        self._searches[plane.name] = plane
        return plane

    def _end(self, plane: SearchPlane) -> None:
        """Drop a search whole. O(1) and what it takes to give the memory back."""
        size = len(plane.projection)
        if self._states_found is not None:
            self._states_found.forget(plane.projection.ids)
        del self._searches[plane.name]
        self._forget_plane(plane.name)
        plane.drop()
        for listener in list(self._search_end_listeners):
            listener(plane.name)
        if size >= LARGE_SEARCH:
            self.host.release_memory()

    def _drop_searches(self) -> None:
        """The graph is closed: the searches go on elsewhere, or nowhere."""
        for plane in self._searches.values():
            plane.drop()
        self._searches.clear()

    def _note_search_buffered(self) -> None:
        for listener in self._search_buffer_listeners:
            listener()


def check_search_name(name: object) -> str:
    """A caller's name of a search; LocalError says what is wrong with it."""
    return check_name(name, "search", SEARCH_NAME_BYTES_MAX)


def _is_search_name(name: str) -> bool:
    try:
        check_search_name(name)
    except LocalError:
        return False
    return True
