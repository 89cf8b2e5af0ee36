"""The folder of a store, apart from the engine's own files: who has it open, in which state it was left.

RocksDB recovers well from a crash, but what it finds in a folder can't tell it three things that decide
between "recover", "refuse" and "create". A few small files of our own do:

- `crdtgraph.lock`: held by the one process that writes (see `locking`). Taken before the engine is touched,
  because merely trying to open the engine already rotates its log and rewrites its configuration.
- `crdtgraph.creating`: there from before the engine's first file until the store is complete. Nothing was
  ever acknowledged while it exists, so an interrupted creation may be wiped and done again. Without it
  nothing is wiped.
- `crdtgraph.closed`: written after a clean close, with the size of every file that matters. The next open
  compares. After a clean close nothing may be torn, so a truncated or missing file is damage; after a crash
  the last write may be torn, and only damage in the middle is. (The clean mark of file systems; go-ds-crdt's
  dirty key is the same idea the other way round.) Opening to write renames it to `crdtgraph.opening` first
  and removes that when the engine is open; if the engine refuses, the mark is put back, so that damage stays
  damage however often one tries.
- `crdtgraph.room`: for a moment, to see whether there is room. Nothing depends on it.
- `crdtgraph.written`: the `Traffic` up to the last clean close. Nothing depends on it.

Marks are made durable before the step they guard: a power cut may leave a mark too few, never one too many.
"""

import json
import os
import re
from contextlib import suppress
from enum import Enum
from pathlib import Path

from crdtgraph.errors import NotAStoreError, StoreCorruptError, StoreError, StoreLockedError
from crdtgraph.store.base import CORRUPT_HINT, Traffic
from crdtgraph.store.locking import FAILURE_HINT, WriterLock
from crdtgraph.store.naming import CONTROL_NAME
from crdtgraph.store.naming import STORE_LOCK_NAME as LOCK_NAME

CREATING_NAME = "crdtgraph.creating"
CLOSED_NAME = "crdtgraph.closed"
OPENING_NAME = "crdtgraph.opening"
WRITTEN_NAME = "crdtgraph.written"
ROOM_NAME = "crdtgraph.room"

ROOM_BYTES_MIN = 1 << 20  # For an engine's own files, some 200 kB.
_MARK_BYTES_MAX = 1 << 20  # The mark of 10,000 files; a store has tens.

# What the engine can't do without; each change of size after a clean close is damage.
_VITAL = re.compile(r"CURRENT|MANIFEST-\d+|\d{6,}\.(log|sst|blob)")
# All that the engine makes; what a wipe of an unfinished creation may remove.
_ENGINE = re.compile(
    r"CURRENT|IDENTITY|LOCK|LOG(\.old\.\d+)?|MANIFEST-\d+|OPTIONS-\d+|\d{6,}\.(log|sst|blob|dbtmp)"
    r"|OPTIONS-\d+\.dbtmp|rocksdict-config\.json"
)
# What may lie in a folder without making it anything.
_NEUTRAL = frozenset({CONTROL_NAME, LOCK_NAME, f"{CREATING_NAME}.new", "lost+found"})


class Content(Enum):
    """What a path holds."""

    ABSENT = "nothing"
    EMPTY = "an empty folder"
    UNFINISHED = "a store whose creation was interrupted"
    STORE = "a store"
    HEADLESS = "parts of a store"
    OTHER = "something else"


