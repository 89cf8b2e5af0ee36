"""Files that a command reads or writes, `-` being standard input and output.

A file that is written appears under its name when it is whole and on disk, and not at all if anything went wrong.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cli.progress import Bar

STANDARD = "-"
LOCK_BYTES_MAX = 32
_LOCK = re.compile(rb"(\d+\n)?")
"""What the lock of a store has in it: the process that wrote last."""


class InputLines:
    """The lines of a file, as bytes; none of them is longer than one byte beyond `line_bytes_max`."""

    def __init__(self, file: IO[bytes], size: int, line_bytes_max: int) -> None:
        self._file = file
        self._size = size
        self._line_bytes_max = line_bytes_max

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self._file.readline(self._line_bytes_max + 1), b"")

    def counted(self, show: Bar) -> Callable[[int], object]:
        """What to call with the bytes of each line, so that a bar shows how far the file was read."""
        read = 0

        def count(line_bytes: int) -> None:
            nonlocal read
            read += line_bytes
            show(read, max(read, self._size))

        return count


@contextmanager
def input_lines(name: str) -> Iterator[InputLines]:
    """Open a file, or standard input, to read it line by line."""
    from crdtgraph.interchange import LINE_BYTES_MAX

    if name == STANDARD:
        yield InputLines(sys.stdin.buffer, 0, LINE_BYTES_MAX)
        return
    with Path(name).open("rb") as file:
        yield InputLines(file, os.fstat(file.fileno()).st_size, LINE_BYTES_MAX)


@contextmanager
def output_text(name: str, *, force: bool) -> Iterator[Callable[[str], object]]:
    """Write text to a file, or to standard output; what is yielded takes it piece by piece.

    Raises LocalError when there is a file of that name already, unless `force` says to replace it.
    """
    if name == STANDARD:
        yield sys.stdout.write
        return
    require_free(name, force=force)
    path = Path(name)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("x", encoding="utf-8", newline="\n") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        put_in_place(str(unfinished), name)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def require_free(name: str, *, force: bool) -> None:
    """Raise LocalError unless a file may be written there: nothing is there, or, with `force`, a file but no store's.

    A store is known by the lock beside it, or in its folder. It is not looked into: this process may have it open.
    """
    from crdtgraph.errors import LocalError

    another = "name another file"
    if not name:
        raise LocalError("'' is no name of a file", hint=another)
    if os.path.isdir(name):
        raise LocalError(f"{name} is a folder", hint=another)
    if not os.path.lexists(name):
        return
    if not force:
        raise LocalError(f"{name} is there already", hint=f"{another}, or give --force to replace it")
    store = _store_with(os.path.realpath(name))
    if store is not None:
        raise LocalError(f"{name} belongs to the store {store}, which --force does not replace", hint=another)


def put_in_place(new: str, name: str) -> None:
    """Give a finished file its name; a power cut does not take that back. Raises OSError."""
    os.replace(new, name)
    descriptor = os.open(os.path.dirname(os.path.abspath(name)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _store_with(path: str) -> str | None:
    """The store that a file is, or is a part of."""
    from crdtgraph.store.naming import FILE_SUFFIXES, LOCK_SUFFIX, STORE_LOCK_NAME

    folder = os.path.dirname(path)
    if os.path.exists(os.path.join(folder, STORE_LOCK_NAME)):
        return folder
    for suffix in ("", *FILE_SUFFIXES):
        store = path.removesuffix(suffix)
        if path.endswith(suffix) and _LOCK.fullmatch(_beginning(store + LOCK_SUFFIX)):
            return store
    return None


def _beginning(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(LOCK_BYTES_MAX)
    except OSError:
        return b"?"
