"""The plane of one search: folded like the ledger and read at once, shared with peers, and it goes to no disk.

Its first commits build on commits of the ledger, which are its *bases*: the projection of the search holds them as
ground to stand on, and they are no part of it (grounded.py).

Nothing here waits for a disk, so a segment may be given to peers as soon as it is packed. That is no promise: what only
a process that dies had seen is gone with it, and it comes back under another writer number.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator

from crdtgraph.compaction import ranges
from crdtgraph.errors import NotFoundError
from crdtgraph.held import Loader, nothing
from crdtgraph.ids import CommitId, SegmentKey
from crdtgraph.outgoing import Durable
from crdtgraph.planes import Plane
from crdtgraph.projection import NOT_PACKED
from crdtgraph.records import Assign, Commit, Count, Discard
from crdtgraph.searches.compaction import compact_steps, is_due
from crdtgraph.searches.projection import SearchProjection
from crdtgraph.searches.registers import GREATEST_NAMESPACE, VALUE_NAMESPACE
from crdtgraph.searches.watching import Watch, note_segments
from crdtgraph.segment import Part, Records, Segment, pack, unpack
from crdtgraph.signing import Identity
from crdtgraph.store import Batch, Keyspace
from crdtgraph.update import Item, Update

PREFIX = "search/"
"""How the names of search planes begin."""
UNSEEN_MAX = 4
"""Discarded commits for each that was not, beyond which they go although a watch has not told of them yet."""
WORTH = 4
"""One record in so many must have a chance to go, for our own segments to be joined on that account."""
SMALL_RECORDS = 128
"""Segments with fewer than this on the average are worth joining, whatever goes."""
STEPS_A_FLUSH = 2
"""Of tidying up, each after a call that wrote something: twice as many as compactions need to keep up."""


class SearchPlane(Plane):
    """The plane of one search, above a ledger."""

    def __init__(self, name: str, identity: Identity, ledger: Plane, known_us: int) -> None:
        self.grounded = SearchProjection(ledger.projection, self._locate_in_ledger)
        super().__init__(PREFIX + name, _Nowhere(), identity, self.grounded)
        self.ledger = ledger
        self.grounded.on_numbering = self._note_numbering
        self.is_joined = False
        """Whether a program in this process has asked for it."""
        self.is_heard_of = False
        """Whether a peer has told of it."""
        self.known_us = known_us
        """When it became known here."""
        self.on_renumbered: Callable[[], object] = list
        """Called when the nodes of its projection have got other numbers."""
        self._written_us = 0
        self.watches: list[Watch] = []
        # The records in each of our own segments, and how many of those before were of use in the last compaction.
        self._own: dict[SegmentKey, int] = {}
        self._others: dict[SegmentKey, int] = {}
        """How many of those are not commits."""
        self._kept = 0
        self._work: Generator[None, None, object] | None = None
        self._is_at_work = False
        self._steps_due = 0

    @property
    def search(self) -> str:
        """The name of the search."""
        return self.name.removeprefix(PREFIX)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever said in it, as far as is known here."""
        return not (self.document.state_vector or self.segment_count() or len(self.buffer))

    def add_commit(self, commit_id: CommitId, commit: Commit, stamp: int, size: int, records_max: int) -> None:
        """As for any plane; after one that wrote the buffer out some of what is left behind is tidied up."""
        super().add_commit(commit_id, commit, stamp, size, records_max)
        self._tidy_up()

    def add_count(self, count: Count) -> None:
        """As for any plane; counts of one commit between two flushes are added up in one record."""
        if self.buffer.add_up(count):
            self.projection.add_count(count, NOT_PACKED)
            if self.buffer.is_due(count.stamp):
                self.flush(sync=False)
            return
        super().add_count(count)
        self._tidy_up()

    def add(self, record: Assign | Discard) -> None:
        """As for any plane; after one that wrote the buffer out some of what is left behind is tidied up."""
        super().add(record)
        self._tidy_up()

    def _tidy_up(self) -> None:
        if self._steps_due:
            self._steps_due -= 1
            self.advance()

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
        return self._missing(commits)[1]

    def has_parent(self, parent: CommitId) -> bool:
        """Whether a commit can build on this one; a commit of the ledger becomes a base. O(1)."""
        return self.grounded.stand_on(parent)

    def _flush(self, *, sync: bool, ahead: Records | None) -> bool:
        """Pack what is buffered into a segment of the document; there is no disk to wait for."""
        count, commits = len(self.buffer), len(self.buffer.records.ids)
        if count:
            self._written_us = max(self._written_us, _latest(self.buffer.records))
        is_on_disk = super()._flush(sync=True, ahead=ahead)
        if count:
            self._small.clear()
            key = SegmentKey(self.identity.writer, self._seq - 1)
            self._own[key], self._others[key] = count, count - commits
            self._steps_due = STEPS_A_FLUSH
        return is_on_disk

    # Tidying up

    def needs_compaction(self) -> bool:
        """Whether there is enough to add up or to let go of for `compact_steps` to be worth its while."""
        return self._work is not None or self._is_due() or self._needs_pruning()

    def compact_steps(self) -> Generator[None, None, bool]:
        """Join our own segments and let go of discarded commits, in steps of some 3 ms; whether there was any to do.

        No digest changes. What was discarded below discarded commits is not to be read any more.
        """
        self.flush(sync=True)
        if self._work is None and self._own:
            self._work = self._compact()
        worked = False
        while not self.is_dropped and self.advance():
            worked = True
            yield
        return worked

    def advance(self) -> bool:
        """Take a step of what is to be tidied up, if anything is; whether there was one. About 3 ms."""
        if self._is_at_work:
            # What it writes is flushed by nobody and a flush asks for a step; and it is told of in the midst of one.
            return False
        if self._work is None:
            if self._is_due():
                self._work = self._compact()
            elif self._needs_pruning():
                self._work = self._prune()
            else:
                return False
        work, self._work = self._work, None
        self._is_at_work = True
        try:
            next(work)
        except StopIteration:
            return True
        finally:
            self._is_at_work = False
        self._work = work
        return True

    def own_segments(self) -> list[SegmentKey]:
        """The segments that this incarnation has written and not joined, in order."""
        return list(self._own)

    @property
    def next_seq(self) -> int:
        """The number of the segment that is written next."""
        return self._seq

    def segment(self, key: SegmentKey) -> Segment:
        """A segment of the document."""
        return self._load_segment(key)

    def write_part(self, records: Records, part: Part, superseded: list[SegmentKey]) -> None:
        """Write a part of a compaction; with the last of them go the segments that were joined."""
        key = SegmentKey(self.identity.writer, self._seq)
        data = pack(records, plane=self.name, identity=self.identity, seq=key.seq, part=part)
        self._seq += 1
        self.projection.fold(unpack(data, check_signature=False), self.contents.register(key), self._load_folded)
        update = Update((Item(key, data),), ranges(key.writer, [each.seq for each in superseded]))
        self.document.apply(update)
        self.outgoing.on_durable(Durable(key, update))
        self._own[key], self._others[key] = len(records), len(records) - len(records.ids)
        for each in superseded:
            del self._own[each], self._others[each]

    def _is_due(self) -> bool:
        """Whether to join our own segments; not if next to nothing would go and they are large already."""
        records = sum(self._own.values())
        if not is_due(records, self._kept):
            return False
        # Commits that are live stay, with a count each, and so do registers. To read all of that again takes twice
        # what making it took.
        projection = self.projection
        stays = len(projection.counters) + projection.registers.count()
        may_go = max(0, sum(self._others.values()) - stays) + len(projection.discards)
        return may_go * WORTH >= records or records < len(self._own) * SMALL_RECORDS

    def _needs_pruning(self) -> bool:
        due = self.grounded.pruning_due()
        return due > 1 and (due > UNSEEN_MAX or all(watch.knows_discards for watch in self.watches))

    def _compact(self) -> Generator[None, None, None]:
        self._kept = yield from compact_steps(self)

    def _prune(self) -> Generator[None, None, None]:
        if (yield from self.grounded.prune_steps()):
            self.on_renumbered()

    def _load_segment(self, key: SegmentKey) -> Segment:
        if key in self.projection.superseded:
            raise NotFoundError(
                f"the commit was discarded, and its content went with segment {key.text}",
                hint="promote what is to be kept before what it follows from is discarded",
            )
        return super()._load_segment(key)

    # From others

    def integrate(self, update: Update, segments: list[Segment], earlier: Loader = nothing) -> None:
        """See `Plane.integrate`."""
        super().integrate(update, segments, earlier)
        if any(segment.part is not None for segment in segments):
            self.beside.close_superseded()
        self.grounded.settle()
        if self.watches:
            note_segments(self.watches, self, segments)
        # Who only listens lets go of what was discarded, too.
        self.advance()

    def add_stray(self, segment: Segment, data: bytes, earlier: Loader = nothing) -> None:
        """See `Plane.add_stray`."""
        super().add_stray(segment, data, earlier)
        if segment.part is not None:
            self.beside.close_superseded()
        self.grounded.settle()
        if self.watches:
            note_segments(self.watches, self, [segment])

    def written_us(self) -> int:
        """The stamp of the latest record that is known of; 0 when there is none."""
        return max(self.stamp_max, self._written_us, _latest(self.buffer.records))

    def missing(self, commits: Iterable[CommitId]) -> tuple[list[Commit], tuple[CommitId, ...]]:
        """These commits and their ancestors that the ledger lacks, parents first, and the ledger's commits below them.

        Raises NotFoundError when one was thrown away and its content is gone.
        """
        found, below = self._missing(commits)
        return [self.contents.get(self.projection.locations[node]) for node in found], below

    def _missing(self, commits: Iterable[CommitId]) -> tuple[list[int], tuple[CommitId, ...]]:
        ledger, projection = self.ledger.projection.nodes, self.projection
        found: set[int] = set()
        below: dict[CommitId, None] = {}
        for commit in commits:
            if commit in ledger:
                below[commit] = None
                continue
            stack = [projection.nodes[commit]]
            while stack:
                node = stack.pop()
                if projection.ids[node] in ledger:
                    below[projection.ids[node]] = None
                elif node not in found:
                    found.add(node)
                    stack += projection.dag.parents(node)
        return sorted(found), tuple(below)

    def drop(self) -> None:
        """Let go of everything now; references in circles would keep it until the garbage collector comes."""
        self.is_dropped = True
        self._work = None
        self.grounded.leave()
        del (
            self.grounded,
            self.projection.refs,
            self.projection,
            self.beside,
            self.contents,
            self.outgoing,
            self.buffer,
            self.on_buffered,
            self.on_renumbered,
        )

    def _note_numbering(self, claimed: list[CommitId] | None) -> None:
        for watch in self.watches:
            if claimed is None:
                watch.leave()
            else:
                watch.enter(claimed)
        if claimed is not None:
            self.on_renumbered()

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

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


def _latest(records: Records) -> int:
    """The latest stamp of a batch whose records were made one after the other."""
    ends = [*records.stamps[-1:]]
    for made in (records.assigns, records.counts, records.discards):
        ends += [record.stamp for record in made[-1:]]
    return max(ends, default=0)
