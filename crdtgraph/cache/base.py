"""A cache bounded by bytes: the container that holds values, beside the interface of what decides about them.

The container counts and enforces, a `Policy` chooses. The policy sees keys, sizes and the order of events and nothing
else: no clock (ages are counted in reads), no values, no randomness of its own.

What always holds:

- The values in the cache take at most `bytes_max`, by the sizes that the caller gave, after every call.
- What was put and neither let go nor discarded is returned as it was put.
- A value larger than the whole cache is not taken in, and nothing is let go for it.
- The same calls in the same order leave the same keys, in every process.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from crdtgraph.errors import LocalError

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Policy(Protocol[Key]):
    """Who goes when there is no room. Each `Cache` has one of its own."""

    def on_hit(self, key: Key) -> None:
        """`key` was read and is in the cache."""
        ...

    def on_miss(self, key: Key) -> None:
        """`key` was read and is not in the cache; most often it is put next."""
        ...

    def on_insert(self, key: Key, size_bytes: int) -> None:
        """`key` was put and is in the cache now. The very next thing may be that it is the victim: a bypass."""
        ...

    def victim(self) -> Key:
        """One of the keys in the cache, of which there is at least one: the one to let go first."""
        ...

    def on_remove(self, key: Key, *, evicted: bool) -> None:
        """`key` is not in the cache any more: it was the victim (`evicted`), or somebody discarded it."""
        ...

    def prefetch(self, key: Key) -> Sequence[Key]:
        """What is likely to be read soon, now that `key` was; the best guess first, in the cache or not."""
        ...


@dataclass(slots=True)
class Statistics:
    """What happened so far.

    A read is a hit or a miss; the first read of a prefetched value is both a hit and a prefetch hit. Every insertion is
    of a value that somebody had to load or make. A refusal is a value larger than the whole cache.
    """

    hits: int = 0
    misses: int = 0
    insertions: int = 0
    prefetches: int = 0
    prefetch_hits: int = 0
    evictions: int = 0
    refusals: int = 0

    @property
    def hit_rate(self) -> float:
        """Hits over reads; 0 before the first read."""
        reads = self.hits + self.misses
        return self.hits / reads if reads else 0.0


class Cache(Generic[Key, Value]):
    """Values by key, as many as fit.

    Args:
        bytes_max: how much all values together may take; at least 0, and with 0 nothing is kept.
        policy: chooses who goes. It must be fresh: a policy belongs to one cache.

    Raises:
        LocalError: `bytes_max` is negative.
    """

    __slots__ = ("_bytes", "_held", "_policy", "_prefetched", "bytes_max", "statistics")

    def __init__(self, *, bytes_max: int, policy: Policy[Key]) -> None:
        if bytes_max < 0:
            raise LocalError(f"a cache cannot hold {bytes_max} bytes", hint="bytes_max is 0 or more")
        self.bytes_max = bytes_max
        self.statistics = Statistics()
        self._policy = policy
        self._held: dict[Key, tuple[Value, int]] = {}
        self._prefetched: set[Key] = set()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, key: Key) -> bool:
        """Whether `key` is in the cache; this is no read."""
        return key in self._held

    @property
    def bytes(self) -> int:
        """What the values in the cache take now, by the sizes that were given for them."""
        return self._bytes

    def get(self, key: Key) -> Value | None:
        """Read: the value of `key`, or None if it is not here. A None that was put cannot be told from that."""
        held = self._held.get(key)
        if held is None:
            self.statistics.misses += 1
            self._policy.on_miss(key)
            return None
        self.statistics.hits += 1
        if self._prefetched and key in self._prefetched:
            self._prefetched.discard(key)
            self.statistics.prefetch_hits += 1
        self._policy.on_hit(key)
        return held[0]

    def peek(self, key: Key) -> Value | None:
        """The value of `key`, or None if it is not here, for whoever makes another one from it: this is no read."""
        held = self._held.get(key)
        return None if held is None else held[0]

    def put(self, key: Key, value: Value, size_bytes: int, *, prefetched: bool = False) -> bool:
        """Take a value in, and let others go until all fit.

        Args:
            key: its name. A value that is here under that name already is replaced.
            value: anything but None.
            size_bytes: what it takes, as its maker knows; at least 0.
            prefetched: nobody asked for it yet.

        Returns:
            Whether it is in the cache now. The policy may find it the least worth keeping, and a value larger than
            the cache never is.

        Raises:
            LocalError: the size is negative.
        """
        if size_bytes < 0:
            raise LocalError(f"a value cannot take {size_bytes} bytes", hint="size_bytes is 0 or more")
        if key in self._held:
            self.discard(key)
        if size_bytes > self.bytes_max:
            self.statistics.refusals += 1
            return False
        self.statistics.insertions += 1
        self._held[key] = (value, size_bytes)
        self._bytes += size_bytes
        if prefetched:
            self.statistics.prefetches += 1
            self._prefetched.add(key)
        self._policy.on_insert(key, size_bytes)
        while self._bytes > self.bytes_max:
            self._remove(self._policy.victim(), evicted=True)
            self.statistics.evictions += 1
        return key in self._held

    def discard(self, key: Key) -> None:
        """Let `key` go, if it is here."""
        if key in self._held:
            self._remove(key, evicted=False)

    def prefetch(self, key: Key) -> list[Key]:
        """What the policy would load now that `key` was read, and is not here; the best guess first.

        Loading is the caller's business: when there is time, `put` each with `prefetched=True`.
        """
        return [wanted for wanted in self._policy.prefetch(key) if wanted not in self._held]

    def _remove(self, key: Key, *, evicted: bool) -> None:
        self._bytes -= self._held.pop(key)[1]
        self._prefetched.discard(key)
        self._policy.on_remove(key, evicted=evicted)