class StoreDirectory:
    """The folder at `path` (absolute or not; kept absolute). Making this object touches nothing.

    Raises from every method: `StoreError` when the operating system refuses, with its reason.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(os.path.abspath(path))
        self._lock = WriterLock(str(self.path / LOCK_NAME), name=str(self.path), control=str(self.path / CONTROL_NAME))
        self.ours = self._lock.existed
        """Whether there was a lock of ours before this object took one: then the folder is, or was, a
        store."""

    def content(self) -> Content:
        """Look what is there, by the names alone. O(files)."""
        try:
            names = {entry.name for entry in os.scandir(self.path)}
        except FileNotFoundError:
            return Content.ABSENT
        except NotADirectoryError:
            return Content.OTHER
        except OSError as error:
            raise self._failure("can't be read", error) from error
        if CREATING_NAME in names:
            return Content.UNFINISHED
        if "CURRENT" in names:
            return Content.STORE
        if CLOSED_NAME in names or any(_VITAL.fullmatch(name) for name in names):
            return Content.HEADLESS
        return Content.EMPTY if names <= _NEUTRAL else Content.OTHER

    def require_store(self, content: Content) -> None:
        """Raise `NotAStoreError` or `StoreCorruptError` unless `content` is a store."""
        if content is Content.STORE:
            return
        if content is Content.HEADLESS:
            raise StoreCorruptError(f"the store {self.path} is damaged: its file CURRENT is missing", CORRUPT_HINT)
        if content is Content.UNFINISHED:
            raise NotAStoreError(
                f"the creation of the store {self.path} was interrupted; it never held anything",
                hint="create it again, nothing is lost by that",
            )
        if content is Content.OTHER:
            what = "a folder with other things in it" if self.path.is_dir() else "no folder"
            hint = "name a store, or a path that doesn't exist yet"
            if self.path.is_file():
                hint += f"; one that is a file is written sqlite:{self.path}"
            raise NotAStoreError(f"{self.path} is not a store: it is {what}", hint=hint)
        what = "is an empty folder" if content is Content.EMPTY else "doesn't exist"
        raise NotAStoreError(
            f"there is no store at {self.path}: it {what}",
            hint=f"check the path, or create one: crdtgraph init --store {self.path}",
        )

    def make(self) -> None:
        """Make the folder, with the ones above it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            _sync_directory(self.path.parent)
        except OSError as error:
            raise self._failure("can't be made", error) from error

    def lock(self) -> None:
        """Become the only writer; see `WriterLock.take`."""
        self._lock.take()

    def unlock(self, *, forget: bool = False) -> None:
        """Let others write; see `WriterLock.release`."""
        self._lock.release(forget=forget)

    def locked(self) -> StoreLockedError:
        """Return the error that says that somebody has this store open."""
        return self._lock.locked()

    def begin_creation(self) -> None:
        """Mark the folder as unfinished, durably."""
        try:
            self._write_mark(CREATING_NAME, b"")
        except OSError as error:
            raise self._failure("can't be created", error) from error

    def end_creation(self) -> None:
        """Remove the mark of `begin_creation`, durably: from here on nothing may be wiped."""
        try:
            (self.path / CREATING_NAME).unlink(missing_ok=True)
            _sync_directory(self.path)
        except OSError as error:
            raise self._failure("can't be created", error) from error

    def wipe_unfinished(self) -> None:
        """Remove the engine's files of a creation that was interrupted. Refuses without its mark."""
        assert (self.path / CREATING_NAME).exists()
        assert self._lock.is_held
        try:
            for entry in list(os.scandir(self.path)):
                if _ENGINE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)
        except OSError as error:
            raise self._failure("can't be created", error) from error

    def check_closed(self) -> bool:
        """Compare the files with the mark of the last clean close.

        Returns:
            True if there is a mark and everything is as it says, False if there is none (after a crash, or
            while somebody writes).

        Raises:
            StoreCorruptError: a file is missing or has another size.
        """
        mark = self.path / CLOSED_NAME
        try:
            with mark.open("rb") as file:
                text = file.read(_MARK_BYTES_MAX)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._failure("can't be read", error) from error
        try:
            sizes = json.loads(text)
        except ValueError:
            sizes = None
        if not isinstance(sizes, dict):
            raise StoreCorruptError(f"the store {self.path} is damaged: {CLOSED_NAME} isn't readable", CORRUPT_HINT)
        found = self._sizes()
        for name, size in sizes.items():
            if found.get(name) != size:
                state = "is missing" if name not in found else f"has {found[name]} bytes instead of {size}"
                raise StoreCorruptError(
                    f"the store {self.path} is damaged: its file {name} {state}",
                    f"{CORRUPT_HINT}; if another RocksDB tool changed it on purpose, remove {mark}",
                )
        return True

    def vital_files(self) -> set[str]:
        """Return the names of the files that the engine can't do without."""
        return set(self._sizes())

    def require_room(self) -> None:
        """Raise StoreError unless there is room for an engine to start: for its own files, and its log as a table."""
        room = self.path / ROOM_NAME
        needed = ROOM_BYTES_MIN + sum(size for name, size in self._sizes().items() if name.endswith(".log"))
        try:
            try:
                with room.open("wb") as file:
                    os.posix_fallocate(file.fileno(), 0, needed)
                    os.fsync(file.fileno())
            finally:
                room.unlink(missing_ok=True)
        except OSError as error:
            raise self._failure("can't be written", error) from error

    def begin_opening(self) -> None:
        """Set the mark of the last close aside, durably: from here on files may change."""
        try:
            with suppress(FileNotFoundError):
                os.rename(self.path / CLOSED_NAME, self.path / OPENING_NAME)
                _sync_directory(self.path)
        except OSError as error:
            raise self._failure("can't be opened", error) from error

    def end_opening(self, *, succeeded: bool) -> None:
        """Drop the mark that `begin_opening` set aside, or put it back if the engine refused the store."""
        with suppress(OSError):
            if succeeded:
                os.unlink(self.path / OPENING_NAME)
            else:
                os.rename(self.path / OPENING_NAME, self.path / CLOSED_NAME)

    def mark_closed(self) -> None:
        """Note the sizes of all files after a clean close. If that fails the next open is more lenient."""
        with suppress(OSError, StoreError):
            self._write_mark(CLOSED_NAME, json.dumps(self._sizes(), sort_keys=True).encode())

    def traffic(self) -> Traffic:
        """What `note_traffic` noted last; nothing if that was never, or can't be read."""
        with suppress(OSError, ValueError):
            records, disk = json.loads((self.path / WRITTEN_NAME).read_bytes()[:_MARK_BYTES_MAX])
            if isinstance(records, int) and isinstance(disk, int):
                return Traffic(records, disk)
        return Traffic(0, 0)

    def note_traffic(self, traffic: Traffic) -> None:
        """Note what was written so far. If that fails it is forgotten; nothing is lost but a figure."""
        temporary = self.path / f"{WRITTEN_NAME}.new"
        with suppress(OSError):
            temporary.write_text(json.dumps(traffic))
            os.replace(temporary, self.path / WRITTEN_NAME)

    def _sizes(self) -> dict[str, int]:
        """Return the sizes of the files that the engine can't do without."""
        sizes: dict[str, int] = {}
        try:
            for entry in os.scandir(self.path):
                if _VITAL.fullmatch(entry.name):
                    with suppress(FileNotFoundError):  # A writer removes old files while a reader looks.
                        sizes[entry.name] = entry.stat().st_size
        except OSError as error:
            raise self._failure("can't be read", error) from error
        return sizes

    def _write_mark(self, name: str, content: bytes) -> None:
        """Write a mark whole or not at all, durably."""
        temporary = self.path / f"{name}.new"
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.rename(temporary, self.path / name)
            _sync_directory(self.path)
        except OSError:
            with suppress(OSError):
                temporary.unlink()
            raise

    def _failure(self, what: str, error: OSError) -> StoreError:
        return StoreError(f"the store {self.path} {what}: {error.strerror or error}", hint=FAILURE_HINT)


def _sync_directory(path: Path) -> None:
    """Make the names in a folder durable: on POSIX a rename is not until its folder is synced."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
