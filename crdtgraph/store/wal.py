"""The write-ahead log of SQLite seen from outside: made durable from any thread, and measured.

Its format (https://www.sqlite.org/fileformat2.html#walformat): a header of 32 bytes, frames of 24 bytes and a page.
Header and frames carry the same salt; when all frames are in the database, the log begins again at its start with
another salt, over what is there. So the frames of now are those with the salt of the header, and all of them lie before
any other: their number is found by bisection.

Syncing this file makes every commit durable that is in it. What is not in it any more was synced to the database before
it was overwritten: `synchronous = NORMAL` means that.
"""

import os

_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


class Wal:
    """The log at `path`, which must be there, of pages of `page_bytes`. Raises OSError, as do the methods."""

    def __init__(self, path: str, page_bytes: int) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._frame_bytes = _FRAME_HEADER_BYTES + page_bytes
        self._salt = b""
        self._frames = 0
        self._bytes = 0
        self.frames()
        self._bytes = 0  # What another process wrote is not ours to count.

    def sync(self) -> None:
        """Return when what is in the log would survive a power cut. Holds no interpreter lock while it waits."""
        os.fdatasync(self._descriptor)

    def frames(self) -> int:
        """How many frames there are now. Must be asked before each checkpoint, or `written` misses some."""
        salt = os.pread(self._descriptor, 8, 16)
        if len(salt) == 8 and salt != self._salt:
            self._salt, self._frames = salt, 0
            self._bytes += _HEADER_BYTES
        known, step = self._frames, 1
        while self._has(known + step):
            known, step = known + step, 2 * step
        missing = known + step
        while missing - known > 1:
            middle = (known + missing) // 2
            if self._has(middle):
                known = middle
            else:
                missing = middle
        self._bytes += (known - self._frames) * self._frame_bytes
        self._frames = known
        return known

    def written(self) -> int:
        """Bytes written to the log since this object was made, up to the last call of `frames`."""
        return self._bytes

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _has(self, number: int) -> bool:
        """Whether there is a frame of this number, from 1 on, of the present salt."""
        place = _HEADER_BYTES + (number - 1) * self._frame_bytes
        return len(self._salt) == 8 and os.pread(self._descriptor, 8, place + 8) == self._salt


def written_by_thread() -> int | None:
    """Bytes that this thread has handed to the system so far; None where the system doesn't tell."""
    try:
        with open("/proc/thread-self/io", "rb") as file:
            fields = dict(line.split(b": ") for line in file.read().splitlines())
        return int(fields[b"wchar"])
    except (OSError, KeyError, ValueError):
        return None
