"""The plane of one search: folded like the ledger and read at once, and it goes to no disk.

Its first commits build on commits of the ledger, which are its *bases*: the projection of the search holds them as
ground to stand on, and they are no part of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.planes import Loader, Plane
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.searchregisters import GREATEST_NAMESPACE, VALUE_NAMESPACE
from crdtgraph.segment import Records, Segment
from crdtgraph.signing import Identity
from crdtgraph.store import Batch, Keyspace
from crdtgraph.update import Update
from crdtgraph.watching import Watch, note_segments

PREFIX = "search/"
"""How the names of search planes begin."""


def _nothing(_key: SegmentKey) -> list[Segment]:
    return []


class SearchPlane(Plane):
    """The plane of one search, above a ledger."""

    def __init__(self, name: str, identity: Identity, ledger: Plane) -> None:
        super().__init__(PREFIX + name, _Nowhere(), identity)
        self.ledger = ledger
        self.watches: list[Watch] = []

    def add(self, record: Assign | Count | Discard, stamp: int) -> None:
        """As for any plane; counts of one commit between two flushes are added up in one record."""
        if isinstance(record, Count) and self.buffer.add_up(record):
            self._fold_own(record)
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

    def integrate(self, update: Update, segments: list[Segment], earlier: Loader = _nothing) -> None:
        """As for any plane, and watches are told."""
        super().integrate(update, segments, earlier)
        if self.watches:
            note_segments(self.watches, self, segments)

    def add_stray(self, segment: Segment, data: bytes, earlier: Loader = _nothing) -> None:
        """As for any plane, and watches are told."""
        super().add_stray(segment, data, earlier)
        if self.watches:
            note_segments(self.watches, self, [segment])

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
        if parent in self.projection.nodes:
            return True
        node = self.ledger.projection.nodes.get(parent)
        if node is None:
            return False
        base = Records([parent], [self.ledger.commit(parent)], [0])
        self.projection.add_base(parent, self.ledger.projection.times[node], self.contents.start(base))
        return True

    def flush(self, *, sync: bool, ahead: Records | None = None) -> None:
        """Pack what is buffered into a segment of the document; there is no disk to wait for."""
        super().flush(sync=True, ahead=ahead)

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
        del (
            self.projection.refs,
            self.projection,
            self.beside,
            self.contents,
            self.document,
            self.buffer,
            self.on_buffered,
        )


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
