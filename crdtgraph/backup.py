"""A whole replica in one file, and back.

    backup = magic, header, entries, end
    header = length (4 bytes), JSON: format of the store, its keyspaces, cluster and replica
    entry  = number of the keyspace (1 byte), lengths of key and value (4 each), key, value
    end    = 255, number of entries (8 bytes), SHA-256 of everything before

Numbers are big-endian. The end says that there is no more to come, so half a backup is known as one; nothing is written
anywhere before a file was read to its end and its SHA-256 is right. The secret key of the replica is among the entries:
whoever has the file can speak in its name.

*A restored replica must not be taken for the one that was backed up*, which may still be running, or may have said more
after the backup than it holds. Two things would be shared by both. The **writer**, under which segments are numbered,
never is: each opening derives a new one from fresh random bytes, so a store that was set back, or copied, cannot use a
number twice (two segments of one number are how replicas differ for ever). The **key**, by which peers know a replica,
is in the store: so restoring makes a new one, and what the old replica said remains as that of another, valid as ever.
Only `replace` keeps the key: for a machine that lost its disk and whose old store will never be opened again.

What was acknowledged after the backup was taken is not in it. It comes back from the peers that have it, as to any
replica that was away; without any peer it is gone.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from crdtgraph.errors import CorruptError, StoreVersionError
from crdtgraph.host import SYSTEM, Host
from crdtgraph.signing import SEED_BYTES, Identity
from crdtgraph.store import FORMAT, Keyspace, Store
from crdtgraph.store.base import CLUSTER_KEY, SEED_KEY
from crdtgraph.store.copying import (
    Entry,
    Progress,
    Sum,
    Summing,
    building,
    entries,
    fill,
    frame,
    require_vacant,
    verify,
)

MAGIC = b"crdtgraph backup 1\n"
HEADER_BYTES_MAX = 1 << 16
KEY_BYTES_MAX = 1 << 16
CHUNK_BYTES = 1 << 20
END = 255

_LENGTH = struct.Struct(">I")
_ENTRY = struct.Struct(">II")
_COUNT = struct.Struct(">Q")
_ANOTHER = "take another backup; this file cannot be used"


class BackupError(CorruptError):
    """A file is no backup, or only a part of one, or damaged. Nothing was restored from it."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a backup says of itself: the replica (hex of its id), its cluster, and the store's format."""

    format: int
    keyspaces: tuple[str, ...]
    cluster: str
    replica: str


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of a backup: how much it was, and which replica it is now (hex of its id)."""

    header: Header
    sum: Sum
    replica: str


def write_backup(store: Store, file: BinaryIO, progress: Progress | None = None) -> tuple[Header, Sum]:
    """Write all that is in a store; what its sum is.

    The store has to be one that nobody changes: opened to read only, it shows one moment also while others write.

    Raises CorruptError when there is no replica in it, StoreError, OSError.
    """
    header = Header(FORMAT, tuple(Keyspace), _cluster(store), replica_of(store))
    hashed = hashlib.sha256()

    def put(data: bytes) -> None:
        hashed.update(data)
        file.write(data)

    put(MAGIC)
    text = json.dumps(
        {"format": header.format, "keyspaces": header.keyspaces, "cluster": header.cluster, "replica": header.replica}
    ).encode()
    put(_LENGTH.pack(len(text)) + text)
    summing = Summing(entries(store), progress)
    for keyspace, key, value in summing:
        put(frame(keyspace, key, value) + key)
        put(value)
    put(bytes([END]) + _COUNT.pack(summing.sum().entries))
    file.write(hashed.digest())
    return header, summing.sum()


def check_backup(file: BinaryIO, progress: Progress | None = None) -> tuple[Header, Sum]:
    """Read a backup from its beginning to its end; what it holds.

    Raises BackupError, StoreVersionError when newer code wrote it, OSError. About 1 ms a megabyte.
    """
    file.seek(0)
    reading = _Reading(file)
    summing = Summing(reading.entries(), progress)
    for _ in summing:
        pass
    return reading.header, summing.sum()


def restore(
    file: BinaryIO, url: str, *, replace: bool = False, host: Host = SYSTEM, progress: Progress | None = None
) -> Restored:
    """Make a store of a backup. The file is read twice: nothing is written before all of it is known to be right.

    Args:
        file: the backup, seekable.
        url: where there is no store yet. Nothing is there unless this returns.
        replace: keep the key of the replica that was backed up. Its own store must never be opened again.
        host: where the new key comes from.
        progress: called with bytes of keys and values, up to three times those in the backup.

    Raises BackupError, StoreVersionError, LocalError when the place is taken, StoreError, OSError.
    """
    require_vacant(url)
    header, expected = check_backup(file, progress)
    seed = None if replace else host.random_bytes(SEED_BYTES)
    with building(url) as store:
        file.seek(0)
        done = expected.size
        again = Summing(_Reading(file).entries(), _beyond(progress, done))
        written = Summing(_with_seed(again, seed))
        fill(store, written)
        if again.sum() != expected:
            raise BackupError("the backup changed while it was read", hint="nothing was restored; try again")
        verify(store, written.sum(), _beyond(progress, 2 * done))
        replica = replica_of(store)
    return Restored(header, expected, replica)


def replica_of(store: Store) -> str:
    """The id of the replica in a store, in hex; CorruptError if there is none."""
    seed = store.get(Keyspace.META, SEED_KEY)
    if seed is None or len(seed) != SEED_BYTES:
        raise CorruptError(f"{store.url} has no replica in it", hint="it was never finished; there is nothing to copy")
    return Identity(seed, bytes(16)).replica_id.hex()


def _cluster(store: Store) -> str:
    return (store.get(Keyspace.META, CLUSTER_KEY) or b"").decode(errors="replace")


def _with_seed(source: Summing, seed: bytes | None) -> Iterator[Entry]:
    for keyspace, key, value in source:
        is_seed = keyspace is Keyspace.META and key == SEED_KEY
        yield keyspace, key, seed if is_seed and seed is not None else value


def _beyond(progress: Progress | None, done: int) -> Progress | None:
    return None if progress is None else lambda more: progress(done + more)


class _Reading:
    """One pass over a backup. Lengths are checked against what is left before anything is allocated."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()
        self._left = os.fstat(file.fileno()).st_size
        if self._take(len(MAGIC), "its first line") != MAGIC:
            raise BackupError("this is no backup of crdtgraph", hint="`crdtgraph store backup FILE` writes one")
        self.header = self._read_header()
        self._keyspaces = [Keyspace(name) for name in self.header.keyspaces]

    def entries(self) -> Iterator[Entry]:
        """All entries; BackupError unless the file ends as it should."""
        count = 0
        while (number := self._take(1, f"entry {count + 1}")[0]) != END:
            where = f"entry {count + 1}"
            if number >= len(self._keyspaces):
                raise BackupError(f"the backup is damaged: {where} is of keyspace {number}", hint=_ANOTHER)
            key_bytes, value_bytes = _ENTRY.unpack(self._take(_ENTRY.size, where))
            if key_bytes > KEY_BYTES_MAX:
                raise BackupError(f"the backup is damaged: {where} has a key of {key_bytes} bytes", hint=_ANOTHER)
            yield self._keyspaces[number], self._take(key_bytes, where), self._take(value_bytes, where)
            count += 1
        (expected,) = _COUNT.unpack(self._take(_COUNT.size, "its end"))
        digest = self._hash.digest()
        if self._take(len(digest), "its end") != digest or expected != count:
            raise BackupError("the backup is damaged: its SHA-256 is another one", hint=_ANOTHER)
        if self._left:
            raise BackupError(f"the backup is damaged: {self._left} bytes follow its end", hint=_ANOTHER)

    def _read_header(self) -> Header:
        (length,) = _LENGTH.unpack(self._take(_LENGTH.size, "its header"))
        if length > HEADER_BYTES_MAX:
            raise BackupError(f"the backup is damaged: its header has {length} bytes", hint=_ANOTHER)
        try:
            found = json.loads(self._take(length, "its header"))
            header = Header(
                int(found["format"]),
                tuple(map(str, found["keyspaces"])),
                str(found["cluster"]),
                str(found["replica"]),
            )
        except (ValueError, TypeError, KeyError) as error:
            raise BackupError("the backup is damaged: its header cannot be read", hint=_ANOTHER) from error
        if header.format > FORMAT or not set(header.keyspaces) <= set(Keyspace):
            raise StoreVersionError(
                f"the backup is of a store of format {header.format}, this version reads up to {FORMAT}",
                hint="restore it with the newer version of crdtgraph that wrote it, or upgrade this one",
            )
        return header

    def _take(self, length: int, where: str) -> bytes:
        data = self._file.read(length) if length <= self._left else b""
        if len(data) < length:
            raise BackupError(
                f"this is a part of a backup only: it ends in the middle of {where}",
                hint="copy the whole file, or take another backup; nothing was restored",
            )
        self._left -= length
        self._hash.update(data)
        return data
