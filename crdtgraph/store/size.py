"""How much of a disk a store takes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from stat import S_ISREG

from crdtgraph.store.naming import SHM_SUFFIX, SQLITE, WAL_SUFFIX, path_of, split_url

_BESIDE = ("", WAL_SUFFIX, SHM_SUFFIX)


def disk_bytes(url: str) -> int | None:
    """The sizes of a store's files in bytes, given the URL of an open store; None if it is on no disk. O(files).

    Files that come and go meanwhile count or not. Raises OSError when the folder, or the file of the store, cannot be
    read.
    """
    path = path_of(url)
    if path is None:
        return None
    total = 0
    for each in _files(url, path):
        with suppress(FileNotFoundError):
            found = os.stat(each, follow_symlinks=False)
            total += found.st_size if S_ISREG(found.st_mode) else 0
    return total


def _files(url: str, path: str) -> Iterator[str]:
    if split_url(url)[0] == SQLITE:
        os.stat(path)
        yield from (path + suffix for suffix in _BESIDE)
    else:
        with os.scandir(path) as entries:
            yield from (entry.path for entry in entries)
