"""Segments of our own on their way from the log to the peers: written, on disk, in the document, announced.

Peers are served from the document, and it has nothing that a crash here could take back. Whoever waits for the disk
waits for no more than that: what was synced in the middle of a `CRITICAL` write enters the document when somebody next
looks at it, and is announced by whoever tells peers, a moment later (`announce`). Nobody can see the difference, and
the call is some 60 us shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from crdtgraph.document import Document
from crdtgraph.ids import SegmentKey
from crdtgraph.update import Update

ANNOUNCED_LATER_MAX = 64
"""So many segments wait to be announced at most; then the call that adds one more announces them all."""


class Durable(NamedTuple):
    """A segment of our own that may be given to peers now, as the update that adds it."""

    key: SegmentKey
    update: Update


class Unsynced(NamedTuple):
    """A segment of our own that was written and not yet fsynced; `stamp` is its earliest."""

    update: Update
    data: bytes
    stamp: int


def _announce_at_once() -> bool:
    return False


class Outgoing:
    """The segments of one plane that are on their way. `document` is what they end in."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._unsynced: dict[SegmentKey, Unsynced] = {}
        self._synced: list[Durable] = []
        self._entered: list[Durable] = []
        self.on_durable: Callable[[Durable], object] = list
        self.on_later: Callable[[], bool] = _announce_at_once
        """Asked whether somebody will call `announce` soon."""

    def document(self) -> Document:
        """The document, with all in it that is on disk."""
        if self._synced:
            synced, self._synced = self._synced, []
            for durable in synced:
                self._document.apply(durable.update)
            self._entered += synced
        return self._document

    def add(self, key: SegmentKey, written: Unsynced) -> None:
        """A segment was written."""
        self._unsynced[key] = written

    @property
    def unsynced(self) -> Mapping[SegmentKey, Unsynced]:
        """What was written and is not known to be on disk, in the order of writing."""
        return self._unsynced

    def settle(self, keys: Iterable[SegmentKey]) -> None:
        """These segments are on disk; others are ignored."""
        for key in keys:
            held = self._unsynced.pop(key, None)
            if held is not None:
                self._synced.append(Durable(key, held.update))

    def announce(self) -> None:
        """Tell of everything on disk that was not told of yet, in the order of writing."""
        self.document()
        entered, self._entered = self._entered, []
        for durable in entered:
            self.on_durable(durable)

    def announce_later(self) -> None:
        """Leave that to whoever calls `announce` soon, if somebody does."""
        if len(self._synced) + len(self._entered) >= ANNOUNCED_LATER_MAX or not self.on_later():
            self.announce()
