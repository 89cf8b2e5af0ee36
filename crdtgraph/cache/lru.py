"""Least recently used: what was not read for the longest time goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class LruPolicy(Generic[Key]):
    """See `Policy`. Every call is O(1)."""

    __slots__ = ("_order",)

    def __init__(self) -> None:
        self._order: OrderedDict[Key, None] = OrderedDict()

    def on_hit(self, key: Key) -> None:
        """Now it is the latest."""
        self._order.move_to_end(key)

    def on_miss(self, key: Key) -> None:
        """Nothing is known of what is not here."""

    def on_insert(self, key: Key, size_bytes: int) -> None:
        """The latest."""
        self._order[key] = None

    def victim(self) -> Key:
        """The one read longest ago."""
        return next(iter(self._order))

    def on_remove(self, key: Key, *, evicted: bool) -> None:
        """Forget it."""
        del self._order[key]

    def prefetch(self, key: Key) -> Sequence[Key]:
        """No guesses."""
        return ()
