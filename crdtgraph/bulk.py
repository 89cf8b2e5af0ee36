"""Many writes in one call, checked whole before the first of them is made.

A worker that has no replica of its own (docs/workers.md) says a hundred things at a time, and what it says must be
there whole or not at all: it cannot know which half of a batch was taken. So a batch is checked first, every item of
it, and the error of a bad one names it by its place; nothing was written then. Only then are the items written, in
steps of about a millisecond, between which a node serves everybody else.

An item may name earlier items of its batch as its parents, by their place from 0: a worker sends a whole line of play
without waiting for ids. What holds in between the steps: a search may be closed there, and then there is nothing left
of the batch, as of everything else in it. What goes to the ledger, also by way of a search, is written there in one
step, some 3 ms for as many as there may be, so that a disk that refuses does so before anything was added.

The promotion of one commit goes in steps, too: it may follow from thousands that the ledger lacks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from crdtgraph.buffer import commit_size, fits
from crdtgraph.durability import Durability, WriteKind
from crdtgraph.errors import LocalError, StoreError
from crdtgraph.ids import CommitId
from crdtgraph.planes import LEDGER, Plane
from crdtgraph.reader import show_id
from crdtgraph.records import Commit, Value, check_name, check_vector, encode_commit, ordered_changes
from crdtgraph.searches.plane import PREFIX
from crdtgraph.segment import PAYLOAD_BYTES_MAX, RECORD_OVERHEAD_BYTES, RECORDS_MAX
from crdtgraph.steps import Stepwise

if TYPE_CHECKING:
    from crdtgraph.graph import Graph
    from crdtgraph.searches.searching import Searching

BATCH_ITEMS_MAX = 1_000
"""What a segment holds. A worker waits for one answer a batch; more items would only make it wait longer."""
BATCH_BYTES_MAX = 4 << 20
"""Canonical bytes of a batch of commits: as many as the largest single commit may have."""
STEP_ITEMS = 64
"""Checked, or written, in one step: less than a millisecond."""
PROMOTE_STEP_ITEMS = 16
"""Looked at in one step, of what a batch follows from: unpacking a segment for one of them takes 0.3 ms at worst."""


class Draft(NamedTuple):
    """A commit to be made.

    `parents` are ids, or places (from 0) of earlier drafts of the batch. Without an author it has the graph's, without
    a time (microseconds since the Unix epoch) that of now: with both, who sends it twice makes one commit of it.
    """

    parents: Sequence[CommitId | int] = ()
    message: str = ""
    changes: Mapping[str, Value] | None = None
    author: str | None = None
    time: int | None = None


class _Made(NamedTuple):
    """A draft that was checked: its id, content, stamp, and the number of its canonical bytes."""

    id: CommitId
    commit: Commit
    stamp: int
    size: int


def commit_batch(
    graph: Searching, drafts: Iterable[Draft], *, plane: str = LEDGER, durability: Durability | None = None
) -> Stepwise[list[CommitId]]:
    """Add a batch of commits to the ledger or an open search, in steps; the generator returns their ids in order.

    All or nothing. About 8 us a commit. Drafts that are there already are no error, and have the same ids. Those of a
    search that are to be kept by their durability are promoted; what they follow from goes before them, in steps.

    Raises:
        LocalError: a draft is wrong or has a parent that is not there (the message says which draft it is), there are
            too many or too large ones, or the search was closed in between. Nothing was added.
        StoreError: the disk refuses. Nothing was added to the ledger, but a search where drafts are to be kept may have
            them; with CRITICAL durability they may be there and not be durable.
    """
    home = graph._writable(plane)
    durability = graph._class_of(WriteKind.COMMIT, plane, durability)
    is_kept = plane == LEDGER or durability is not Durability.SPECULATIVE
    batch = _Batch(graph, plane, is_kept=is_kept)
    given = list(drafts)
    check_count(len(given))
    for start in range(0, len(given), STEP_ITEMS):
        if start:
            yield
            _check_open(graph, home, plane)
        batch.check(given[start : start + STEP_ITEMS])
    if plane != LEDGER:
        for start in range(0, len(given), STEP_ITEMS):
            if start:
                yield
                _check_open(graph, home, plane)
            _write(home, batch.made[start : start + STEP_ITEMS])
        if is_kept:
            yield
            _check_open(graph, home, plane)
            made_here = {one.id for one in batch.made}
            above = [parent for one in batch.made for parent in one.commit.parents if parent not in made_here]
            yield from _promote_all(graph, home, plane, above)
    if is_kept:
        yield from _write_to_ledger(graph, home, plane, batch.made)
    if durability is Durability.CRITICAL:
        graph._writable(LEDGER).flush(sync=True)
    return [one.id for one in batch.made]


def count_batch(
    graph: Graph, counts: Iterable[tuple[CommitId, Sequence[int]]], *, plane: str = LEDGER
) -> Stepwise[None]:
    """Add vectors to the counters of commits, in steps; a commit may stand several times. All or nothing.

    Raises LocalError as `commit_batch` does, and StoreError when the disk refuses the ledger's buffer; that one says
    how many were counted.
    """
    from crdtgraph.searches.search import Search

    home = graph._writable(plane)
    given = list(counts)
    check_count(len(given))
    knows = _knows(graph, plane)
    checked = []
    for place, (commit, vector) in enumerate(given):
        if not knows(commit):
            raise _at(place, _missing(commit))
        try:
            checked.append((commit, check_vector(vector)))
        except LocalError as error:
            raise _at(place, error) from None
    if plane == LEDGER:
        yield from _each_in_steps(graph, home, plane, checked, lambda pair: graph.count(*pair), "counted")
    else:
        search = Search(graph, plane.removeprefix(PREFIX))

        def count(pair: tuple[CommitId, tuple[int, ...]]) -> None:
            # What was discarded may be gone since it was checked, and what is counted for it is of no use.
            if knows(pair[0]):
                search.count(*pair)

        yield from _each_in_steps(graph, home, plane, checked, count, "counted")


def discard_batch(graph: Searching, commits: Iterable[CommitId], *, plane: str = LEDGER) -> Stepwise[None]:
    """Throw commits and what follows from them away, in steps. All or nothing; errors as for `count_batch`."""
    home = graph._writable(plane)
    given = list(commits)
    check_count(len(given))
    for place, commit in enumerate(given):
        node = home.projection.nodes.get(commit)
        if node is None or node in home.projection.bases:
            raise _at(place, _missing(commit, "in the search" if plane != LEDGER else "in the graph"))

    def discard(commit: CommitId) -> None:
        if commit in home.projection.nodes:  # It may be gone with one above it.
            graph.discard(commit, plane=plane)

    yield from _each_in_steps(graph, home, plane, given, discard, "discarded")


def promote_steps(
    graph: Searching, commit: CommitId, *, plane: str, ref: str | None = None, durability: Durability | None = None
) -> Stepwise[list[CommitId]]:
    """Do what `Graph.promote` does, in steps.

    Should the search be closed in between, or prune what was thrown away, or the ref move elsewhere, that is a
    LocalError; what was copied stays.
    """
    home, durability = graph._search(plane), graph._class_of(WriteKind.PROMOTE, LEDGER, durability, ref)
    if commit not in graph._planes[LEDGER].projection.nodes:
        # What was thrown away may be gone, and what it follows from is not to be copied for nothing.
        graph.get(commit, plane=plane)
    if ref is not None:
        # First, because a ref that cannot move ends it before anything is copied.
        graph.refs.fast_forward(check_name(ref, "ref"), commit, home.below((commit,)))
    copied = yield from _promote_all(graph, home, plane, (commit,))
    graph.promote(commit, plane=plane, ref=ref, durability=durability)
    return copied


def check_count(count: int) -> None:
    """Raise LocalError for a batch of more than `BATCH_ITEMS_MAX` items."""
    if count > BATCH_ITEMS_MAX:
        raise LocalError(f"a batch of {count} items", hint=f"at most {BATCH_ITEMS_MAX} go: send several batches")


class _Batch:
    """Drafts on their way to become commits: checks them one after the other, writes nothing."""

    __slots__ = ("_bytes", "_graph", "_ids", "_is_kept", "_knows", "made")

    def __init__(self, graph: Searching, plane: str, *, is_kept: bool) -> None:
        self._graph = graph
        self._knows = _knows(graph, plane)
        self._is_kept = is_kept
        self._ids: set[CommitId] = set()
        self._bytes = 0
        self.made: list[_Made] = []

    def check(self, drafts: Sequence[Draft]) -> None:
        """Take some more drafts; raises LocalError with the place of the first that is wrong."""
        for draft in drafts:
            place = len(self.made)
            try:
                made = self._make(draft, place)
                self._bytes += commit_size(made.commit, made.size) + RECORD_OVERHEAD_BYTES
                self._check_size(place + 1)
            except LocalError as error:
                raise _at(place, error) from None
            self._ids.add(made.id)
            self.made.append(made)

    def _make(self, draft: Draft, place: int) -> _Made:
        graph = self._graph
        parents, message, changes, author, time = fields_of(draft)
        if time is not None and type(time) is not int:
            raise LocalError(f"time {time!r:.80} is not a whole number of microseconds")
        stamp = graph._clock.tick()
        commit = Commit(
            tuple([self._parent(parent, place) for parent in parents]),
            graph.author if author is None else author,
            stamp if time is None else time,
            message,
            ordered_changes(graph._with_objects(changes)) if changes else (),
        )
        data = encode_commit(commit)
        return _Made(CommitId(hashlib.sha256(data).digest()), commit, stamp, len(data))

    def _parent(self, parent: CommitId | int, place: int) -> CommitId:
        if type(parent) is int:
            if not 0 <= parent < place:
                raise LocalError(
                    f"parent {parent} is no earlier item of the batch",
                    hint="items are numbered from 0, and parents stand before their children",
                )
            return self.made[parent].id
        if isinstance(parent, bytes) and (self._knows(parent) or parent in self._ids):
            return CommitId(bytes(parent))
        raise _missing(parent)

    def _check_size(self, count: int) -> None:
        if self._bytes > BATCH_BYTES_MAX and count > 1:
            raise LocalError(f"with this one the batch has more than {BATCH_BYTES_MAX} bytes", hint="send several")
        if self._is_kept and count > 1 and not fits(count, self._bytes):
            raise LocalError(
                f"with this one the batch has more than the {PAYLOAD_BYTES_MAX} bytes of a segment",
                hint="the ledger takes or refuses a batch as one segment: send several batches",
            )


def fields_of(draft: Draft) -> Draft:
    """A draft, or a row with its five fields; LocalError for anything else. The fields are checked by who uses them."""
    given: object = draft
    if not isinstance(given, list | tuple) or len(given) != len(Draft._fields):
        raise LocalError(f"{given!r:.80} is no draft", hint="pass crdtgraph.Draft(parents, message, changes)")
    if not isinstance(given[0], list | tuple):
        raise LocalError(f"parents are {given[0]!r:.80}", hint="pass a list of ids and places")
    return draft


def _promote_all(graph: Searching, home: Plane, plane: str, commits: Iterable[CommitId]) -> Stepwise[list[CommitId]]:
    """Copy commits of a search, and before them what they follow from and the ledger lacks, to the ledger."""
    ledger = graph._planes[LEDGER]
    nodes, looked = ledger.projection.nodes, 0
    copied: list[CommitId] = []
    for first in commits:
        stack = [first]
        while stack:
            looked += 1
            if looked % PROMOTE_STEP_ITEMS == 0:
                yield
                _check_open(graph, home, plane)
            commit = stack[-1]
            if commit not in nodes:
                above = [parent for parent in graph.parents(commit, plane=plane) if parent not in nodes]
                if above:
                    stack += above
                    continue
                copied += graph._add_many(ledger, [graph.get(commit, plane=plane)])
            stack.pop()
    return copied


def _write_to_ledger(graph: Searching, home: Plane, plane: str, made: Sequence[_Made]) -> Stepwise[None]:
    """Write all of a batch in one step, and what is buffered in one before, if it has to be."""
    ledger, tick = graph._planes[LEDGER], graph._clock.tick
    made = [one for one in made if one.id not in ledger.projection.nodes]
    if not made:
        return
    if not ledger.buffer.has_room(len(made), _size_of(made)) or ledger.buffer.is_due(tick()):
        ledger.flush(sync=False)
        yield
        _check_open(graph, home, plane)
    # Others may have written between the steps: who asks up to when all is on disk is told by stamps in their order.
    fresh = [_Made(id_, commit, tick(), size) for id_, commit, _, size in made if id_ not in ledger.projection.nodes]
    if fresh:
        # Room for all of them is made first, so that no later one has to wait for the disk, and be refused by it.
        if ledger.buffer.is_due(fresh[-1].stamp):
            ledger.flush(sync=False)
        ledger.make_room(len(fresh), _size_of(fresh))
        _write(ledger, fresh)


def _size_of(made: Sequence[_Made]) -> int:
    return sum([commit_size(one.commit, one.size) for one in made])


def _write(home: Plane, made: Sequence[_Made]) -> None:
    nodes, has_parent, add = home.projection.nodes, home.has_parent, home.add_commit
    for commit_id, commit, stamp, size in made:
        if commit_id in nodes:
            continue
        for parent in commit.parents:
            if parent not in nodes:
                has_parent(parent)
        if not has_parent(commit_id):
            add(commit_id, commit, stamp, size, RECORDS_MAX)


def _each_in_steps(
    graph: Searching, home: Plane, plane: str, items: Sequence[object], write: Callable[..., None], done: str
) -> Stepwise[None]:
    """Write items that were checked, some at a time."""
    if plane == LEDGER:
        home.flush(sync=False)
    for place, item in enumerate(items):
        if place and place % STEP_ITEMS == 0:
            yield
            _check_open(graph, home, plane)
        try:
            write(item)
        except StoreError as error:
            raise StoreError(f"{place} of {len(items)} items were {done}: {error.message}", error.hint) from error


def _knows(graph: Searching, plane: str) -> Callable[[CommitId], bool]:
    """What tells whether something can build on a commit; writes nothing, unlike `Plane.has_parent` of a search."""
    return graph._planes[LEDGER].has_parent if plane == LEDGER else graph._searches[plane].knows_parent


def _check_open(graph: Searching, home: Plane, plane: str) -> None:
    if graph._open_plane(plane) is not home:
        raise LocalError(
            f"plane {plane!r} was closed while a batch was being written to it",
            hint="what was promoted is in the ledger; open a search of another name",
        )


def _missing(commit: object, where: str = "in the graph") -> LocalError:
    return LocalError(
        f"commit {show_id(commit)} is not {where}",
        hint="an id is 32 bytes, and an item of the same batch may be named by its place",
    )


def _at(place: int, error: LocalError) -> LocalError:
    """The error of one item of a batch, of the same class; nothing of the batch was written."""
    return type(error)(f"item {place}: {error.message}; nothing of the batch was written", error.hint)
