"""Files that a command reads or writes, `-` being standard input and output.

A file that is written appears under its name when it is whole and on disk, and not at all if anything went wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from cli.progress import Bar

STANDARD = "-"


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
    from crdtgraph.errors import LocalError

    path = Path(name)
    if path.is_dir() or (path.exists() and not force):
        what = "is a folder" if path.is_dir() else "is there already"
        raise LocalError(f"{name} {what}", hint="name another file" + ("" if path.is_dir() else ", or give --force"))
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("x", encoding="utf-8", newline="\n") as file:
            yield file.write
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
