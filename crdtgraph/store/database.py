"""SQLite itself, as `sqlite` uses it: the file, how a connection is set up, and what its errors mean.

A store is one file, `PATH`. While it is open, and after a crash, `PATH-wal` and `PATH-shm` lie beside it and belong to
it: the write-ahead log (WAL) holds what was committed and is not in the file yet. `PATH.lock` says who writes.

Choices, with their reasons:

- *Creation* happens under another name, `PATH.creating`, and ends with a rename: what is at `PATH` is complete. What an
  interrupted one left is removed by the next.
- *Whose file it is* says SQLite's application id, so another program's database is never taken for ours. Looking is
  done through a connection that cannot write.
- *Never `open` the file ourselves.* SQLite locks with fcntl(2), and POSIX drops a process's locks on a file as soon as
  any descriptor of it is closed there. The WAL is never locked and may be opened.
- *No page checksums.* SQLite has none, so each row carries a CRC-32 of its key and value, and reading checks it. A
  damaged header or tree is what SQLite finds by itself; a tree that lost rows in good order is what `fsck` and the
  digest of a peer find.
"""

from __future__ import annotations

import os
import sqlite3
import zlib
from contextlib import suppress
from urllib.parse import quote

from crdtgraph.errors import NotAStoreError, StoreCorruptError, StoreError
from crdtgraph.store.base import CORRUPT_HINT, FORMAT, FORMAT_KEY, Keyspace, check_format
from crdtgraph.store.locking import FAILURE_HINT
from crdtgraph.store.naming import SHM_SUFFIX, WAL_SUFFIX

APPLICATION_ID = 0x43524754
"""`CRGT`: in the header of each of our files, where file(1) finds it too."""
PAGE_BYTES = 4096  # Larger pages were no faster, and each small commit writes a whole one.
CACHE_KIB = 8192  # Of the writer and of a reader that stays.
SCAN_CACHE_KIB = 1024  # A scan passes each page once.
BUSY_S = 10.0  # How long to wait for another process that recovers the log or closes, each a matter of milliseconds.

CREATING_SUFFIX = ".creating"


def connect(path: str, *, read_only: bool, cache_kib: int = CACHE_KIB, immutable: bool = False) -> sqlite3.Connection:
    """Open a connection to the file, which must be there. Transactions are explicit; any thread may use it.

    `immutable` reads a file that nobody can be writing, without locks or files beside it. Raises sqlite3.Error.
    """
    mode = "immutable=1" if immutable else f"mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?{mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        if not read_only:
            connection.execute("PRAGMA secure_delete = OFF")  # Debian's default overwrites with zeros what is deleted.
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("PRAGMA wal_autocheckpoint = 0")  # The store does that, and counts what it costs.
    except BaseException:
        connection.close()
        raise
    return connection


def create(path: str, url: str) -> None:
    """Make the file with its keyspaces and the format version, durably and whole or not at all.

    Nothing may be at `path`, and the lock must be held. Raises StoreError.
    """
    new = path + CREATING_SUFFIX
    try:
        remove(new)
        os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        connection = connect(new, read_only=False)
        try:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            add_keyspaces(connection)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.close()
        if os.path.exists(new + WAL_SUFFIX):  # The last step of closing failed: a rename would leave it behind.
            raise OSError(0, "its log can't be written out")
        os.rename(new, path)
        sync_directory(os.path.dirname(path))
    except (OSError, sqlite3.Error) as error:
        with suppress(OSError):
            remove(new)
        raise translate(error, url, "can't be created") from error


def add_keyspaces(connection: sqlite3.Connection) -> None:
    """Within a transaction, make what this format has and the file lacks, and write the format's version."""
    for keyspace in Keyspace:
        connection.execute(
            f'CREATE TABLE IF NOT EXISTS "{keyspace}" '
            "(key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL, sum INTEGER NOT NULL) WITHOUT ROWID"
        )
    connection.execute("CREATE TABLE IF NOT EXISTS written (records INTEGER NOT NULL, disk INTEGER NOT NULL)")
    value = b"%d" % FORMAT
    connection.execute(
        f'INSERT OR REPLACE INTO "{Keyspace.META}" VALUES (?, ?, ?)', (FORMAT_KEY, value, row_sum(FORMAT_KEY, value))
    )


