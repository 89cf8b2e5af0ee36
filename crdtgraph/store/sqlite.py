"""A store in one file: SQLite (https://www.sqlite.org) through the standard library, one table a keyspace.

The write-ahead log (WAL) makes a batch atomic over all keyspaces and lets others read beside the writer. A commit is
appended to the log; a *checkpoint* copies what the log holds into the file. `database` says what the file is like.

- *Durability.* A synced write runs with `synchronous = FULL`, where SQLite fsyncs the log before the commit counts; any
  other with NORMAL, where only a checkpoint does. `sync` fsyncs the log itself, from any thread, without SQLite.
- *After a crash* SQLite reads the log up to the first frame whose checksum is wrong and drops the rest, as if it had
  been torn by the crash. It cannot tell a torn tail from damage in the middle; RocksDB's log can.
- *Scans* have a connection of their own: a query keeps the moment at which it began, whatever is written meanwhile. As
  long as one is open, the log cannot begin again and grows; so it does while somebody has the store open to read only.
- *Checkpoints* are made here, not by SQLite, because only then it is known what they write (see `traffic`).
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from threading import Lock, RLock
from weakref import WeakSet

from crdtgraph.errors import LocalError, NotAStoreError, StoreCorruptError, StoreError
from crdtgraph.store.base import CORRUPT_HINT, FORMAT, RECORDS, Batch, Keyspace, Traffic
from crdtgraph.store.database import (
    PAGE_BYTES,
    SCAN_CACHE_KIB,
    add_keyspaces,
    connect,
    create,
    key_above,
    look_at,
    present_keyspaces,
    require_file,
    row_sum,
    stored_format,
    sync_directory,
    translate,
)
from crdtgraph.store.locking import FAILURE_HINT, WriterLock
from crdtgraph.store.naming import LOCK_SUFFIX, WAL_SUFFIX, control_path
from crdtgraph.store.scans import SqliteScan
from crdtgraph.store.wal import Wal, written_by_thread

WAL_FRAMES_MAX = 1_000  # 4 MB; then a checkpoint. Bounds what an open after a crash reads.
WAL_BYTES_KEPT = 16 << 20  # A log that grew beyond this, because somebody read for long, is cut back.
IDLE_READERS_MAX = 2  # Connections kept for the next scans; opening one takes 0.2 ms.
PAGES_A_CHANGE = 8  # What one small change can put into the log at most, as far as we have seen.
_LOCAL = "the file has to be on a disk of this machine"


class SqliteStore:
    """A `Store` in the file `path`. Arguments and errors as in `crdtgraph.store.open_store`.

    Cost: a write without sync about 20 us and 2 us an entry, a sync that of the disk, `get` about 4 us, a scan 0.1 ms
    and 2 us an entry; opening some milliseconds and, after a crash, the reading of a log of about 4 MB.
    """

    def __init__(self, path: str, *, create: bool = True, read_only: bool = False) -> None:
        self._path = os.path.abspath(path)
        self._url = f"sqlite:{self._path}"
        self._read_only = read_only
        self._lock = WriterLock(self._path + LOCK_SUFFIX, name=self._path, control=control_path(self._url) or "")
        # The first guards the connections, the second the log that `sync` waits for; taken in this order.
        self._using = RLock()
        self._syncing = Lock()
        self._scans: WeakSet[SqliteScan] = WeakSet()
        self._idle: list[sqlite3.Connection] = []
        self._wal: Wal | None = None
        self._failure = ""
        self._is_full = False
        self._records = 0
        self._disk: int | None = 0
        self._pages_since = 0
        self._present = frozenset(Keyspace)
        try:
            opened = self._open_to_read() if read_only else self._open_to_write(create)
        except (sqlite3.Error, OSError) as error:
            raise translate(error, self._url, "can't be opened") from error
        self._connection: sqlite3.Connection | None = opened

    @property
    def url(self) -> str:
        """See `Store.url`."""
        return self._url

    @property
    def read_only(self) -> bool:
        """See `Store.read_only`."""
        return self._read_only

    def write(self, batch: Batch, *, sync: bool) -> None:
        """See `Store.write`."""
        with self._using:
            connection = self._open_connection()
            if self._read_only:
                raise LocalError(f"the store {self._url} is open read-only", hint="open it with read_only=False")
            self._require_sound("can't be written")
            if not batch.operations:
                if sync:
                    self.sync()
                return
            try:
                self._commit(connection, batch, is_full=sync)
            except (sqlite3.Error, OSError) as error:
                self._failure = str(error)
                raise translate(error, self._url, "can't be written") from error
            self._pages_since += sum(
                PAGES_A_CHANGE + len(value or b"") // PAGE_BYTES for _, _, value in batch.operations
            )
            if self._pages_since >= WAL_FRAMES_MAX:
                self._checkpoint_if_due(connection)

    def sync(self) -> None:
        """See `Store.sync`. One fdatasync of the log: commits have handed their bytes to the system."""
        with self._syncing:
            self._open_connection()
            if self._wal is None:
                return
            self._require_sound("can't be synced")
            try:
                self._wal.sync()
            except OSError as error:
                # The system forgets what it couldn't write, and a second try would only seem to succeed.
                self._failure = str(error)
                raise translate(error, self._url, "can't be synced") from error

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        """See `Store.get`."""
        with self._using:
            connection = self._open_connection()
            if keyspace not in self._present:
                return None
            try:
                row = connection.execute(f'SELECT value, sum FROM "{keyspace}" WHERE key = ?', (key,)).fetchone()
            except sqlite3.Error as error:
                raise translate(error, self._url, "can't be read") from error
            return None if row is None else self._checked(keyspace, key, row[0], row[1])

    def scan(self, keyspace: Keyspace, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """See `Store.scan`."""
        with self._using:
            connection = self._open_connection()
            if keyspace not in self._present:
                return iter(())
            query, bounds = f'SELECT key, value, sum FROM "{keyspace}" WHERE key >= ?', [prefix]
            if above := key_above(prefix):
                query, bounds = f"{query} AND key < ?", [prefix, above]
            try:
                if not self._read_only:  # One that is open to read only stays at one moment anyway.
                    connection = (
                        self._idle.pop()
                        if self._idle
                        else connect(self._path, read_only=True, cache_kib=SCAN_CACHE_KIB)
                    )
                cursor = connection.execute(f"{query} ORDER BY key", bounds)
            except sqlite3.Error as error:
                raise translate(error, self._url, "can't be read") from error
            scan = SqliteScan(self, keyspace, cursor)
            self._scans.add(scan)
            return scan

    def problems(self) -> Iterator[str]:
        """See `Checked.problems`. What SQLite finds when it looks at every page of each keyspace."""
        for keyspace in sorted(self._present):
            with self._using:
                try:
                    found = self._open_connection().execute(f'PRAGMA integrity_check("{keyspace}")').fetchall()
                except sqlite3.Error as error:
                    found = [(str(error),)]
            yield from (f"{keyspace}: {' '.join(text.split())}" for (text,) in found if text != "ok")
            yield ""

    def traffic(self) -> Traffic:
        """See `Measured.traffic`."""
        with self._using:
            self._open_connection()
            if self._wal is None or self._disk is None:
                return Traffic(self._records, self._disk)
            self._wal.frames()
            return Traffic(self._records, self._disk + self._wal.written())

    def reopen(self) -> None:
        """See `Store.reopen`. What failed was taken back; what a failed sync may have lost goes into the file."""
        with self._using, self._syncing:
            connection = self._open_connection()
            if not self._failure:
                return
            try:
                _, in_log, copied = self._checkpoint(connection, "PASSIVE")
            except (sqlite3.Error, OSError) as error:
                raise translate(error, self._url, "can't be written") from error
            if in_log != copied:
                raise StoreError(f"the store {self._url} can't be written: somebody reads it", "end that first")
            self._failure = ""

    def close(self) -> None:
        """See `Store.close`."""
        with self._using, self._syncing:
            connection, self._connection = self._connection, None
            if connection is None:
                return
            failure: StoreError | None = None
            try:
                if self._wal is not None:
                    self._wal.sync()
            except OSError as error:
                failure = translate(error, self._url, "can't be synced")
            for scan in list(self._scans):
                scan.end()
            while self._idle:
                self._idle.pop().close()
            if self._wal is not None:
                if failure is None and not self._failure:
                    self._put_away(connection)
                self._wal.close()
            # The log is written out now if nobody reads any more, and goes away. If not, nothing is lost.
            connection.close()
            self._lock.release()
        if failure is not None:
            raise failure

    # Writing

    def _commit(self, connection: sqlite3.Connection, batch: Batch, *, is_full: bool) -> None:
        if is_full != self._is_full:
            connection.execute(f"PRAGMA synchronous = {'FULL' if is_full else 'NORMAL'}")
            self._is_full = is_full
        records = 0
        connection.execute("BEGIN IMMEDIATE")
        try:
            for keyspace, key, value in batch.operations:
                if value is None:
                    connection.execute(f'DELETE FROM "{keyspace}" WHERE key = ?', (key,))
                    continue
                connection.execute(
                    f'INSERT OR REPLACE INTO "{keyspace}" VALUES (?, ?, ?)', (key, value, row_sum(key, value))
                )
                if keyspace in RECORDS:
                    records += len(key) + len(value)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            raise
        self._records += records

    def _checkpoint_if_due(self, connection: sqlite3.Connection) -> None:
        """Copy the log into the file if it is long enough. If that fails the log stays, and grows."""
        assert self._wal is not None
        self._pages_since = 0
        with suppress(OSError, sqlite3.Error):
            if self._wal.frames() >= WAL_FRAMES_MAX:
                self._note_traffic(connection)
                self._checkpoint(connection, "PASSIVE")

    def _checkpoint(self, connection: sqlite3.Connection, mode: str) -> tuple[int, int, int]:
        """Whether it had to stop, frames in the log, and frames of them that are in the file."""
        before = written_by_thread()
        is_busy, in_log, copied = connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        after = written_by_thread()
        if self._disk is None or before is None or after is None:
            self._disk = None
        else:
            self._disk += after - before
        return is_busy, in_log, copied

    def _put_away(self, connection: sqlite3.Connection) -> None:
        """Note what was written, and write the log out."""
        assert self._wal is not None
        with suppress(OSError, sqlite3.Error):
            self._wal.frames()
            if self._wal.written():
                self._note_traffic(connection)
            connection.execute("PRAGMA busy_timeout = 0")  # A reader that stays is nothing to wait for.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def _note_traffic(self, connection: sqlite3.Connection) -> None:
        """Keep what was written so far; a crash loses what comes until the next time. Raises sqlite3.Error."""
        assert self._wal is not None
        if self._disk is not None:
            row = self._records, self._disk + self._wal.written()
            connection.execute("INSERT OR REPLACE INTO written (rowid, records, disk) VALUES (1, ?, ?)", row)
            self._wal.frames()

    def _require_sound(self, what: str) -> None:
        if self._failure:
            raise StoreError(f"the store {self._url} {what}: an earlier write failed: {self._failure}", FAILURE_HINT)

    # Reading

    def _give_back(self, reader: sqlite3.Connection) -> None:
        if reader is self._connection or self._read_only:
            return
        if self._connection is None or len(self._idle) >= IDLE_READERS_MAX:
            reader.close()
        else:
            self._idle.append(reader)

    def _checked(self, keyspace: Keyspace, key: bytes, value: object, expected: int) -> bytes:
        if not isinstance(value, bytes) or row_sum(key, value) != expected:
            raise StoreCorruptError(
                f"the store {self._url} is damaged: the entry {key.hex()} of {keyspace} has another checksum",
                hint=CORRUPT_HINT,
            )
        return value

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise LocalError(f"the store {self._url} is closed", hint="open it again")
        return self._connection

    # Opening

    def _open_to_write(self, is_creating: bool) -> sqlite3.Connection:
        """Take the lock and open the file; create it if there is nothing and `is_creating` allows."""
        try:
            require_file(self._path)
        except NotAStoreError:
            if not is_creating or os.path.exists(self._path):
                raise
            os.makedirs(folder := os.path.dirname(self._path), exist_ok=True)
            sync_directory(os.path.dirname(folder))
        self._lock.take()
        try:
            if is_creating and not os.path.exists(self._path):  # Again, now that nobody else can be creating it.
                create(self._path, self._url)
            require_file(self._path)
            look_at(self._path, ours=self._lock.existed)
            return self._open_existing()
        except NotAStoreError:
            self._lock.release(forget=True)
            raise
        except BaseException:
            self._lock.release()
            raise

    def _open_existing(self) -> sqlite3.Connection:
        if not os.access(self._path, os.W_OK):
            # SQLite would open it to read only, and say so at the first write.
            raise StoreError(f"the store {self._url} can't be opened: no permission to write it", hint=FAILURE_HINT)
        connection = connect(self._path, read_only=False)
        try:
            found = stored_format(connection, self._url)
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()  # Another tool may have changed it.
            if mode != "wal":
                raise StoreError(f"the store {self._url} can't be opened: no write-ahead log is possible there", _LOCAL)
            connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}").fetchall()
            if found < FORMAT or present_keyspaces(connection) != self._present:
                connection.execute("BEGIN IMMEDIATE")
                add_keyspaces(connection)
                connection.execute("COMMIT")
            if row := connection.execute("SELECT records, disk FROM written").fetchone():
                self._records, self._disk = row
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            self._wal = Wal(self._path + WAL_SUFFIX, page_bytes)
            sync_directory(os.path.dirname(self._path))
        except BaseException:
            connection.close()
            raise
        return connection

    def _open_to_read(self) -> sqlite3.Connection:
        """Open without the lock, beside a writer if there is one, and hold on to the moment."""
        require_file(self._path)
        try:
            return self._start_to_read(immutable=False)
        except sqlite3.OperationalError as error:
            # Reading needs two small files beside the store, which a folder that can't be written doesn't get. If the
            # log isn't there either, all is in the file, and nobody can be changing it.
            is_refused = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
            if not is_refused or (os.path.exists(wal := self._path + WAL_SUFFIX) and os.path.getsize(wal)):
                raise
            return self._start_to_read(immutable=True)

    def _start_to_read(self, *, immutable: bool) -> sqlite3.Connection:
        look_at(self._path, ours=self._lock.existed, immutable=immutable)
        connection = connect(self._path, read_only=True, immutable=immutable)
        try:
            connection.execute("BEGIN")
            stored_format(connection, self._url)
            self._present = present_keyspaces(connection)
            with suppress(sqlite3.Error):
                if row := connection.execute("SELECT records, disk FROM written").fetchone():
                    self._records, self._disk = row
        except BaseException:
            connection.close()
            raise
        return connection
