"""A set that only grows and remembers the order in which it grew.

Whoever writes it out in steps needs no copy: its first n items are the same for ever. The order is that of arrival, so
unlike that of a set it does not differ from one process to the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

_Item = TypeVar("_Item")


class GrowingSet(set[_Item]):
    """A set that is changed with `add` and `update` alone; `order` has its items as they came."""

    __slots__ = ("order",)

    def __init__(self, items: Iterable[_Item] = ()) -> None:
        super().__init__()
        self.order: list[_Item] = []
        self.update(items)

    def add(self, item: _Item, /) -> None:
        """Add an item; one that is there keeps its place."""
        if item not in self:
            super().add(item)
            self.order.append(item)

    def update(self, *others: Iterable[_Item]) -> None:
        """Add all of these, in order."""
        for items in others:
            for item in items:
                self.add(item)
