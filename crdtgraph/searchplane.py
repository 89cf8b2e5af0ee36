"""The plane of one search: folded like the ledger and read at once, shared with peers, and it goes to no disk.

Its first commits build on commits of the ledger, which are its *bases*: the projection of the search holds them as
ground to stand on, and they are no part of it (grounded.py).

Nothing here waits for a disk, so a segment may be given to peers as soon as it is packed. That is no promise: what only
a process that dies had seen is gone with it, and it comes back under another writer number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from crdtgraph.grounded import GroundedProjection
from crdtgraph.held import Loader, nothing
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.planes import Plane
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.searchregisters import GREATEST_NAMESPACE, VALUE_NAMESPACE
from crdtgraph.segment import Records, Segment
from crdtgraph.signing import Identity
from crdtgraph.store import Batch, Keyspace
from crdtgraph.update import Update
from crdtgraph.watching import Watch, note_segments

PREFIX = "search/"
"""How the names of search planes begin."""


_NOT_PACKED = SegmentKey(0, 0)
"""Stands for the segment of a count that is in none yet; only counts that wait for a commit are asked for theirs."""


class SearchPlane(Plane):
    """The plane of one search, above a ledger."""

    def __init__(self, name: str, identity: Identity, ledger: Plane) -> None:
        self.grounded = GroundedProjection(ledger.projection, self._locate_in_ledger)
        super().__init__(PREFIX + name, _Nowhere(), identity, self.grounded)
        self.ledger = ledger
        self.grounded.on_numbering = self._note_numbering
        self.is_joined = False
        """Whether a program in this process has asked for it."""
        self.is_heard_of = False
        """Whether a peer has told of it."""
        self.on_renumbered: Callable[[], object] = list
        """Called when the nodes of its projection have got other numbers."""
        self._written_us = 0
        self.watches: list[Watch] = []

    @property
    def search(self) -> str:
        """The name of the search."""
        return self.name.removeprefix(PREFIX)

    def add(self, record: Assign | Count | Discard, stamp: int) -> None:
        """As for any plane; counts of one commit between two flushes are added up in one record."""
        if isinstance(record, Count) and self.buffer.add_up(record):
            self.projection.add_count(record, _NOT_PACKED)
            if self.buffer.is_due(stamp):
                self.flush(sync=False)
            return
        super().add(record, stamp)

    def note_counted(self, commit: CommitId, by: object) -> None:
        """Tell watches, but for those of whoever did it, that a commit was counted. Nothing when nobody watches."""
        for watch in self.watches:
            if watch.owner is not by:
                watch.note_counted(commit)

    def note_assigned(self, key: str, by: object) -> None:
        """The same of a register."""
        for watch in self.watches:
            if watch.owner is not by:
                watch.note_assigned(key)

    def keys(self) -> list[str]:
        """The keys of all registers that have a value, sorted."""
        registers = self.projection.registers
        return sorted({*registers.keys(VALUE_NAMESPACE), *registers.keys(GREATEST_NAMESPACE)})

    def knows_parent(self, parent: CommitId) -> bool:
        """Whether a commit can build on this one: it is here or in the ledger. O(1)."""
        return parent in self.projection.nodes or parent in self.ledger.projection.nodes

    def below(self, commits: Iterable[CommitId]) -> tuple[CommitId, ...]:
        """The commits of the ledger nearest to these, which are of the ledger or of the search. O(commits between)."""
        ledger = self.ledger.projection.nodes
        found: dict[CommitId, None] = {}
        for commit in commits:
            found.update(dict.fromkeys((commit,) if commit in ledger else self.missing(commit)[1]))
        return tuple(found)

    def has_parent(self, parent: CommitId) -> bool:
        """Whether a commit can build on this one; a commit of the ledger becomes a base. O(1)."""
        return self.grounded.stand_on(parent)

    def flush(self, *, sync: bool, ahead: Records | None = None) -> None:
        """Pack what is buffered into a segment of the document; there is no disk to wait for."""
        if len(self.buffer):
            self._written_us = max(self._written_us, _latest(self.buffer.records))
        super().flush(sync=True, ahead=ahead)

    def integrate(self, update: Update, segments: list[Segment], earlier: Loader = nothing) -> None:
        """See `Plane.integrate`."""
        super().integrate(update, segments, earlier)
        self._settle()
        if self.watches:
            note_segments(self.watches, self, segments)

    def add_stray(self, segment: Segment, data: bytes, earlier: Loader = nothing) -> None:
        """See `Plane.add_stray`."""
        super().add_stray(segment, data, earlier)
        self._settle()
        if self.watches:
            note_segments(self.watches, self, [segment])

    def written_us(self) -> int:
        """The stamp of the latest record that is known of; 0 when there is none."""
        return max(self.stamp_max, self._written_us, _latest(self.buffer.records))

    def missing(self, commit: CommitId) -> tuple[list[Commit], tuple[CommitId, ...]]:
        """The commit and its ancestors that the ledger lacks, parents first, and the ledger's commits below them."""
        ledger, projection = self.ledger.projection.nodes, self.projection
        found: set[int] = set()
        below: dict[CommitId, None] = {}
        stack = [projection.nodes[commit]]
        while stack:
            node = stack.pop()
            if projection.ids[node] in ledger:
                below[projection.ids[node]] = None
            elif node not in found:
                found.add(node)
                stack += projection.dag.parents(node)
        return [self.contents.get(projection.locations[node]) for node in sorted(found)], tuple(below)

    def drop(self) -> None:
        """Let go of everything now; references in circles would keep it until the garbage collector comes."""
        self.is_dropped = True
        self.grounded.leave()
        del (
            self.grounded,
            self.projection.refs,
            self.projection,
            self.beside,
            self.contents,
            self.document,
            self.buffer,
            self.on_buffered,
            self.on_durable,
            self.on_renumbered,
        )

    def _settle(self) -> None:
        if self.grounded.settle():
            self.on_renumbered()

    def _note_numbering(self, done: bool) -> None:
        for watch in self.watches:
            if done:
                watch.enter()
            else:
                watch.leave()

    def _locate_in_ledger(self, commit: CommitId) -> int:
        return self.contents.start(_Base(self.ledger, commit))


class _Base:
    """A commit of the ledger as a batch of one. It is read when it is asked for: the ledger may be about to fold it."""

    def __init__(self, ledger: Plane, commit: CommitId) -> None:
        self._ledger = ledger
        self._commit = commit
        self._read: tuple[Commit, ...] = ()

    @property
    def commits(self) -> tuple[Commit, ...]:
        """The one commit."""
        if not self._read:
            self._read = (self._ledger.commit(self._commit),)
        return self._read


class _Nowhere:
    """The store of a search: it takes everything and keeps nothing. What is read comes from the document in memory."""

    url = "search:"
    read_only = False

    def write(self, batch: Batch, *, sync: bool) -> None:
        pass

    def sync(self) -> None:
        pass

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        return None

    def scan(self, keyspace: Keyspace, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return iter(())

    def close(self) -> None:
        pass


def _latest(records: Records) -> int:
    """The latest stamp of a batch whose records were made one after the other."""
    ends = [*records.stamps[-1:]]
    for made in (records.assigns, records.counts, records.discards):
        ends += [record.stamp for record in made[-1:]]
    return max(ends, default=0)
