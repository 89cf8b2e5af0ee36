"""The fall-back of reconciliation: segments compared and asked for key by key.

A diff between documents brings everything that a state vector can tell apart. It cannot bring a segment to a
place that is held as deleted (`Replica.holes`); whoever has such places knows their keys and asks for them.
Nor can it bring a second segment under a number that was used twice (a cloned process, a restored backup with
its random generator restored as well). Then both sides list their keys with the beginnings of their segments'
hashes, and each asks for what it lacks. The graph keeps what comes beside its document.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice

from sync.protocol.limits import KEYS_PER_MESSAGE, SEGMENTS_BYTES
from sync.protocol.messages import GossipMessage, Keys, Segments, WantSegments
from sync.protocol.outbox import QUESTIONS_MAX, RemoteOverrunError
from sync.protocol.peerstate import DigestPair, Peer
from sync.protocol.replica import Replica

SEGMENTS_WANTED_MAX = 64 << 10
"""Segments that a peer may have asked for by key and not yet read. More are ignored; it will ask again."""


KEYS, SEGMENTS = "keys", "segments"
"""The kinds of answers."""


class Comparison:
    """The lists of keys of one replica, and what peers asked for by key, each question ended by None."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._hashes: dict[str, tuple[bytes, dict[str, bytes]]] = {}
        self._wanted: dict[tuple[int, str], deque[str | None]] = {}

    def begin(self, peer: Peer, plane: str, pair: DigestPair) -> None:
        """Send a peer our list, unless it has it in this situation."""
        view = peer.view(plane)
        if view.compared != pair:
            view.compared = pair
            peer.outbox.answer(KEYS, plane, self._keys(plane))

    def receive_keys(self, peer: Peer, keys: Keys) -> None:
        """A peer's list, or a part of it: ask for what we lack, and send ours."""
        ours, plane = self._own_hashes(keys.plane), keys.plane
        missing = tuple(key for key in sorted(keys.hashes) if ours.get(key) != keys.hashes[key])
        if missing:
            self.ask(peer, plane, missing)
        told = peer.view(plane).told
        self.begin(peer, plane, (self._replica.set_digest(plane), told.set_digest if told is not None else b""))

    def ask(self, peer: Peer, plane: str, keys: tuple[str, ...]) -> None:
        """Ask a peer for segments by key."""
        peer.view(plane).unanswered += 1
        peer.outbox.ask(WantSegments(plane, keys))

    def answer(self, peer: Peer, plane: str, keys: tuple[str, ...]) -> None:
        """A peer asks for segments by key; what is not here is left out."""
        wanted = self._wanted.setdefault((peer.number, plane), deque())
        if len(wanted) >= SEGMENTS_WANTED_MAX + QUESTIONS_MAX:
            raise RemoteOverrunError(f"{len(wanted)} segments were asked for, and the peer reads none")
        ours = self._own_hashes(plane)
        wanted.extend([key for key in keys if key in ours][: max(0, SEGMENTS_WANTED_MAX - len(wanted))])
        wanted.append(None)
        if not peer.outbox.is_answering(SEGMENTS, plane):
            peer.outbox.answer(SEGMENTS, plane, self._segments(plane, wanted))

    def forget(self, number: int) -> None:
        """The peer is gone."""
        self._wanted = {name: keys for name, keys in self._wanted.items() if name[0] != number}

    def drop(self, plane: str) -> None:
        """There is no such plane any more."""
        self._hashes.pop(plane, None)
        self._wanted = {name: keys for name, keys in self._wanted.items() if name[1] != plane}

    def _own_hashes(self, plane: str) -> dict[str, bytes]:
        digest = self._replica.set_digest(plane)
        cached = self._hashes.get(plane)
        if cached is None or cached[0] != digest:
            # Hashing every segment is the dearest thing that a peer can ask for: once a state is enough.
            cached = self._hashes[plane] = (digest, dict(self._replica.segment_keys(plane)))
        return cached[1]

    def _keys(self, plane: str) -> Iterator[GossipMessage]:
        """Our list, in messages of at most `KEYS_PER_MESSAGE`."""
        entries = iter(sorted(self._own_hashes(plane).items()))
        while part := dict(islice(entries, KEYS_PER_MESSAGE)):
            yield Keys(plane, part)

    def _segments(self, plane: str, wanted: deque[str | None]) -> Iterator[GossipMessage]:
        """What a peer asked for, also what it asks for meanwhile, in messages of about `SEGMENTS_BYTES`."""
        gathered: list[bytes] = []
        size = 0
        while wanted:
            key = wanted.popleft()
            for segment in self._replica.segments_of(plane, key) if key is not None else ():
                if gathered and size + len(segment) > SEGMENTS_BYTES:
                    yield Segments(plane, tuple(gathered))
                    gathered, size = [], 0
                gathered.append(segment)
                size += len(segment)
            if key is None:
                yield Segments(plane, tuple(gathered), last=True)
                gathered, size = [], 0