def remove(path: str) -> None:
    """Remove the file of a store and what SQLite keeps beside it, as far as they are there. Raises OSError."""
    for suffix in ("", WAL_SUFFIX, SHM_SUFFIX, "-journal"):
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)


def require_file(path: str) -> None:
    """Raise NotAStoreError, or StoreCorruptError, unless a file is at `path`; whose it is says `look_at`."""
    if os.path.isfile(path):
        return
    if os.path.isdir(path):
        raise NotAStoreError(
            f"{path} is not a store of SQLite: it is a folder",
            hint=f"name a file, or a path that doesn't exist yet; a store that is a folder is written rocksdb:{path}",
        )
    if os.path.exists(path):
        raise NotAStoreError(
            f"{path} is not a store: it is no file", hint="name a store, or a path that doesn't exist yet"
        )
    with suppress(OSError):
        if os.path.getsize(path + WAL_SUFFIX):
            raise StoreCorruptError(
                f"the store {path} is damaged: its file is missing, and {path + WAL_SUFFIX} is there", CORRUPT_HINT
            )
    raise NotAStoreError(
        f"there is no store at {path}: it doesn't exist",
        hint=f"check the path, or create one: crdtgraph init --store sqlite:{path}",
    )


def look_at(path: str, *, ours: bool, immutable: bool = False) -> None:
    """Raise unless the file is one of crdtgraph. With `ours` it once was, and then anything else is damage.

    It is looked at through a connection that cannot change it. Raises NotAStoreError, StoreCorruptError; sqlite3.Error
    when it can't be read.
    """
    hint = "name a store, or a path that doesn't exist yet"
    try:
        looking = connect(path, read_only=True, cache_kib=SCAN_CACHE_KIB, immutable=immutable)
        try:
            (found,) = looking.execute("PRAGMA application_id").fetchone()
        finally:
            looking.close()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_NOTADB or ours:
            raise
        raise NotAStoreError(f"{path} is not a store: it is another kind of file", hint=hint) from error
    if found == APPLICATION_ID:
        return
    if ours:
        raise StoreCorruptError(f"the store {path} is damaged: its header is another one", hint=CORRUPT_HINT)
    raise NotAStoreError(f"{path} is a file of SQLite, or empty, but not a store of crdtgraph", hint=hint)


def stored_format(connection: sqlite3.Connection, url: str) -> int:
    """The format version in the file; raises as `check_format`, and sqlite3.Error."""
    row = connection.execute(f'SELECT value FROM "{Keyspace.META}" WHERE key = ?', (FORMAT_KEY,)).fetchone()
    return check_format(url, None if row is None else row[0])


def present_keyspaces(connection: sqlite3.Connection) -> frozenset[Keyspace]:
    """The keyspaces that the file has. Raises sqlite3.Error."""
    names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    return frozenset(keyspace for keyspace in Keyspace if keyspace.value in names)


def key_above(prefix: bytes) -> bytes:
    """The first key behind all that begin with `prefix`; empty if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes([stem[-1] + 1]) if stem else b""


def row_sum(key: bytes, value: bytes) -> int:
    """CRC-32 of key and value, with the key's length between; about 1 us a kilobyte."""
    return zlib.crc32(value, zlib.crc32(len(key).to_bytes(4, "big"), zlib.crc32(key)))


def translate(error: Exception, url: str, what: str) -> StoreError:
    """Turn an error of SQLite or of the system into ours; `what` is like "can't be read"."""
    if isinstance(error, StoreError):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "no such table" in str(error):
        return StoreCorruptError(f"the store {url} is damaged: {error}", hint=CORRUPT_HINT)
    reason = error.strerror or error if isinstance(error, OSError) else error
    return StoreError(f"the store {url} {what}: {reason}", hint=FAILURE_HINT)


def sync_directory(path: str) -> None:
    """Make the names in a folder durable: on POSIX a rename is not until its folder is synced. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
