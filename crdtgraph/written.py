"""Segments of our own between the log and the peers."""

from __future__ import annotations

from typing import NamedTuple

from crdtgraph.ids import SegmentKey
from crdtgraph.update import Update


class Durable(NamedTuple):
    """A segment of our own that may be given to peers now, as the update that adds it."""

    key: SegmentKey
    update: Update


class Unsynced(NamedTuple):
    """A segment of our own that was written and not yet fsynced; `stamp` is its earliest."""

    update: Update
    data: bytes
    stamp: int
