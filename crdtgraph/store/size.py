"""How much of a disk a store takes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

_SCHEME = "rocksdb:"


def disk_bytes(url: str) -> int | None:
    """The sizes of a store's files in bytes, given the URL of an open store; None if it is on no disk. O(files).

    Files that come and go meanwhile count or not. Raises OSError when the folder cannot be read.
    """
    if not url.startswith(_SCHEME):
        return None
    total = 0
    for entry in os.scandir(Path(url.removeprefix(_SCHEME))):
        with suppress(FileNotFoundError):
            found = entry.stat(follow_symlinks=False)
            total += found.st_size if S_ISREG(found.st_mode) else 0
    return total
