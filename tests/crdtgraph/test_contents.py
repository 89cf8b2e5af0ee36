"""Which segments are kept unpacked: all of a long chain of small ones, and never more than a bound."""

from __future__ import annotations

from typing import cast

from crdtgraph import Commit
from crdtgraph.contents import CACHED_RECORDS_MAX, SEGMENT_WEIGHT_MIN, Contents
from crdtgraph.ids import SegmentKey
from crdtgraph.segment import RECORDS_MAX, Segment

COMMIT = Commit((), "a", 1, "m")


class Unpacked:
    """A segment of so many records, all the same commit."""

    def __init__(self, records: int) -> None:
        self._records = records

    def __len__(self) -> int:
        return self._records

    def commit(self, _position: int) -> Commit:
        return COMMIT


class Loader:
    """Unpacks segments of one size, and counts."""

    def __init__(self, records: int) -> None:
        self.records = records
        self.loaded: list[SegmentKey] = []

    def __call__(self, key: SegmentKey) -> Segment:
        self.loaded.append(key)
        return cast("Segment", Unpacked(self.records))


def read(contents: Contents, locations: list[int]) -> None:
    for location in locations:
        assert contents.get(location) is COMMIT


def test_a_chain_of_commits_in_small_segments_is_unpacked_once() -> None:
    loader = Loader(2)
    contents = Contents(loader)
    chain = [contents.register(SegmentKey(1, seq)) for seq in range(CACHED_RECORDS_MAX // SEGMENT_WEIGHT_MIN)]
    for _ in range(3):
        read(contents, chain)
    assert len(loader.loaded) == len(chain)
    read(contents, [contents.register(SegmentKey(1, len(chain)))])
    assert len(contents._cache) == len(chain)


def test_full_segments_are_kept_up_to_the_bound_the_latest_read_first() -> None:
    loader = Loader(RECORDS_MAX)
    contents = Contents(loader)
    most = CACHED_RECORDS_MAX // RECORDS_MAX
    places = [contents.register(SegmentKey(1, seq)) for seq in range(most + 1)]
    read(contents, [*places[:most], places[0], places[most], places[0]])
    assert len(contents._cache) == most
    assert len(loader.loaded) == most + 1
    read(contents, [places[1]])
    assert len(loader.loaded) == most + 2
