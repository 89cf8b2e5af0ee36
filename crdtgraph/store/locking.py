"""Who writes to a store on disk: one process, by flock(2) on a file of our own beside the engine's files.

Taken before the engine is touched, because merely trying to open an engine may already change its files. The system
lets go of it when the process ends, however it ends. The file holds the process's id, for errors.
"""

import fcntl
import os
from contextlib import suppress

from crdtgraph.errors import StoreError, StoreLockedError

FAILURE_HINT = "check the disk's free space, the permissions and the limits of the process, then open the store again"
"""What to do when the system refuses: the store itself is sound."""


class WriterLock:
    """The lock in the file `path` of the store called `name`. Making this object touches nothing.

    Args:
        path: the lock's file; its folder must be there when `take` is called.
        name: the store, as errors name it.
        control: where a node on this store has its control socket; errors point to it if it is there.
    """

    def __init__(self, path: str, *, name: str, control: str) -> None:
        self.path = path
        self._name = name
        self._control = control
        self.existed = os.path.exists(path)
        """Whether there was one before: then what lies beside it is, or was, a store."""
        self._descriptor: int | None = None

    @property
    def is_held(self) -> bool:
        """True between `take` and `release`."""
        return self._descriptor is not None

    def take(self) -> None:
        """Become the only writer until `release` or the end of this process.

        Raises:
            StoreLockedError: there is one already, maybe in this very process.
            StoreError: the system refuses.
        """
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._failure(error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise self.locked(owner) from error
        except OSError as error:
            os.close(descriptor)
            raise self._failure(error) from error
        with suppress(OSError):  # The id only makes errors friendlier, and a full disk must not stop us here.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        self._descriptor = descriptor

    def release(self, *, forget: bool = False) -> None:
        """Let others write.

        The lock's file stays, because once it is removed two processes can each lock one of that name; but with
        `forget` it is removed if this object made it, to leave a place that is no store as it was.
        """
        if self._descriptor is None:
            return
        if forget and not self.existed:
            with suppress(OSError):
                os.unlink(self.path)
        os.close(self._descriptor)
        self._descriptor = None

    def locked(self, owner: str = "") -> StoreLockedError:
        """Return the error that says who has this store open; `owner` is a process id, if known."""
        who = "this process" if owner == str(os.getpid()) else f"process {owner}" if owner else "another process"
        hint = "close it there first, or open it read-only"
        if os.path.exists(self._control):
            control = self._control
            hint = (
                f"ask that process (control socket {control}): crdtgraph --node {control}, or open the store read-only"
            )
        return StoreLockedError(f"the store {self._name} is already open in {who}", hint=hint)

    def _failure(self, error: OSError) -> StoreError:
        return StoreError(f"the store {self._name} can't be locked: {error.strerror or error}", hint=FAILURE_HINT)
