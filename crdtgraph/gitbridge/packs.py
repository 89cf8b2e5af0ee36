"""Git objects, written as packs: a file for each object would take 2 ms.

libgit2 has a builder of packs, which looks for what resembles what. That takes four times as long as all else together,
and here it is known: the new version of a file or folder resembles the old one. So an object is written as soon as it
is there, on request as the difference to another one of the same pack, and a pack is put into its place, on disk,
before anything points at its objects. (Formats: https://git-scm.com/docs/gitformat-pack.)
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections import OrderedDict
from itertools import accumulate
from pathlib import Path

import pygit2

from crdtgraph.gitbridge.deltas import delta_of, entry_head, offset_of_base
from crdtgraph.gitbridge.history import GitOid

PACK_BYTES_MAX = 64 << 20
"""After compression; a pack is kept in memory until it is whole."""
PACK_OBJECTS_MAX = 500_000
RECENT_BYTES_MAX = 16 << 20
"""Of contents that others may be written as the difference to."""
BASE_BYTES_MAX = 1 << 20
"""Of one such content."""
CHAIN_MAX = 40
"""Differences to differences; git itself makes 50 of them at most."""
ZLIB_LEVEL = 3

_KINDS = {b"commit": 1, b"tree": 2, b"blob": 3}
_OFFSET_DELTA = 6
_INDEX_MAGIC = b"\xfftOc\0\0\0\x02"


class PackWriter:
    """Writes objects to a repository. What was taken is there once `flush` returns; without it, it is forgotten."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._folder = Path(repository.path) / "objects" / "pack"
        self.written = 0
        """Objects, so far."""
        self._begin()

    def write(self, kind: bytes, data: bytes, base: GitOid | None = None) -> GitOid:
        """Take an object of a kind such as `blob`, and give its id; writes a pack if there is enough for one.

        It is written as the difference to `base`, an object of the same kind, if that is at hand and it pays.
        """
        oid = object_id(kind, data)
        if oid not in self._places:
            self._append(oid, kind, data, base)
            self.written += 1
            if self._size >= PACK_BYTES_MAX or len(self._places) >= PACK_OBJECTS_MAX:
                self.flush()
        return oid

    def flush(self) -> None:
        """Write what was taken; it is on disk on return."""
        if not self._places:
            return
        head = b"PACK\0\0\0\x02" + len(self._places).to_bytes(4, "big")
        checksum = hashlib.sha1(head, usedforsecurity=False)
        for part in self._parts:
            checksum.update(part)
        name = f"pack-{checksum.hexdigest()}"
        self._folder.mkdir(parents=True, exist_ok=True)
        _write(self._folder / f"{name}.pack", [head, *self._parts, checksum.digest()])
        # Git finds a pack by its index, so that one comes last, and at once.
        _write(self._folder / f"{name}.idx", [self._index(checksum.digest())])
        _sync(self._folder)
        self._begin()

    def _begin(self) -> None:
        self._parts: list[bytes] = []
        self._size = 12
        self._places: dict[GitOid, tuple[int, int]] = {}
        self._recent: OrderedDict[GitOid, tuple[bytes, int]] = OrderedDict()
        self._recent_bytes = 0

    def _append(self, oid: GitOid, kind: bytes, data: bytes, base: GitOid | None) -> None:
        at = self._size
        content, depth = self._recent.get(base, (b"", CHAIN_MAX)) if base is not None else (b"", CHAIN_MAX)
        delta = delta_of(content, data) if depth < CHAIN_MAX else data
        if base is not None and len(delta) < len(data) // 2:
            head = entry_head(_OFFSET_DELTA, len(delta)) + offset_of_base(at - self._places[base][0])
            packed = head + zlib.compress(delta, ZLIB_LEVEL)
            depth += 1
        else:
            packed = entry_head(_KINDS[kind], len(data)) + zlib.compress(data, ZLIB_LEVEL)
            depth = 0
        self._places[oid] = (at, zlib.crc32(packed))
        self._parts.append(packed)
        self._size += len(packed)
        if kind != b"commit" and len(data) <= BASE_BYTES_MAX:
            self._recent[oid] = (data, depth)
            self._recent_bytes += len(data)
            while self._recent_bytes > RECENT_BYTES_MAX:
                _, (oldest, _) = self._recent.popitem(last=False)
                self._recent_bytes -= len(oldest)

    def _index(self, checksum: bytes) -> bytes:
        """Version 2: how many ids begin with each byte or a smaller one, the ids, their CRCs, their places."""
        oids = sorted(self._places)
        counts = [0] * 256
        for oid in oids:
            counts[oid[0]] += 1
        places = [self._places[oid] for oid in oids]
        parts = [_INDEX_MAGIC, *(count.to_bytes(4, "big") for count in accumulate(counts)), *oids]
        parts += [crc.to_bytes(4, "big") for _, crc in places]
        parts += [at.to_bytes(4, "big") for at, _ in places]
        body = b"".join([*parts, checksum])
        return body + hashlib.sha1(body, usedforsecurity=False).digest()


def object_id(kind: bytes, data: bytes, _base: GitOid | None = None) -> GitOid:
    """The id of a git object; nothing is written."""
    return hashlib.sha1(b"%b %d\0%b" % (kind, len(data), data), usedforsecurity=False).digest()


def _write(path: Path, parts: list[bytes]) -> None:
    """Write a file that is there as a whole or not at all."""
    unfinished = path.with_name(f"tmp_{path.name}")
    try:
        with unfinished.open("wb") as file:
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        unfinished.chmod(0o444)
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
