"""The policy that knows what a tree search does: it lets go what a small model, trained as it goes, expects last.

The victim is one of a fixed number of keys drawn from the cache, or the one that came last, which thereby may be turned
away at the door. That comes close to the worst of all (as in Redis) and costs the same however large the cache is. The
draws are from a sequence fixed by a seed, so that equal calls leave equal keys. `model` says which of those drawn is
expected last, `judge` whether to follow it or LRU. A state that takes twice the bytes has to be expected twice as soon.

It learns from keys that are read again, also from those that it let go not long ago: it remembers the names of twice as
many of these as there are values in the cache. Otherwise it would never hear of its mistakes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from math import log
from typing import Generic, TypeVar

from crdtgraph.cache.features import Entry, Hints, buckets
from crdtgraph.cache.judge import Judge, call_off
from crdtgraph.cache.model import Model

Key = TypeVar("Key", bound=Hashable)

CANDIDATES = 12
"""Keys that are looked at for one victim."""
LESSON_EVERY = 3
"""Hits. A lesson takes some times as long as a hit."""
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
        model: one that has learned nothing yet, if not the usual one.
    """

    __slots__ = ("_bytes", "_entries", "_ghosts", "_held", "_hints", "_judge", "_latest", "_model", "_now", "_random")

    def __init__(self, hints: Hints[Key] | None = None, *, seed: int = 0, model: Model | None = None) -> None:
        self._hints = hints
        self._model = Model() if model is None else model
        self._entries: dict[Key, Entry[Key]] = {}
        self._judge = Judge(self._entries)
        self._bytes = 0
        self._held: list[Entry[Key]] = []
        self._ghosts: list[Entry[Key]] = []
        self._latest: Entry[Key] | None = None
        self._now = 0
        self._random = seed & _MASK

    @property
    def remembered(self) -> int:
        """Keys that something is known of, in the cache or lately in it."""
        return len(self._entries)

    @property
    def follows_model(self) -> bool:
        """Whether the model names the victims now, and not LRU."""
        return self._judge.trusts_model

    def on_hit(self, key: Key) -> None:
        """Learn from it now and then, and remember it."""
        now = self._now = self._now + 1
        entry = self._entries[key]
        self._judge.on_hit(entry)
        if now % LESSON_EVERY == 0:
            self._learn(entry)
        entry.read(now, self._hints)

    def on_miss(self, key: Key) -> None:
        """If it was let go lately, that was a mistake to learn from."""
        self._now += 1
        entry = self._entries.get(key)
        self._judge.on_miss(key, entry)
        if entry is not None:
            self._learn(entry)

    def on_insert(self, key: Key, size_bytes: int) -> None:
        """Remember it."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(key, self._now)
        else:
            _take_out(self._ghosts, entry)
        if entry.size_bytes != size_bytes:
            entry.size_bytes, entry.log_size = size_bytes, log(size_bytes + 1)
        entry.is_held = True
        entry.read(self._now, self._hints)
        _append(self._held, entry)
        self._bytes += size_bytes
        self._latest = entry
        self._judge.on_insert(entry)

    def victim(self) -> Key:
        """Of those drawn the one that is expected last, or LRU's."""
        held, now, hints = self._held, self._now, self._hints
        lrus = self._judge.choice(self._bytes)
        candidates = held
        if len(held) > CANDIDATES:
            candidates = [held[self._draw(len(held))] for _ in range(CANDIDATES)]
            candidates.append(lrus)
            if self._latest is not None:
                candidates.append(self._latest)
        scores = self._model.scores([buckets(entry, now, hints) for entry in candidates])
        last, lowest = lrus, float("inf")
        for entry, score in zip(candidates, scores, strict=True):
            if score - entry.log_size < lowest:
                last, lowest = entry, score - entry.log_size
        if self._judge.trusts_model:
            return last.key
        self._judge.bet(last, lrus)
        return lrus.key

    def on_remove(self, key: Key, *, evicted: bool) -> None:
        """Keep its name for a while if it was let go."""
        entry = self._entries[key]
        self._judge.on_remove(key, evicted=evicted)
        _take_out(self._held, entry)
        entry.is_held = False
        self._bytes -= entry.size_bytes
        if self._latest is entry:
            self._latest = None
        if not evicted:
            self._forget(entry)
            return
        _append(self._ghosts, entry)
        if len(self._ghosts) > GHOSTS_PER_KEY * len(self._held) + GHOSTS_MIN:
            forgotten = self._ghosts[self._draw(len(self._ghosts))]
            _take_out(self._ghosts, forgotten)
            self._forget(forgotten)

    def prefetch(self, key: Key) -> Sequence[Key]:
        """The child that the search is likely to go to, and the parent, from which the state would be made again."""
        if self._hints is None:
            return ()
        near = (self._hints.best_child(key), self._hints.parent(key))
        return [other for other in near if other is not None]

    def _forget(self, entry: Entry[Key]) -> None:
        call_off(entry)
        del self._entries[entry.key]

    def _learn(self, entry: Entry[Key]) -> None:
        now, hints = self._now, self._hints
        if now - entry.read_at < 2:
            return
        held, ghosts = self._held, self._ghosts
        place = self._draw(len(held) + len(ghosts))
        other = held[place] if place < len(held) else ghosts[place - len(held)]
        if other is not entry:
            self._model.learn(buckets(entry, now, hints), buckets(other, now, hints))

    def _draw(self, below: int) -> int:
        self._random = (self._random * _MULTIPLIER + _INCREMENT) & _MASK
        return (self._random >> 32) * below >> 32


def _append(entries: list[Entry[Key]], entry: Entry[Key]) -> None:
    entry.place = len(entries)
    entries.append(entry)


def _take_out(entries: list[Entry[Key]], entry: Entry[Key]) -> None:
    # The last one moves into the gap: nobody needs the order.
    last = entries.pop()
    if last is not entry:
        last.place = entry.place
        entries[entry.place] = last
