"""Whether to follow the model or LRU, judged by what LRU would have done with the same reads and the same bytes.

No model is right about every search, and where it is wrong it should not do worse than LRU. So an LRU cache is played
beside the real one, by names and sizes alone. It says what LRU would hold at any moment, and the evidence for the model
is the sum of what the two choices would have won over each other, forgotten slowly:

- While the model is followed, every read that hits in one of the two and misses in the other.
- While LRU is followed, every victim is a bet that costs nothing: had the model's choice gone instead, the one that is
  read first of the two decides it. That is known whoever is followed, so that nobody has to be tried to be judged.

It begins with LRU. The model is followed once the evidence for it is more than chance would bring, and until it is
behind. Then LRU's victims go again: first whatever LRU would not hold, so that the two are the same soon after.

The ways to share between experts in LeCaR (Vietri et al. 2018) and to compare with a cache of names (ARC's ghosts,
Megiddo and Modha 2003) are related; both of those blame whom they followed, and so have to follow each now and then.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from math import sqrt
from typing import Generic, TypeVar

from crdtgraph.cache.features import Entry

Key = TypeVar("Key", bound=Hashable)

KEPT = 0.999
"""Of the evidence, each time some comes in: about the last thousand differences count."""
BEYOND_CHANCE = 2
"""Standard deviations of a sum of as many coin tosses."""


class Judge(Generic[Key]):
    """LRU beside, and the evidence. Every call is O(1), over time.

    Args:
        entries: what is known of each key; the one who owns the cache keeps it up to date.
    """

    __slots__ = ("_bytes", "_bytes_max", "_differences", "_entries", "_evidence", "_order", "_outside", "trusts_model")

    def __init__(self, entries: Mapping[Key, Entry[Key]]) -> None:
        self.trusts_model = False
        self._entries = entries
        self._evidence = 0.0
        self._differences = 0.0
        self._order: OrderedDict[Key, int] = OrderedDict()
        self._bytes = 0
        self._bytes_max = 1 << 62
        # In the cache, and LRU would have let them go; the one that it missed first comes first.
        self._outside: OrderedDict[Key, None] = OrderedDict()

    def on_hit(self, entry: Entry[Key]) -> None:
        """It is read and is in the cache."""
        if entry.rival is not None:
            self._settle(entry)
        if entry.key in self._order:
            self._order.move_to_end(entry.key)
            return
        if self.trusts_model:
            self._count(1)
        self.on_insert(entry)

    def on_miss(self, key: Key, entry: Entry[Key] | None) -> None:
        """`key` is read and is not in the cache; `entry` is what is known of it all the same."""
        if entry is not None and entry.rival is not None:
            self._settle(entry)
        if key in self._order:
            self._order.move_to_end(key)
            if self.trusts_model:
                self._count(-1)

    def on_insert(self, entry: Entry[Key]) -> None:
        """It was put into the cache, or LRU has to load it; so LRU has it now."""
        key = entry.key
        self._bytes += entry.size_bytes - self._order.pop(key, 0)
        self._order[key] = entry.size_bytes
        self._outside.pop(key, None)
        self._fit()

    def on_remove(self, key: Key, *, evicted: bool) -> None:
        """It is not in the cache any more; one that was discarded is not in LRU's either."""
        self._outside.pop(key, None)
        if not evicted:
            self._bytes -= self._order.pop(key, 0)

    def choice(self, bytes_held: int) -> Entry[Key]:
        """What goes if LRU is followed, now that so many bytes are in the cache: more than fit."""
        # Nobody says how large the cache is, but less than this; after some victims it is known to a few bytes.
        if bytes_held <= self._bytes_max:
            self._bytes_max = bytes_held - 1
            self._fit()
        return self._entries[next(iter(self._outside))]

    def bet(self, models: Entry[Key], lrus: Entry[Key]) -> None:
        """Let the next read of either decide who was right; one bet a key at a time."""
        if models is not lrus and models.rival is None and lrus.rival is None:
            models.rival, lrus.rival = lrus, models
            models.is_models_choice, lrus.is_models_choice = True, False

    def _settle(self, entry: Entry[Key]) -> None:
        self._count(-1 if entry.is_models_choice else 1)
        call_off(entry)

    def _fit(self) -> None:
        while self._bytes > self._bytes_max:
            key, size_bytes = self._order.popitem(last=False)
            self._bytes -= size_bytes
            entry = self._entries.get(key)
            if entry is not None and entry.is_held:
                self._outside[key] = None

    def _count(self, difference: int) -> None:
        self._evidence = self._evidence * KEPT + difference
        self._differences = self._differences * KEPT + 1
        if self.trusts_model:
            self.trusts_model = self._evidence >= 0
        else:
            self.trusts_model = self._evidence > BEYOND_CHANCE * sqrt(self._differences)


def call_off(entry: Entry[Key]) -> None:
    """End the bet on it, if there is one: it is decided, or one of the two is forgotten."""
    if entry.rival is not None:
        entry.rival.rival = None
        entry.rival = None
