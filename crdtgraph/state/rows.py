"""The rows of a store: read through a small cache, written in batches, made level by level.

Every commit of the ledger has a row with its own changes. Along first parents, at every 16th commit from the root on
the row goes back 16 commits instead, at every 256th 256, and at every 4,096th it has the whole state. So whoever wants
the state at a commit goes down at most 15 rows of each of three kinds to a whole one, and of the commits themselves
replays 15 at most. The idea is that of video frames and of revlogs; levels make for rows whose sizes in all are three
times the changes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from heapq import merge
from struct import Struct

from crdtgraph.errors import StoreCorruptError
from crdtgraph.ids import CommitId
from crdtgraph.records import Value
from crdtgraph.state.row import REMOVED, DamagedError, Entry, Row, RowWriter, Table, entries_of, read_page
from crdtgraph.steps import Stepwise
from crdtgraph.store import Batch, Keyspace, Store

SPANS = (1, 16, 256, 4_096)
"""How many commits a row of each level goes back; one of the last level has the whole state."""
TOP = len(SPANS) - 1
CACHED_BYTES_MAX = 16 << 20
LOOKED_UP_MAX = 8_192
LOOKED_UP_BYTES_MAX = 256
"""About 4 MB together with their paths."""
BATCH_BYTES = 256 << 10
"""Rows that are written together."""
STEP_ENTRIES = 2_000
"""About 2 ms of work between two steps."""

_ROW, _PAGE, _MARK = b"r", b"p", b"marked"
_COUNT = Struct("<Q")
_DAMAGED = b""
"""What nothing is read as."""


class Rows:
    """Rows by commit. One that is damaged is as good as none; the next one that is made takes its place."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cached: OrderedDict[bytes, tuple[Row | Table, int]] = OrderedDict()
        self._cached_bytes = 0
        self._batch = Batch()
        self._batch_bytes = 0
        self._unwritten: dict[bytes, bytes | None] = {}
        self.looked_up: dict[tuple[CommitId, str], Value] = {}
        """Values that were found in rows lately, and need no second look."""
        self._work = 0
        self.lost = 0
        """How many were found damaged or could not be written, and have to be made again."""

    @property
    def can_write(self) -> bool:
        """Whether rows can be made."""
        return not self._store.read_only

    def get(self, commit: CommitId) -> Row | None:
        """The row of a commit, None if there is none."""
        key = _ROW + commit
        cached = self._cached.get(key)
        if cached is not None:
            self._cached.move_to_end(key)
            assert isinstance(cached[0], Row)
            return cached[0]
        data = self._read(key)
        if data is None:
            return None
        try:
            row = Row(data)
        except DamagedError:
            self.drop(commit)
            return None
        self._keep(key, row, len(data))
        return row

    def page(self, name: bytes) -> Table:
        """A page by its name; raises DamagedError when it is not there as it was written."""
        key = _PAGE + name
        cached = self._cached.get(key)
        if cached is not None:
            self._cached.move_to_end(key)
            assert isinstance(cached[0], Table)
            return cached[0]
        data = self._read(key)
        if data is None:
            raise DamagedError("a page is missing")
        try:
            table = read_page(data)
        except DamagedError:
            self._delete(key)
            raise
        self._keep(key, table, len(data))
        return table

    def note_looked_up(self, place: tuple[CommitId, str], value: Value) -> None:
        """Remember what was found, if it is small; what was found long ago makes way."""
        if not isinstance(value, bytes) or len(value) <= LOOKED_UP_BYTES_MAX:
            self.looked_up[place] = value
            if len(self.looked_up) > LOOKED_UP_MAX:
                del self.looked_up[next(iter(self.looked_up))]

    def make_steps(
        self, commit: CommitId, parent: CommitId | None, changes: Iterable[tuple[str, Value]]
    ) -> Stepwise[bool]:
        """Make the row of a commit from those before it; False if its first parent has none.

        `changes` are its own. Nothing is on the way to the store until a batch is full or `flush` is called.
        """
        depth = 0
        if parent is not None:
            above = self.get(parent)
            if above is None:
                return False
            depth = above.depth + 1
        level = max(each for each, span in enumerate(SPANS) if depth % span == 0)
        writer = RowWriter(self._put_page)
        own, base = entries_of(changes), parent
        try:
            sources = [iter(own)]
            if level and parent is not None:
                base = self._sources(sources, parent, max(depth - SPANS[level], 0), whole=level == TOP)
            last = None
            # The same path from several rows comes from the latest first.
            ranked = [_ranked(rank, source) for rank, source in enumerate(sources)]
            for path, _, kind, raw in merge(*ranked) if level else ranked[0]:
                if path != last and not (level == TOP and kind == REMOVED):
                    writer.add((path, kind, raw))
                last = path
                self._work += 1
                if self._work >= STEP_ENTRIES:
                    self._work = 0
                    yield
        except DamagedError:
            return False
        self._put(_ROW + commit, writer.finish(level, depth, None if level == TOP else base))
        if self._batch_bytes >= BATCH_BYTES:
            self.flush()
        return True

    def take_work(self) -> int:
        """How many entries were handled since the last step; they count as stepped over from here on if enough."""
        work = self._work
        if work >= STEP_ENTRIES:
            self._work = 0
        return work

    def mark(self, count: int, total: bytes) -> None:
        """Note how many commits have been looked at, and 32 bytes that name the set of them."""
        self._put(_MARK, _COUNT.pack(count) + total)

    def marked(self) -> tuple[int, bytes]:
        """What was noted last."""
        data = self._read(_MARK)
        if data is None or len(data) != _COUNT.size + 32:
            return 0, bytes(32)
        return (*_COUNT.unpack_from(data), data[_COUNT.size :])

    def drop(self, commit: CommitId) -> None:
        """Take a row out that cannot be read, or whose pages cannot, so that a new one is made."""
        self.lost += 1
        self._delete(_ROW + commit)

    def flush(self) -> None:
        """Write what was made, not synced: it can always be made again. Raises StoreError when the disk refuses."""
        batch, self._batch, self._batch_bytes = self._batch, Batch(), 0
        unwritten, self._unwritten = self._unwritten, {}
        if len(batch):
            try:
                self._store.write(batch, sync=False)
            except BaseException:
                # What is built on these rows would be built on nothing.
                self.lost += len(unwritten)
                for key in unwritten:
                    self._forget(key)
                raise

    def _sources(self, sources: list[Iterator[Entry]], above: CommitId, until: int, *, whole: bool) -> CommitId | None:
        """Add the entries of the rows down to depth `until` (with it, if `whole`), the latest first; what is below."""
        at: CommitId | None = above
        while at is not None:
            row = self.get(at)
            if row is None:
                raise DamagedError("a row is missing")
            if row.depth <= until and not whole:
                return at
            sources.append(self._entries(at, row))
            at = row.base
        return None

    def _entries(self, commit: CommitId, row: Row) -> Iterator[Entry]:
        try:
            yield from row.entries(self.page)
        except DamagedError:
            self.drop(commit)
            raise

    def _put_page(self, name: bytes, data: bytes) -> None:
        if self._read(_PAGE + name) in (None, _DAMAGED):
            self._put(_PAGE + name, data)
            if self._batch_bytes >= BATCH_BYTES:
                self.flush()

    def _read(self, key: bytes) -> bytes | None:
        if key in self._unwritten:
            return self._unwritten[key]
        try:
            return self._store.get(Keyspace.STATES, key)
        except StoreCorruptError:
            # The engine found it before us. Whatever else is damaged, this can be made anew.
            return _DAMAGED

    def _put(self, key: bytes, data: bytes) -> None:
        self._batch.put(Keyspace.STATES, key, data)
        self._batch_bytes += len(data)
        self._unwritten[key] = data
        self._forget(key)

    def _delete(self, key: bytes) -> None:
        self._forget(key)
        if not self._store.read_only:
            self._batch.delete(Keyspace.STATES, key)
            self._unwritten[key] = None

    def _keep(self, key: bytes, held: Row | Table, size: int) -> None:
        self._cached[key] = held, size
        self._cached_bytes += size
        while self._cached_bytes > CACHED_BYTES_MAX and len(self._cached) > 1:
            self._cached_bytes -= self._cached.popitem(last=False)[1][1]

    def _forget(self, key: bytes) -> None:
        cached = self._cached.pop(key, None)
        if cached is not None:
            self._cached_bytes -= cached[1]

    def clear_cache(self) -> None:
        """Forget what was read, as after opening anew."""
        self._cached.clear()
        self._cached_bytes = 0
        self.looked_up.clear()


def _ranked(rank: int, entries: Iterator[Entry]) -> Iterator[tuple[bytes, int, int, bytes]]:
    return ((path, rank, kind, raw) for path, kind, raw in entries)
