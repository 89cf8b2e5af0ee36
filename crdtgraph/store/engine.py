"""RocksDB itself, as `rocksdb` uses it: how it is set up, scanned, and shut down."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, DBRecoveryMode, Options, Rdict, RdictIter

from crdtgraph.errors import StoreError

if TYPE_CHECKING:
    from crdtgraph.store.rocksdb import RocksStore

WRITE_BUFFER_BYTES = 8 << 20  # A keyspace's table in memory; beyond it becomes a file.
WRITE_BUFFERS_BYTES = 16 << 20  # All keyspaces together.
WAL_BYTES_MAX = 32 << 20  # Bounds what an open after a crash replays: about 0.1 s.
BLOCK_CACHE_BYTES = 8 << 20
OPEN_FILES_MAX = 64
BACKGROUND_JOBS = 2  # One flush and one compaction.
LOG_BYTES_MAX = 256 << 10  # The engine's own text log ...
LOG_FILES_KEPT = 2  # ... of this opening and the one before.

_TICKERS = ("wal.bytes", "flush.write.bytes", "compact.write.bytes")
_TICKER = re.compile(rf"^rocksdb\.({'|'.join(map(re.escape, _TICKERS))}) COUNT : (\d+)$", re.MULTILINE)


def shut(engine: Rdict) -> bool:
    """Shut an engine down at once, whoever refers to it; False if it couldn't write its tables out.

    Nothing is lost then, the WAL has it all. Merely dropping the engine would not do: the traceback of an
    error keeps its frames alive, and with them the engine and its lock.
    """
    try:
        engine.close()
    except Exception:  # noqa: BLE001 - the binding raises nothing more precise
        return False
    return True


def written_bytes(options: Options) -> int | None:
    """What an engine with these options wrote since it was opened: its log, and tables made of it or of each other.

    The manifest and the text log, some kilobytes, are left out. None if the engine doesn't say.
    """
    found = dict(_TICKER.findall(options.get_statistics() or ""))
    return sum(map(int, found.values())) if len(found) == len(_TICKERS) else None


def engine_options(
    recovery: DBRecoveryMode | None = None, *, create: bool = False, add_families: bool = False
) -> Options:
    """Return the engine's options: small in memory, quiet on disk, and never creating by accident."""
    options = Options(raw_mode=True)
    options.create_if_missing(create)
    options.create_missing_column_families(create or add_families)
    if recovery is not None:
        options.set_wal_recovery_mode(recovery)
    options.set_paranoid_checks(True)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_db_write_buffer_size(WRITE_BUFFERS_BYTES)
    options.set_max_total_wal_size(WAL_BYTES_MAX)
    options.set_max_open_files(OPEN_FILES_MAX)
    options.set_max_background_jobs(BACKGROUND_JOBS)
    options.set_manifest_preallocation_size(64 << 10)
    options.set_compression_type(DBCompressionType.none())  # Large values arrive compressed, the rest is small.
    options.set_max_log_file_size(LOG_BYTES_MAX)
    options.set_keep_log_file_num(LOG_FILES_KEPT)
    options.enable_statistics()  # What `written_bytes` reads; 0.5 us a write.
    options.set_stats_dump_period_sec(0)
    options.set_stats_persist_period_sec(0)
    table = BlockBasedOptions()
    table.set_block_cache(Cache(BLOCK_CACHE_BYTES))
    options.set_block_based_table_factory(table)
    return options


def compressing_options() -> Options:
    """The same for a keyspace whose values come as they are and look alike: its blocks are compressed."""
    options = engine_options()
    options.set_compression_type(DBCompressionType.lz4())
    return options


class RocksScan:
    """One ascending run over the keys of a prefix. Asks the engine for its status at the end."""

    __slots__ = ("__weakref__", "is_cut", "iterator", "prefix", "store")

    def __init__(self, store: RocksStore, iterator: RdictIter, prefix: bytes) -> None:
        self.store = store
        self.prefix = prefix
        self.iterator: RdictIter | None = iterator
        self.is_cut = False
        iterator.seek(prefix)

    def cut(self) -> None:
        """The engine goes away: end before the end."""
        if self.iterator is not None:
            self.iterator, self.is_cut = None, True

    def __iter__(self) -> RocksScan:
        return self

    def __next__(self) -> tuple[bytes, bytes]:
        iterator = self.iterator
        if iterator is None:
            self.store._open_engine()
            if self.is_cut:
                raise StoreError(f"the store {self.store.url} was opened anew while it was read", hint="read again")
            raise StopIteration
        if iterator.valid():
            key: bytes = iterator.key()
            if key.startswith(self.prefix):
                value: bytes = iterator.value()
                iterator.next()
                return key, value
        # Give the engine's snapshot back as early as possible. An error's traceback must not keep it either:
        # what refers to an iterator keeps the engine from shutting down.
        self.iterator = None
        try:
            iterator.status()
        except Exception as error:
            del iterator
            raise self.store._translate("can't be read", error) from error
        raise StopIteration
