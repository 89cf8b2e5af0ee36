"""Parts of compactions in whatever order they come, of writers that keep to the rules and of such that do not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from crdtgraph.ids import Dot, SegmentKey
from crdtgraph.projection import Projection
from crdtgraph.records import Assign, Commit, Count
from crdtgraph.searches.projection import SearchProjection
from crdtgraph.segment import Part, Records, RemoteSegmentError, Segment, pack, unpack
from crdtgraph.signing import Identity

WRITER = Identity(b"w" * 32, b"i" * 16)
ROOT = Commit((), "ada", 0, "root", (), "")


def written(seq: int, records: Records, part: Part | None = None) -> Segment:
    return unpack(pack(records, plane="search/s", identity=WRITER, seq=seq, part=part))


def root() -> Records:
    return Records([ROOT.id], [ROOT], [1])


def count(number: int) -> Records:
    return Records(counts=[Count(ROOT.id, (number,), 2)])


def folded(segments: Iterable[Segment]) -> SearchProjection:
    """The fold of segments in this order."""
    projection = SearchProjection(Projection(), lambda _: 0)
    here: dict[SegmentKey, list[Segment]] = {}
    for segment in segments:
        projection.fold(segment, 0, lambda key: here[key])
        here.setdefault(segment.key, []).append(segment)
        projection.settle()
    return projection


def seen(segments: Iterable[Segment]) -> tuple[bytes, tuple[int, ...]]:
    projection = folded(segments)
    return projection.digest(), projection.counters.get(ROOT.id)


def in_all_orders(segments: list[Segment]) -> set[tuple[bytes, tuple[int, ...]]]:
    return {seen(order) for order in itertools.permutations(segments)}


def test_a_compaction_that_comes_after_a_part_of_the_next_one_is_taken_back_once() -> None:
    segments = [
        written(0, root()),
        written(1, count(1)),
        written(2, count(1), Part(2, 0, 1, ((1, 1),))),
        written(3, count(1), Part(3, 0, 2, ((1, 2),))),
        written(4, count(5), Part(3, 1, 2)),
    ]
    assert in_all_orders(segments) == {seen([segments[0], *segments[3:]])}
    assert folded(segments).counters.get(ROOT.id) == (6,)


def test_parts_that_supersede_the_same_take_it_back_once() -> None:
    segments = [
        written(0, root()),
        written(1, count(1)),
        written(2, count(10), Part(2, 0, 2, ((1, 1),))),
        written(3, count(100), Part(2, 1, 2, ((1, 1),))),
    ]
    assert in_all_orders(segments) == {seen([segments[0], *segments[2:]])}
    assert folded(segments).counters.get(ROOT.id) == (110,)


def test_a_second_segment_under_the_number_of_a_part_counts_whenever_it_comes() -> None:
    segments = [
        written(0, root()),
        written(1, count(1), Part(1, 0, 2)),
        written(1, count(10), Part(1, 0, 2)),
        written(2, count(100), Part(1, 1, 2)),
        written(3, count(1_000), Part(3, 0, 1)),
    ]
    assert in_all_orders(segments) == {seen(segments)}
    assert folded(segments).counters.get(ROOT.id) == (1_111,)


def test_what_a_compaction_that_was_given_up_has_assigned_goes_with_it() -> None:
    def assign(number: int, value: bytes) -> Assign:
        return Assign("search/value", "a", value, Dot(WRITER.writer, number), (), 2)

    segments = [
        written(0, Records(assigns=[assign(0, b"old")])),
        written(1, Records(assigns=[assign(0, b"old")]), Part(1, 0, 2, ((0, 1),))),
        written(2, Records(assigns=[assign(1, b"new")]), Part(2, 0, 1, ((0, 2),))),
    ]
    assert len({seen(order) for order in itertools.permutations(segments)}) == 1
    assert seen(segments[1:]) == seen(segments[2:]) == seen(segments)


def test_a_ref_that_waits_goes_with_the_segment_that_says_it() -> None:
    assign = Assign("ref", "main", ROOT.id, Dot(WRITER.writer, 0), (), 2)
    segments = [
        written(0, Records(assigns=[assign])),
        written(1, Records(assigns=[assign._replace(key="x", namespace="search/value")]), Part(1, 0, 1, ((0, 1),))),
    ]
    assert len(folded(segments).pending) == 0


def test_runs_cost_what_is_here_and_not_what_they_claim() -> None:
    class Folded(dict[SegmentKey, set[bytes]]):
        asked = 0

        def get(self, *key: Any) -> Any:
            Folded.asked += 1
            return super().get(*key)

        def __iter__(self) -> Iterator[SegmentKey]:
            Folded.asked += len(self)
            return super().__iter__()

    for length in (1, 99, 200):
        runs = tuple((number * 1_000, length) for number in range(1_000))
        projection = SearchProjection(Projection(), lambda _: 0)
        projection._folded = Folded()
        for segment in [written(0, root()), *(written(number, count(1)) for number in range(1, 100))]:
            projection.fold(segment, 0, lambda _: [])
        Folded.asked = 0
        projection.fold(written(1_000_000, count(7), Part(1_000_000, 0, 1, runs)), 0, lambda _: [])
        assert Folded.asked <= 1_000


def test_only_parts_supersede_in_a_search() -> None:
    data = pack(count(1), plane="search/s", identity=WRITER, seq=1, supersedes=(0,))
    with pytest.raises(RemoteSegmentError, match="are parts"):
        unpack(data)
