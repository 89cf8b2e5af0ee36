"""Segments of the system under test as plain values, and what follows from a set of them.

Reading a segment is the one thing that the checkers share with `crdtgraph`; the journal notices if it reads wrongly.
Whatever is a function of bytes alone is made once for the same bytes: a segment is decoded once in a world, however
many machines hold it, and a set of segments is folded once, whoever shows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from itertools import chain

from crdtgraph import LEDGER, Graph, RemoteError
from crdtgraph.projection import fold_all
from crdtgraph.segment import Segment, unpack
from crdtgraph.store import Keyspace
from crdtgraph.update import decode_update
from simulations.model import Assigned, Model, Said, SegmentName, fold


class Order(Enum):
    """In which a set of segments is folded; no order may give another projection."""

    ASCENDING = auto()
    DESCENDING = auto()
    MIXED = auto()
    """By their digests, which is as good as shuffled."""


@dataclass(frozen=True, slots=True)
class Read:
    """One segment, as the library reads it and in plain values."""

    segment: Segment
    said: Said


class Held:
    """A set of segments: everything under each key, and what follows from it."""

    def __init__(self, by_key: Mapping[str, tuple[Read, ...]]) -> None:
        self.by_key = by_key
        self._digests: dict[Order, bytes] = {}

    @property
    def said(self) -> list[Said]:
        """The segments in plain values, in the order of their keys."""
        return [read.said for read in self._all()]

    @cached_property
    def content(self) -> dict[str, tuple[bytes, ...]]:
        """Key -> digests of what is under it; equal for equal sets."""
        return {key: tuple(read.segment.digest for read in reads) for key, reads in self.by_key.items()}

    @cached_property
    def superseded(self) -> frozenset[SegmentName]:
        """What compactions replaced."""
        return frozenset(name for read in self._all() for name in read.said.supersedes)

    @cached_property
    def model(self) -> Model:
        """What everybody who holds this set must see."""
        return fold(self.said)

    def digest(self, order: Order) -> bytes:
        """The digest of the projection that is folded from nothing but this set."""
        digest = self._digests.get(order)
        if digest is None:
            segments = [read.segment for read in self._all()]
            if order is Order.DESCENDING:
                segments.reverse()
            elif order is Order.MIXED:
                segments.sort(key=lambda segment: segment.digest)
            digest = self._digests[order] = fold_all(segments).digest()
        return digest

    def _all(self) -> Iterator[Read]:
        return chain.from_iterable(self.by_key.values())


class Reading:
    """Reads segments, each distinct one once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Read] = {}
        self._under: dict[tuple[str, bytes], tuple[Read, ...]] = {}
        self._held: dict[bytes, Held] = {}
        self._stored: dict[bytes, list[Said]] = {}

    def held_by(self, graph: Graph) -> list[Said]:
        """What a graph's peers would get of it."""
        return self.held(graph).said

    def held(self, graph: Graph) -> Held:
        """The set of segments that a graph holds, believing what it says of it: its digest, and those of its keys."""
        name = graph.set_digest(LEDGER)
        held = self._held.get(name)
        if held is None:
            by_key = {}
            for key, digest in graph.segment_keys(LEDGER).items():
                reads = self._under.get((key, digest))
                if reads is None:
                    reads = self._under[key, digest] = self._read_key(graph, key)
                by_key[key] = reads
            held = self._held[name] = Held(by_key)
        return held

    def of_search(self, graph: Graph, plane: str) -> list[Segment]:
        """What a graph holds of a search."""
        return [self._read(data).segment for key in graph.segment_keys(plane) for data in graph.segments_of(plane, key)]

    def held_in_truth(self, graph: Graph) -> Held:
        """The same, believing nothing: every byte is read. It is the set known under its digest, if it is equal."""
        held = Held({key: self._read_key(graph, key) for key in graph.segment_keys(LEDGER)})
        known = self._held.setdefault(graph.set_digest(LEDGER), held)
        return known if known.content == held.content else held

    def forget_sets(self) -> None:
        """Sets that were held some time ago are hardly ever held again; segments are kept."""
        self._held.clear()

    def stored_in(self, data: Mapping[Keyspace, Mapping[bytes, bytes]]) -> list[Said]:
        """What is in a store."""
        updates = (*data[Keyspace.SNAPSHOT].values(), *data[Keyspace.LOG].values())
        found = [said for update in updates for said in self.in_update(update)]
        return found + [self.read(stray) for stray in data[Keyspace.STRAYS].values()]

    def in_update(self, update: bytes) -> list[Said]:
        """What is in one entry of a store's log."""
        said = self._stored.get(update)
        if said is None:
            values = (item.value for item in decode_update(update).items)
            said = self._stored[update] = [self.read(value) for value in values if value is not None]
        return said

    def take_note(self, update: bytes) -> None:
        """Read an entry that was just written to a log: then those who receive its segments find them read."""
        with suppress(RemoteError):  # They find out by themselves what is wrong with it.
            self.in_update(update)

    def read(self, data: bytes) -> Said:
        """One segment in plain values."""
        return self._read(data).said

    def _read_key(self, graph: Graph, key: str) -> tuple[Read, ...]:
        return tuple([self._read(data) for data in graph.segments_of(LEDGER, key)])

    def _read(self, data: bytes) -> Read:
        read = self._known.get(data)
        if read is None:
            segment = unpack(data)
            read = self._known[data] = Read(segment, plain(segment))
        return read


def plain(segment: Segment) -> Said:
    """A segment in plain values."""
    return Said(
        name=(segment.key.writer, segment.key.seq),
        supersedes=frozenset((key.writer, key.seq) for key in segment.supersedes),
        commits=tuple(zip(segment.ids, segment.parents, segment.times, strict=True)),
        assigns=tuple(
            Assigned(
                each.namespace,
                each.key,
                each.value,
                (each.dot.writer, each.dot.counter),
                frozenset((dot.writer, dot.counter) for dot in each.supersedes),
                each.stamp,
            )
            for each in segment.assigns
        ),
        counts=tuple((count.commit, count.vector) for count in segment.counts),
        discards=tuple(discard.commit for discard in segment.discards),
    )
