"""The policy that knows what a tree search does: it lets go what a small model, trained as it goes, expects last.

The victim is one of a fixed number of keys drawn from the cache, or the one that came last, which thereby may be turned
away at the door. That comes close to the worst of all (as in Redis) and costs the same however large the cache is. The
draws are from a sequence fixed by a seed, so that equal calls leave equal keys. `model` says which of those drawn is
expected last, `trust` whether to follow it or to let the oldest of them go.

It learns from keys that are read again, also from those that it let go not long ago: it remembers the names of twice as
many of these as there are values in the cache. Otherwise it would never hear of its mistakes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from crdtgraph.cache.features import Entry, Hints, buckets
from crdtgraph.cache.model import Model
from crdtgraph.cache.trust import Adviser, Trust

Key = TypeVar("Key", bound=Hashable)

CANDIDATES = 16
"""Keys that are looked at for one victim."""
LESSON_EVERY = 4
"""Hits. A lesson takes ten times as long as a hit, so that most hits give none."""
LESSONS = 3
"""Keys that one which was read again is compared with. The first costs the most."""
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

    __slots__ = ("_entries", "_ghosts", "_held", "_hints", "_latest", "_model", "_now", "_random", "_trust")

    def __init__(self, hints: Hints[Key] | None = None, *, seed: int = 0) -> None:
        self._hints = hints
        self._model = Model()
        self._trust = Trust()
        self._entries: dict[Key, Entry[Key]] = {}
        self._held: list[Entry[Key]] = []
        self._ghosts: list[Entry[Key]] = []
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
            self._learn(entry)
        entry.read(now, self._hints)

    def on_miss(self, key: Key) -> None:
        """If it was let go lately, that was a mistake to learn from."""
        self._now += 1
        entry = self._entries.get(key)
        if entry is not None:
            self._learn(entry)
            self._trust.regret(entry.let_go_by, (self._now - entry.let_go_at) / (len(self._held) + 1))
            entry.let_go_by = Adviser.BOTH

    def on_insert(self, key: Key, size_bytes: int) -> None:
        """Remember it."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = Entry(key, self._now)
        else:
            _take_out(self._ghosts, entry)
        entry.read(self._now, self._hints)
        _append(self._held, entry)
        self._latest = entry

    def victim(self) -> Key:
        """Of those drawn, the one that is expected last or the oldest."""
        held, now, hints, weights = self._held, self._now, self._hints, self._model.weights
        candidates = held
        if len(held) > CANDIDATES:
            candidates = [held[self._draw(len(held))] for _ in range(CANDIDATES)]
            if self._latest is not None:
                candidates.append(self._latest)
        last = oldest = candidates[0]
        lowest = float("inf")
        for entry in candidates:
            score = sum([weights[bucket] for bucket in buckets(entry, now, hints)])
            if score < lowest:
                last, lowest = entry, score
            if entry.read_at < oldest.read_at:
                oldest = entry
        by = Adviser.BOTH
        if last is not oldest:
            by = Adviser.MODEL if self._draw(1 << 20) < self._trust.in_model * (1 << 20) else Adviser.AGE
        chosen = oldest if by is Adviser.AGE else last
        chosen.let_go_by = by
        chosen.let_go_at = now
        return chosen.key

    def on_remove(self, key: Key, *, evicted: bool) -> None:
        """Keep its name for a while if it was let go."""
        entry = self._entries[key]
        _take_out(self._held, entry)
        if self._latest is entry:
            self._latest = None
        if not evicted:
            del self._entries[key]
            return
        _append(self._ghosts, entry)
        if len(self._ghosts) > GHOSTS_PER_KEY * len(self._held) + GHOSTS_MIN:
            forgotten = self._ghosts[self._draw(len(self._ghosts))]
            _take_out(self._ghosts, forgotten)
            del self._entries[forgotten.key]

    def prefetch(self, key: Key) -> Sequence[Key]:
        """The child that the search is likely to go to, and the parent, from which the state would be made again."""
        if self._hints is None:
            return ()
        near = (self._hints.best_child(key), self._hints.parent(key))
        return [other for other in near if other is not None]

    def _learn(self, entry: Entry[Key]) -> None:
        now, hints = self._now, self._hints
        if now - entry.read_at < 2:
            return
        held, ghosts = self._held, self._ghosts
        sooner = buckets(entry, now, hints)
        for _ in range(LESSONS):
            place = self._draw(len(held) + len(ghosts))
            other = held[place] if place < len(held) else ghosts[place - len(held)]
            if other is not entry:
                self._model.learn(sooner, buckets(other, now, hints))

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
