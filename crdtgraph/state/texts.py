"""Texts merged line by line, by libgit2 (`git merge-file`): a three-way merge over Myers' difference algorithm.

What is merged are blobs in memory, of a repository that is nowhere on disk and has no configuration. The result
depends on the texts alone, and a clean one does not depend on which side is which. Texts are UTF-8 without NUL; lines
end with a newline, which the last may lack.
"""

from __future__ import annotations

import pygit2
from pygit2.enums import FileMode, ObjectType


class _Blobs(pygit2.OdbBackend):
    """Blobs by their ids, in memory. The names of the methods are those that pygit2 calls."""

    def __init__(self) -> None:
        super().__init__()
        self._contents: dict[pygit2.Oid, bytes] = {}

    def entry(self, text: bytes) -> pygit2.IndexEntry:
        """An entry of an index for a text, which is kept."""
        oid = pygit2.hash(text)
        self._contents[oid] = text
        return pygit2.IndexEntry("text", oid, FileMode.BLOB)

    def read_cb(self, oid: pygit2.Oid) -> tuple[int, bytes]:
        return ObjectType.BLOB, self._contents[oid]

    def read_header_cb(self, oid: pygit2.Oid) -> tuple[int, int]:
        return ObjectType.BLOB, len(self._contents[oid])

    def exists_cb(self, oid: pygit2.Oid) -> bool:
        return oid in self._contents


def merge_texts(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """The merged text, or None when it is none or both sides changed the same lines. O(texts * changes)."""
    if not all(_is_text(each) for each in (base, ours, theirs)):
        return None
    blobs = _Blobs()
    objects = pygit2.Odb()
    objects.add_backend(blobs, 1)
    repository = pygit2.Repository()
    repository.set_odb(objects)
    try:
        merged = repository.merge_file_from_index(blobs.entry(base), blobs.entry(ours), blobs.entry(theirs))
    except RuntimeError:
        # How pygit2 says that the result is empty; one with a conflict has its marks in it.
        return b""
    return merged.contents.encode() if merged.automergeable else None


def _is_text(value: bytes) -> bool:
    # libgit2 hands the result out as a string that ends with the first NUL.
    if b"\0" in value:
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
