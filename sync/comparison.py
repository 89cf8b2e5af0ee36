"""The fall-back of reconciliation: two sets of segments compared key by key.

A diff between documents brings everything that a state vector can tell apart. What it cannot bring is a
second segment under a number that was used twice (a cloned process, a restored backup with its random
generator restored as well). Then both sides list their keys with the beginnings of their segments' hashes,
each asks for what it lacks, and the graph keeps what comes beside its document.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sync.limits import KEYS_PER_MESSAGE, SEGMENTS_BYTES
from sync.messages import GossipMessage, Keys, Segments
from sync.replica import Replica

SEGMENTS_WANTED_MAX = 64 << 10
"""Segments that a peer may have asked for by key and not yet read. More are ignored; it will compare
again."""


class Comparison:
    """The lists of keys of one replica, and what peers asked for by key."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._hashes: dict[str, tuple[bytes, dict[str, bytes]]] = {}
        self._wanted: dict[tuple[int, str], list[str]] = {}

    def keys(self, plane: str) -> Iterator[GossipMessage]:
        """Our list, in messages of at most `KEYS_PER_MESSAGE`."""
        entries = iter(sorted(self._own_hashes(plane).items()))
        while part := dict(islice(entries, KEYS_PER_MESSAGE)):
            yield Keys(plane, part)

    def missing(self, keys: Keys) -> tuple[str, ...]:
        """Those of a peer's keys under which we hold nothing or something else."""
        ours = self._own_hashes(keys.plane)
        return tuple(key for key in sorted(keys.hashes) if ours.get(key) != keys.hashes[key])

    def want(self, number: int, plane: str, keys: tuple[str, ...]) -> None:
        """A peer asks for segments; keys that are not here are ignored."""
        wanted = self._wanted.setdefault((number, plane), [])
        ours = self._own_hashes(plane)
        wanted += [key for key in keys if key in ours][: SEGMENTS_WANTED_MAX - len(wanted)]

    def segments(self, number: int, plane: str) -> Iterator[GossipMessage]:
        """What a peer asked for, also what it asks for meanwhile, in messages of about `SEGMENTS_BYTES`."""
        gathered: list[bytes] = []
        size = 0
        while wanted := self._wanted.get((number, plane)):
            for segment in self._replica.segments_of(plane, wanted.pop()):
                if gathered and size + len(segment) > SEGMENTS_BYTES:
                    yield Segments(plane, tuple(gathered))
                    gathered, size = [], 0
                gathered.append(segment)
                size += len(segment)
        if gathered:
            yield Segments(plane, tuple(gathered))

    def forget(self, number: int) -> None:
        """The peer is gone."""
        self._wanted = {name: keys for name, keys in self._wanted.items() if name[0] != number}

    def _own_hashes(self, plane: str) -> dict[str, bytes]:
        digest = self._replica.set_digest(plane)
        cached = self._hashes.get(plane)
        if cached is None or cached[0] != digest:
            # Hashing every segment is the dearest thing that a peer can ask for: once a state is enough.
            cached = self._hashes[plane] = (digest, dict(self._replica.segment_keys(plane)))
        return cached[1]
