"""Git objects, made in memory and written as packs.

A file for each object would take 2 ms; so they are kept in memory and written together, a pack for every 64 MiB of
them. A pack is on disk before anything points at its objects.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pygit2

from crdtgraph.gitbridge.history import GitOid

PACK_BYTES_MAX = 64 << 20
"""Of objects before compression, in memory and in one pack."""
PACK_OBJECTS_MAX = 200_000

_KINDS = {b"commit": 1, b"tree": 2, b"blob": 3}


class ObjectsInMemory(pygit2.OdbBackend):
    """Git objects in memory, as libgit2 asks for them; `kind` is its number of a type."""

    def __init__(self) -> None:
        super().__init__()
        self.contents: dict[pygit2.Oid, tuple[int, bytes]] = {}
        self.database = pygit2.Odb()
        self.database.add_backend(self, 1)

    def repository(self) -> pygit2.Repository:
        """A repository that has these objects and nothing else."""
        repository = pygit2.Repository()
        repository.set_odb(self.database)
        return repository

    def write_pack(self, folder: Path) -> None:
        """Write all objects to a pack in the `objects` folder of a repository; it is on disk on return."""
        builder = pygit2.PackBuilder(self.repository())
        for oid in self.contents:
            builder.add(oid)
        packs = folder / "pack"
        before = set(packs.iterdir()) if packs.is_dir() else set()
        builder.write(str(packs))
        for path in [*sorted(set(packs.iterdir()) - before), packs]:
            _sync(path)

    def write_cb(self, oid: pygit2.Oid, data: bytes, kind: int) -> None:
        """See libgit2's `git_odb_backend`."""
        self.contents[oid] = (kind, data)

    def read_cb(self, oid: pygit2.Oid) -> tuple[int, bytes]:
        """See libgit2's `git_odb_backend`."""
        return self.contents[oid]

    def read_header_cb(self, oid: pygit2.Oid) -> tuple[int, int]:
        """See libgit2's `git_odb_backend`."""
        kind, data = self.contents[oid]
        return kind, len(data)

    def exists_cb(self, oid: pygit2.Oid) -> bool:
        """See libgit2's `git_odb_backend`."""
        return oid in self.contents

    def refresh_cb(self) -> None:
        """See libgit2's `git_odb_backend`."""


class PackWriter:
    """Writes objects to a repository. What was taken is there once `flush` returns; without it, it is forgotten."""

    def __init__(self, repository: pygit2.Repository) -> None:
        self._folder = Path(repository.path) / "objects"
        self._objects = ObjectsInMemory()
        self._bytes = 0
        self.written = 0
        """Objects, so far."""

    def write(self, kind: bytes, data: bytes) -> GitOid:
        """Take an object of a kind such as `blob`, and give its id; writes a pack if there is enough for one."""
        oid = object_id(kind, data)
        name = pygit2.Oid(raw=oid)
        if name not in self._objects.contents:
            self._objects.contents[name] = (_KINDS[kind], data)
            self._bytes += len(data)
            self.written += 1
            if self._bytes >= PACK_BYTES_MAX or len(self._objects.contents) >= PACK_OBJECTS_MAX:
                self.flush()
        return oid

    def flush(self) -> None:
        """Write what was taken; it is on disk on return."""
        if self._objects.contents:
            self._objects.write_pack(self._folder)
            self._objects = ObjectsInMemory()
            self._bytes = 0


def object_id(kind: bytes, data: bytes) -> GitOid:
    """The id of a git object; nothing is written."""
    return hashlib.sha1(b"%b %d\0%b" % (kind, len(data), data), usedforsecurity=False).digest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
