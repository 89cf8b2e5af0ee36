"""A courier between replicas: carries segments from one to another until all hold the same.

It asks each place, store or node, with the same methods (`sync.methods.exchanging`), so it needs no link between them:
a cluster whose network is cut can be made equal by whoever reaches all control sockets. What a place has taken in is
verified and stays, whatever becomes of the rest; run again it goes on from there.

The way is a star. One place, which has the most already, is given what each of the others has, and then gives each what
it lacks; so everything travels to each place once. Places that are written to meanwhile may take several rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from cli.answers import list_of, of, table_of
from cli.carrying import carry_objects
from cli.context import Backend
from sync.plain import vector_from_plain

if TYPE_CHECKING:
    from sync.protocol.messages import Plain

ROUNDS_MAX = 10
"""Of giving all to one place and back. One is enough where nobody writes."""
KEYS_AT_ONCE = 64
ADOPTED_BYTES_MAX = 4 << 20
"""Of segments handed over together, so that they fit a frame with one more of any size."""

Progress = Callable[[int, int], object]
"""Called with how many segments were taken in, at all places together, and how many there are to take in."""


@dataclass(slots=True)
class Load:
    """What came to one place and what was taken from it: segments, and bytes of updates and segments."""

    segments_in: int = 0
    bytes_in: int = 0
    bytes_out: int = 0


class Courier:
    """Goes between places, each a backend of its own, in one plane. `loads` is kept up to date as it goes."""

    def __init__(self, places: Sequence[Backend], *, plane: str = "ledger", progress: Progress | None = None) -> None:
        self.loads = [Load() for _ in places]
        self.objects = 0
        """Large values that were carried."""
        self._places = places
        self._plane = plane
        self._progress = progress
        self._total = 0

    @property
    def segments(self) -> int:
        """How many segments were taken in so far, at all places together."""
        return sum(load.segments_in for load in self.loads)

    def converge(self) -> bool:
        """Carry until all hold the same segments; False if they still do not after `ROUNDS_MAX` rounds.

        Raises what a place raises: UnreachableError when a node goes away, StoreError when a disk refuses.
        """
        for _ in range(ROUNDS_MAX):
            self._flush()
            if self._are_settled():
                break
            before = self._set_digests()
            hub, *others = self._by_holdings()
            for place in others:
                self.carry(place, hub)
            for place in others:
                self.carry(hub, place)
            if self._set_digests() == before:
                break
        # Whatever their commits name has come along only as names so far.
        self.objects = carry_objects(self._places)
        self._flush()
        return self._are_settled()

    def carry(self, source: int, target: int) -> None:
        """Give one place all that another holds and it lacks."""
        giver, taker = self._places[source], self._places[target]
        for delta in map(table_of, giver.stream("deltas", plane=self._plane, state_vector=self._vector(target))):
            update = of(bytes, delta["update"])
            self._note(source, target, len(update), taker.call("receive", plane=self._plane, update=update))
        if self._set_digest(source) == self._set_digest(target):
            return
        # What no diff can bring: records for places that lack theirs, and segments kept beside the document.
        here, there = self._keys(target), self._keys(source)
        wanted = [key for key, digest in there.items() if here.get(key) != digest]
        for batch in self._segments(source, wanted):
            new = taker.call("adopt", plane=self._plane, segments=[*batch])
            self._note(source, target, sum(map(len, batch)), new)

    def _segments(self, place: int, keys: Sequence[str]) -> Iterator[list[bytes]]:
        batch: list[bytes] = []
        for start in range(0, len(keys), KEYS_AT_ONCE):
            some: list[Plain] = [*keys[start : start + KEYS_AT_ONCE]]
            for segment in self._places[place].stream("segments_of", plane=self._plane, keys=some):
                batch.append(of(bytes, segment))
                if len(batch) == KEYS_AT_ONCE or sum(map(len, batch)) >= ADOPTED_BYTES_MAX:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _note(self, source: int, target: int, size: int, new: Plain) -> None:
        self.loads[source].bytes_out += size
        self.loads[target].bytes_in += size
        self.loads[target].segments_in += of(int, new)
        if self._progress is not None:
            self._total = max(self._total, self.segments)
            self._progress(self.segments, self._total)

    def _by_holdings(self) -> list[int]:
        """The places, that with the most segments first; also works out how many are missing in all."""
        vectors = [vector_from_plain(self._vector(place)) for place in range(len(self._places))]
        union: dict[int, int] = {}
        for vector in vectors:
            for writer, clock in vector.items():
                union[writer] = max(clock, union.get(writer, 0))
        held = [sum(vector.values()) for vector in vectors]
        self._total = self.segments + sum(sum(union.values()) - each for each in held)
        return sorted(range(len(vectors)), key=lambda place: (-held[place], place))

    def _flush(self) -> None:
        for place in self._places:
            place.call("flush")

    def _are_settled(self) -> bool:
        return len(set(self._set_digests())) == 1

    def _set_digests(self) -> list[bytes]:
        return [self._set_digest(place) for place in range(len(self._places))]

    def _set_digest(self, place: int) -> bytes:
        return of(bytes, table_of(self._places[place].call("digest", plane=self._plane))["set_digest"])

    def _vector(self, place: int) -> Plain:
        return self._places[place].call("state_vector", plane=self._plane)

    def _keys(self, place: int) -> dict[str, bytes]:
        parts = self._places[place].stream("segment_keys", plane=self._plane)
        pairs = map(list_of, chain.from_iterable(map(list_of, parts)))
        return {of(str, key): of(bytes, digest) for key, digest in pairs}
