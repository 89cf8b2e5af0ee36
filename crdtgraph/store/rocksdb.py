"""A store on disk: RocksDB through rocksdict, in raw mode, one column family a keyspace.

RocksDB (https://github.com/facebook/rocksdb) is a log-structured merge tree: a write is appended to a
write-ahead log (WAL) and put into a table in memory; full tables become sorted files. One WAL covers all
column families, which makes a batch atomic over all keyspaces. Crash recovery is the engine's; telling
recovery from damage is `directory`'s.

Choices, with their reasons:

- *WAL recovery.* After a crash: tolerate a corrupted tail. An incomplete last write was never acknowledged
  and is dropped silently; a bad checksum before the end is an error. The engine's default (point in time)
  would silently drop everything behind the damage, acknowledged writes included. After a clean close:
  absolute consistency.
- *Iterators.* rocksdict's `items()` ends silently when a block is unreadable, so scans step its raw iterator
  and ask for the status at the end.
- *Read-only* opens replay the WAL into memory and keep all tables open: the writer may delete what it likes.
- *Errors.* rocksdict raises plain `Exception` with RocksDB's text; `_translate` sorts by its leading words.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from threading import Lock
from weakref import WeakSet

from rocksdict import (
    AccessType,
    ColumnFamily,
    DBRecoveryMode,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from crdtgraph.errors import LocalError, NotAStoreError, StoreCorruptError, StoreError
from crdtgraph.store.base import (
    CORRUPT_HINT,
    FIRST_KEYSPACES,
    FORMAT,
    FORMAT_KEY,
    RECORDS,
    Batch,
    Keyspace,
    Traffic,
    check_format,
)
from crdtgraph.store.directory import Content, StoreDirectory
from crdtgraph.store.engine import RocksScan, compressing_options, engine_options, shut
from crdtgraph.store.locking import FAILURE_HINT
from crdtgraph.store.mirror import is_writable, mirrored
from crdtgraph.store.tally import TrafficTally

READ_ATTEMPTS_MAX = 20  # Read-only opens that a busy writer may spoil; one in ten or so is.

_DEFAULT_FAMILY = "default"  # RocksDB insists on it; it stays empty.


class RocksStore:
    """A `Store` in the folder `path`. Arguments and errors as in `crdtgraph.store.open_store`.

    Cost: a write without sync about 3 us an entry, a sync that of the disk, `get` about 1 us, a scan about 1 us
    an entry; opening some ten milliseconds and, after a crash, the replay of at most `WAL_BYTES_MAX`.
    """

    def __init__(self, path: str, *, create: bool = True, read_only: bool = False) -> None:
        self._directory = StoreDirectory(path)
        self._url = f"rocksdb:{self._directory.path}"
        self._read_only = read_only
        # `sync` runs without the interpreter lock; closing under its feet would pull the engine away.
        self._sync_lock = Lock()
        self._scans: WeakSet[RocksScan] = WeakSet()
        self._sync_options = WriteOptions()
        self._sync_options.sync = True
        self._plain_options = WriteOptions()
        self._present: list[Keyspace] = list(Keyspace)
        self._tally = TrafficTally(self._directory)
        self._families: dict[Keyspace, Rdict] = {}
        self._handles: dict[Keyspace, ColumnFamily] = {}
        self._engine: Rdict | None = None
        self._failure: StoreError | None = None
        self._attach(self._open_to_read() if read_only else self._open_to_write(create))

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
        engine = self._open_engine()
        if self._read_only:
            raise LocalError(f"the store {self._url} is open read-only", hint="open it with read_only=False")
        if not batch.operations:
            if sync:
                self.sync()
            return
        records = 0
        try:
            changes = WriteBatch(raw_mode=True)
            for keyspace, key, value in batch.operations:
                if value is None:
                    changes.delete(key, self._handles[keyspace])
                    continue
                changes.put(key, value, self._handles[keyspace])
                if keyspace in RECORDS:
                    records += len(key) + len(value)
            engine.write(changes, self._sync_options if sync else self._plain_options)
            self._tally.add(records)
        except Exception as error:
            raise self._translate("can't be written", error) from error

    def sync(self) -> None:
        """See `Store.sync`. One fdatasync of the WAL: the writes have handed their bytes to the system."""
        with self._sync_lock:
            engine = self._open_engine()
            if self._read_only:
                return
            try:
                engine.flush_wal(True)
            except Exception as error:
                raise self._translate("can't be synced", error) from error

    def get(self, keyspace: Keyspace, key: bytes) -> bytes | None:
        """See `Store.get`."""
        self._open_engine()
        family = self._families.get(keyspace)
        if family is None:  # A store of an older format, open to read only.
            return None
        try:
            value: bytes | None = family.get(key)
        except Exception as error:
            raise self._translate("can't be read", error) from error
        return value

    def scan(self, keyspace: Keyspace, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """See `Store.scan`."""
        self._open_engine()
        family = self._families.get(keyspace)
        if family is None:
            return iter(())
        scan = RocksScan(self, family.iter(), prefix)
        self._scans.add(scan)
        return scan

    def traffic(self) -> Traffic:
        """See `Measured.traffic`."""
        self._open_engine()
        return self._tally.traffic()

    def reopen(self) -> None:
        """See `Store.reopen`. The engine is opened anew; that writes what its log holds to tables, and syncs them."""
        with self._sync_lock:
            if self._failure is None:
                self._open_engine()
            if self._read_only:
                return
            # An engine that finds no room to start cannot be read either, so this one stays until there is some.
            self._directory.require_room()
            self._tally.begin_again()
            engine, self._engine = self._engine, None
            if engine is not None:
                self._release(engine)
            try:
                self._attach(self._open_existing())
            except StoreError as error:
                self._failure = error
                raise
            self._failure = None

    def close(self) -> None:
        """See `Store.close`."""
        with self._sync_lock:
            engine, self._engine = self._engine, None
            failure, self._failure = self._failure, None
            if engine is None:
                self._directory.unlock()
                if failure is not None:
                    raise failure
                return
            try:
                if not self._read_only:
                    engine.flush_wal(True)
            except Exception as error:  # noqa: BLE001 - the binding raises nothing more precise
                failure = self._translate("can't be synced", error)
            clean = self._release(engine) and failure is None
            if not self._read_only:
                self._tally.note()
                if clean:
                    self._directory.mark_closed()
                self._directory.unlock()
        if failure is not None:
            raise failure

    def _release(self, engine: Rdict) -> bool:
        """Shut the engine down; True if that went well. It lives as long as anything refers to it."""
        for scan in self._scans:
            scan.cut()
        self._families.clear()
        self._handles.clear()
        return shut(engine)

    def _attach(self, engine: Rdict) -> None:
        self._engine = engine
        for keyspace in self._present:
            self._families[keyspace] = engine.get_column_family(keyspace)
            self._handles[keyspace] = engine.get_column_family_handle(keyspace)

    def _open_engine(self) -> Rdict:
        if self._engine is None:
            if self._failure is not None:
                raise StoreError(self._failure.message, self._failure.hint)
            raise LocalError(f"the store {self._url} is closed", hint="open it again")
        return self._engine

    def _open_to_write(self, create: bool) -> Rdict:
        """Lock the folder and open the engine; create both if there is nothing and `create` allows."""
        directory = self._directory
        content = directory.content()
        if content is Content.ABSENT and create:
            directory.make()
        elif content is not Content.UNFINISHED and not (content is Content.EMPTY and create):
            directory.require_store(content)
        directory.lock()
        try:
            content = directory.content()  # Again, now that nobody else can be creating it.
            if create and content in (Content.EMPTY, Content.UNFINISHED):
                return self._create(content)
            directory.require_store(content)
            return self._open_existing()
        except NotAStoreError:
            directory.unlock(forget=True)
            raise
        except BaseException:
            directory.unlock()
            raise

    def _create(self, content: Content) -> Rdict:
        """Make the engine's files and the format version; `directory` says what a crash in between leaves."""
        directory = self._directory
        if content is Content.UNFINISHED:
            directory.wipe_unfinished()
        else:
            directory.begin_creation()
        engine = self._start(
            engine_options(DBRecoveryMode.absolute_consistency(), create=True), AccessType.read_write()
        )
        try:
            self._write_format(engine)
            directory.end_creation()
        except StoreError:
            shut(engine)
            raise
        return engine

    def _open_existing(self) -> Rdict:
        directory = self._directory
        if directory.check_closed():
            recovery = DBRecoveryMode.absolute_consistency()
        else:
            recovery = DBRecoveryMode.tolerate_corrupted_tail_records()
        self._check_families()
        directory.begin_opening()
        started = False
        try:
            engine = self._start(engine_options(recovery, add_families=True), AccessType.read_write())
            started = True
        finally:
            directory.end_opening(succeeded=started)
        try:
            if self._check_format(engine) < FORMAT:
                self._write_format(engine)
        except StoreError:
            # Opening has changed files by now, soundly: what is refused is the content.
            if shut(engine):
                directory.mark_closed()
            raise
        return engine

    def _open_to_read(self) -> Rdict:
        """Open without a lock, beside a writer if there is one.

        The engine reads the list of tables first and the WALs after it. A writer that finishes a table in
        between removes the WAL of the same entries, and the engine doesn't miss it: it would show some
        keyspaces without their last entries. So an attempt counts only if no WAL went away meanwhile. They
        are removed oldest first, hence one that came and went unseen took an older one with it. An engine
        that did start has all its tables open; one that didn't may have missed any file that went away.
        """
        directory = self._directory
        for _ in range(READ_ATTEMPTS_MAX):
            directory.require_store(directory.content())
            before = directory.vital_files()
            try:
                engine = self._try_open_to_read()
            except StoreError:
                after = directory.vital_files()
                # A mirror lacks what came after it was made; another one may have it.
                if before == after or (before < after and is_writable(directory.path)):
                    raise
                continue
            gone = before - directory.vital_files()
            if not any(name.endswith(".log") for name in gone):
                return engine
            shut(engine)
        raise StoreError(
            f"the store {self._url} changes too fast to be read from outside",
            hint="try again, or ask the process that writes it",
        )

    def _try_open_to_read(self) -> Rdict:
        if self._directory.check_closed():
            recovery = DBRecoveryMode.absolute_consistency()
        else:
            recovery = DBRecoveryMode.tolerate_corrupted_tail_records()
        self._check_families()
        options = engine_options(recovery)
        options.set_max_open_files(-1)
        return self._start_to_read(options)

    def _check_families(self) -> None:
        """Refuse another program's database, and keyspaces from the future, before anything is changed."""
        try:
            families = set(Rdict.list_cf(str(self._directory.path), engine_options()))
        except Exception as error:
            raise self._translate("can't be opened", error) from error
        if not families.issuperset(FIRST_KEYSPACES):
            if self._directory.ours:
                raise StoreCorruptError(
                    f"the store {self._url} is damaged: its MANIFEST lacks keyspaces", hint=CORRUPT_HINT
                )
            raise NotAStoreError(
                f"{self._directory.path} is a RocksDB database, but not one of crdtgraph",
                hint="name a store, or a path that doesn't exist yet",
            )
        self._present = [keyspace for keyspace in Keyspace if keyspace in families]
        if unknown := families - {_DEFAULT_FAMILY, *Keyspace}:
            # Newer code may have keyspaces unknown to this one. A read-only engine may leave some closed.
            shut(self._start_to_read(engine_options()))
            listed = ", ".join(sorted(unknown))
            raise StoreCorruptError(f"the store {self._url} has unknown keyspaces: {listed}", hint=CORRUPT_HINT)
        if not self._read_only:
            self._present = list(Keyspace)  # Those that an older format lacks are added.

    def _check_format(self, engine: Rdict) -> int:
        try:
            stored: bytes | None = engine.get_column_family(Keyspace.META).get(FORMAT_KEY)
        except Exception as error:
            raise self._translate("can't be read", error) from error
        return check_format(self._url, stored)

    def _write_format(self, engine: Rdict) -> None:
        try:
            changes = WriteBatch(raw_mode=True)
            changes.put(FORMAT_KEY, b"%d" % FORMAT, engine.get_column_family_handle(Keyspace.META))
            engine.write(changes, self._sync_options)
        except Exception as error:
            raise self._translate("can't be written", error) from error

    def _start_to_read(self, options: Options) -> Rdict:
        access = AccessType.read_only(error_if_log_file_exist=False)
        folder = self._directory.path
        try:
            with nullcontext(folder) if is_writable(folder) else mirrored(folder) as place:
                engine = self._start(options, access, place)
        except OSError as error:
            raise self._translate("can't be opened", error) from error
        try:
            self._check_format(engine)
        except StoreError:
            shut(engine)
            raise
        return engine

    def _start(self, options: Options, access: AccessType, place: Path | None = None) -> Rdict:
        try:
            families = {str(keyspace): options for keyspace in self._present}
            if Keyspace.STATES in self._present:
                families[Keyspace.STATES] = compressing_options()
            self._tally.options = None if self._read_only else options
            return Rdict(str(place or self._directory.path), options, families, access)
        except Exception as error:
            raise self._translate("can't be opened", error) from error

    def _translate(self, what: str, error: Exception) -> StoreError:
        """Turn an exception of the binding into ours."""
        text = str(error)
        if "lock hold by current process" in text or "While lock file" in text:
            return self._directory.locked()
        missing = text.startswith("IO error: No such file")
        if text.startswith("Corruption:") or missing:
            return StoreCorruptError(f"the store {self._url} is damaged: {text}", hint=CORRUPT_HINT)
        return StoreError(f"the store {self._url} {what}: {text}", hint=FAILURE_HINT)
