"""Temporary folders, for control sockets, that do not stay when their process is killed.

Each holds a file that its process has locked (flock(2)) for as long as it lives: the system lets go of the lock,
however the process ends. Whoever makes a folder first removes those of this user that nobody holds any more. That a
process number is used again makes no difference, and what others named alike is left alone: it has no such file.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "crdtgraph-run-"
LOCK_NAME = ".crdtgraph-lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder for this process alone, which is removed at the end of the block, or by a later process."""
    remove_abandoned()
    folder, lock = _made()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def remove_abandoned() -> None:
    """Remove folders of this user whose process is gone. O(what is in the folder for temporary files)."""
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX):
                with suppress(OSError):
                    _remove_if_abandoned(Path(entry.path))


def _made() -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        try:
            lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # Another process took the folder, which was empty still, for an abandoned one.
        with suppress(OSError):  # Where nothing can be locked nobody finds the folder abandoned either.
            # Waits for another process that was between these two steps, and then has removed the folder.
            fcntl.flock(lock, fcntl.LOCK_EX)
        if _is_file(folder / LOCK_NAME, lock):
            return folder, lock
        os.close(lock)


def _remove_if_abandoned(folder: Path) -> None:
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return
    try:
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        folder.rmdir()  # Killed before it came to the lock. One that holds anything is not of ours.
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_file(folder / LOCK_NAME, lock):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _is_file(path: Path, descriptor: int) -> bool:
    """Whether a path is still that of an open file."""
    try:
        found, held = os.stat(path, follow_symlinks=False), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)
