"""Segments of the system under test as plain values, for the model and the journal.

Reading a segment is the one thing that the checkers share with `crdtgraph`; the journal notices if it reads wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from crdtgraph import LEDGER, Graph
from crdtgraph.segment import unpack
from crdtgraph.store import Keyspace
from crdtgraph.update import decode_update

from .model import Assigned, Said


class Reading:
    """Reads segments, each distinct one once."""

    def __init__(self) -> None:
        self._known: dict[bytes, Said] = {}

    def held_by(self, graph: Graph) -> list[Said]:
        """What a graph's peers would get of it."""
        keys = graph.segment_keys(LEDGER)
        return [self.read(data) for key in keys for data in graph.segments_of(LEDGER, key)]

    def stored_in(self, data: Mapping[Keyspace, Mapping[bytes, bytes]]) -> list[Said]:
        """What is in a store."""
        return [self.read(each) for each in _stored(data)]

    def read(self, data: bytes) -> Said:
        """One segment."""
        said = self._known.get(data)
        if said is None:
            segment = unpack(data)
            said = self._known[data] = Said(
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
        return said


def _stored(data: Mapping[Keyspace, Mapping[bytes, bytes]]) -> Iterator[bytes]:
    updates: Iterable[bytes] = (*data[Keyspace.SNAPSHOT].values(), *data[Keyspace.LOG].values())
    for update in updates:
        yield from (item.value for item in decode_update(update).items if item.value is not None)
    yield from data[Keyspace.STRAYS].values()
