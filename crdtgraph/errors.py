"""The errors of crdtgraph: what went wrong, with the value, and what to do about it.

Every exception that the library raises on purpose derives from `CrdtGraphError`, so a program can catch one
class. The tree splits by *whose* fault it is, an idea taken from h11 (https://h11.readthedocs.io,
`LocalProtocolError` and `RemoteProtocolError`): a `LocalError` is the caller's misuse, a `RemoteError` is the
peer's bytes, a `StoreError` is the disk below. Bytes from a peer raise nothing but `RemoteError`; anything
else is a bug of this library.

    CrdtGraphError
    |- LocalError           the caller's misuse
    |  |- NotFoundError     a name, an id or a path that is not there
    |  `- AmbiguousError    a prefix that several things share
    |- RemoteError          a peer sent something invalid
    |- UnreachableError     a peer or a node did not answer
    |- CorruptError         stored data is not what was written
    `- StoreError           the store failed
       |- StoreLockedError  another process has it open
       |- StoreCorruptError it is damaged (also a CorruptError)
       |- StoreVersionError a newer version of this software wrote it
       `- NotAStoreError    there is no store at that path (also a NotFoundError)

Subclasses that only one module raises live beside the code that raises them.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

__all__ = [
    "AmbiguousError",
    "CorruptError",
    "CrdtGraphError",
    "LocalError",
    "NotAStoreError",
    "NotFoundError",
    "RemoteError",
    "StoreCorruptError",
    "StoreError",
    "StoreLockedError",
    "StoreVersionError",
    "UnreachableError",
    "first_few",
]

SHOWN = 10
"""Of many things, in a message."""

_Item = TypeVar("_Item")


class CrdtGraphError(Exception):
    """The root of all errors of this library.

    Args:
        message: what was wrong, with the offending value; one line, no full stop needed.
        hint: what the reader can do about it, or "" if there is nothing. The CLI prints it on a line of its
            own.

    `str(error)` is the message alone; `hint` is an attribute, so that a program may show it or leave it.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        # Both go into `args`, so that an error survives pickling and copying with its hint.
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class LocalError(CrdtGraphError):
    """The caller asked for something that cannot be: a bad argument, a missing parent, use after close."""


class NotFoundError(LocalError):
    """A ref, a commit id, a prefix or a path names nothing."""


class AmbiguousError(LocalError):
    """A prefix names several things; the hint lists the candidates."""


class RemoteError(CrdtGraphError):
    """A peer sent bytes that are invalid. Nothing that came with them was applied."""


class UnreachableError(CrdtGraphError):
    """A peer or a node's control socket could not be reached, or went away before it answered."""


class CorruptError(CrdtGraphError):
    """Stored data is not what was once written: a checksum, a signature or a structure is wrong."""


class StoreError(CrdtGraphError):
    """The store could not do what was asked: a full disk, missing permissions, an input/output error."""


class StoreLockedError(StoreError):
    """Another process (or another object in this one) has the store open for writing."""


class StoreCorruptError(StoreError, CorruptError):
    """The store's files are damaged or missing. It was left as it is: nothing was repaired or recreated."""


class StoreVersionError(StoreError):
    """The store was written in a format newer than this version of the software can read."""


class NotAStoreError(StoreError, NotFoundError):
    """The path holds no store: it is absent, a file, or a directory with something else in it."""


def first_few(items: Sequence[_Item], show: Callable[[_Item], str] = str, most: int = SHOWN) -> str:
    """Some things in a message: the first of them, and dots if there are more."""
    return ", ".join(map(show, items[:most])) + (", ..." if len(items) > most else "")
