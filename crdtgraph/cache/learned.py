"""The policy that knows what a tree search does: it lets go what a small model, trained as it goes, expects last.

The victim is the worst of a fixed number of keys drawn from the cache, and of the one that came last, which thereby may
be turned away at the door. That is within a few per cent of the worst of all (as in Redis) and costs the same however
large the cache is. The draw is from a sequence fixed by a seed, so that equal calls leave equal keys.

The model learns from keys that are read again, also from those that it let go not long ago: it remembers as many keys
without their values as there are values in the cache. Otherwise it would never hear of its mistakes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from crdtgraph.cache.features import Entry, Hints, buckets
from crdtgraph.cache.model import Model

Key = TypeVar("Key", bound=Hashable)

CANDIDATES = 16
"""Keys that are looked at for one victim."""
LESSON_EVERY = 4
"""Hits. A lesson costs ten times what a hit does, and one in four teaches as well."""
LESSONS_PER_MISS = 2
GHOSTS_PER_KEY = 2
GHOSTS_MIN = 64
_MULTIPLIER = 6_364_136_223_846_793_005
_INCREMENT = 1_442_695_040_888_963_407
_MASK = (1 << 64) - 1
"""Knuth's linear congruential generator (MMIX); its upper half is good enough to draw from."""


class LearnedPolicy(Generic[Key]):
    """See `Policy`. A hit is O(1), a victim is O(`CANDIDATES`) whatever the cache holds.

    Args:
        hints: what the search knows; without it the policy goes by ages and counts of reads alone.
        seed: of the draws; any whole number.
    """

    __slots__ = ("_entries", "_ghosts", "_hints", "_keys", "_latest", "_model", "_now", "_random")

    def __init__(self, hints: Hints[Key] | None = None, *, seed: int = 0) -> None:
        self._hints = hints
        self._model = Model()
        self._entries: dict[Key, Entry[Key]] = {}
        self._keys: list[Entry[Key]] = []
        self._ghosts: OrderedDict[Key, None] = OrderedDict()
        self._latest: Entry[Key] | None = None
        self._now = 0
        self._random = seed & _MASK

    @property
    def remembered(self) -> int:
        """Keys that something is known of, in the cache or lately in it."""
        return len(self._entries)

    def on_hit(self, key: Key) -> None:
        """Learn from it now and then, and remember it."""
        now = self._now = self._now + 1
        entry = self._entries[key]
        if now % LESSON_EVERY == 0:
            self._learn(entry, 1)
        entry.read(now, self._hints)

    def on_miss(self, key: Key) -> None:
        """If it was let go lately, that was a mistake to learn from."""
        self._now += 1
        entry = self._entries.get(key)
        if entry is not None:
            self._learn(entry, LESSONS_PER_MISS)

    def on_insert(self, key: Key, size_bytes: int) -> None:
        """Remember it."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(key, self._now)
        else:
            self._ghosts.pop(key, None)
        entry.read(self._now, self._hints)
        entry.place = len(self._keys)
        self._keys.append(entry)
        self._latest = entry

    def victim(self) -> Key:
        """The one of those drawn that is expected last."""
        keys, now, hints, weights = self._keys, self._now, self._hints, self._model.weights
        if len(keys) > CANDIDATES:
            candidates = [self._draw() for _ in range(CANDIDATES)]
            if self._latest is not None:
                candidates.append(self._latest)
        else:
            candidates = keys
        worst, lowest = candidates[0], float("inf")
        for entry in candidates:
            score = sum([weights[bucket] for bucket in buckets(entry, now, hints)])
            if score < lowest:
                worst, lowest = entry, score
        return worst.key

    def on_remove(self, key: Key, *, evicted: bool) -> None:
        """Keep its name for a while if it was let go."""
        entry = self._entries[key]
        last = self._keys.pop()
        if last is not entry:
            last.place = entry.place
            self._keys[entry.place] = last
        entry.place = -1
        if self._latest is entry:
            self._latest = None
        if evicted:
            self._ghosts[key] = None
            if len(self._ghosts) > GHOSTS_PER_KEY * len(self._keys) + GHOSTS_MIN:
                del self._entries[self._ghosts.popitem(last=False)[0]]
        else:
            del self._entries[key]

    def prefetch(self, key: Key) -> Sequence[Key]:
        """The parent, from which the state would be made again, and the child that the search is likely to go to."""
        if self._hints is None:
            return ()
        near = (self._hints.best_child(key), self._hints.parent(key))
        return [other for other in near if other is not None]

    def _learn(self, entry: Entry[Key], lessons: int) -> None:
        now, hints = self._now, self._hints
        if not self._keys or now - entry.read_at < 2:
            return
        sooner = buckets(entry, now, hints)
        for _ in range(lessons):
            other = self._draw()
            if other is not entry:
                self._model.learn(sooner, buckets(other, now, hints))

    def _draw(self) -> Entry[Key]:
        self._random = (self._random * _MULTIPLIER + _INCREMENT) & _MASK
        return self._keys[(self._random >> 32) * len(self._keys) >> 32]
