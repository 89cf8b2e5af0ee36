"""A courier makes replicas equal, whatever they lived through, and whatever stops it leaves them sound."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph as library
from cli.courier import ROUNDS_MAX, Courier
from crdtgraph import Graph, UnreachableError
from crdtgraph.union import unite
from crdtgraph.update import Update, decode_update
from sync.protocol.messages import Plain
from sync.requests import LocalCaller
from tests.crdtgraph.test_divergence_laws import joined, lived
from tests.sync.replicas import grow, replica

PLANE = "ledger"


def couriers(*graphs: Graph) -> Courier:
    return Courier([LocalCaller(graph) for graph in graphs])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 4), st.integers(2, 30))
def test_whatever_replicas_lived_through_they_become_their_union(seed: int, count: int, steps: int) -> None:
    graphs = lived(seed, count, steps)
    union = joined(graphs)
    assert couriers(*graphs).converge()
    for graph in graphs:
        assert graph.digest() == union.digest()
        assert set(graph.topological()) == set(union.topological())
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []
    again = couriers(*graphs)
    assert again.converge()
    assert again.segments == 0


def test_everything_travels_to_each_place_once() -> None:
    graphs = [replica(name) for name in "abc"]
    grow(graphs[0], 30)
    for graph in graphs[1:]:
        unite(graphs[0], graph)
    for graph in graphs:
        grow(graph, 10, "own ")
    seen: list[tuple[int, int]] = []
    courier = Courier([LocalCaller(graph) for graph in graphs], progress=lambda *step: seen.append(step))
    assert courier.converge()
    assert [load.segments_in for load in courier.loads] == [20, 20, 20]
    assert sum(load.bytes_in for load in courier.loads) == sum(load.bytes_out for load in courier.loads)
    assert seen[-1] == (60, 60)
    assert seen == sorted(seen)


def test_large_values_go_along() -> None:
    a, b, c = (replica(name) for name in "abc")
    commit = a.commit(changes={"large": bytes(70_000), "other": b"x" * 300_000})
    b.commit(changes={"large": b"b" * 200_000})
    courier = couriers(a, b, c)
    assert courier.converge()
    assert courier.objects == 1 + 2 + 3
    for graph in (a, b, c):
        assert graph.objects.missing == 0
        assert graph.read(commit, "large") == bytes(70_000)
        assert len([*graph.objects.whole()]) == 3
    again = couriers(a, b, c)
    assert again.converge()
    assert again.objects == 0


def test_places_without_records_are_filled_by_key() -> None:
    whole, hollow, source = replica("a"), replica("b"), replica("c")
    grow(source, 6)
    unite(source, whole)
    source.compact()
    (delta,) = source.deltas(PLANE, {})
    for item in decode_update(delta.update).items[:-1]:
        hollow.receive(PLANE, Update((item,)).encode())
    assert hollow.holes(PLANE)
    assert couriers(whole, hollow).converge()
    assert hollow.holes(PLANE) == []
    assert hollow.digest() == whole.digest()
    assert couriers(whole, hollow, source).converge()
    assert whole.segment_keys(PLANE) == source.segment_keys(PLANE) == hollow.segment_keys(PLANE)


class Frail(LocalCaller):
    """A node that goes away after it has taken in so many updates."""

    def __init__(self, graph: Graph, updates: int) -> None:
        super().__init__(graph)
        self.updates = updates

    def call(self, method: str, **params: Plain) -> Plain:
        if method == "receive":
            self.updates -= 1
            if self.updates < 0:
                raise UnreachableError("it went away")
        return super().call(method, **params)


def test_what_was_carried_before_a_node_went_away_stays_and_the_next_run_goes_on() -> None:
    a, b = replica("a"), replica("b")
    draw = random.Random(1)
    for number in range(10):
        a.commit(message=str(number), changes={f"p{each}": draw.randbytes(10_000) for each in range(4)})
        a.flush()
    courier = Courier([LocalCaller(a), Frail(b, 5)])
    with pytest.raises(UnreachableError):
        courier.converge()
    assert courier.segments == len(b) == 5
    assert [finding.problem for finding in b.fsck() if finding.problem] == []
    again = couriers(a, b)
    assert again.converge()
    assert again.segments == 5
    assert a.digest() == b.digest()


class Busy(LocalCaller):
    """A place that somebody writes to whenever a diff of it was made."""

    def stream(self, method: str, **params: Plain) -> Iterator[Plain]:
        yield from super().stream(method, **params)
        grow(self.graph, 1)


def test_a_place_that_is_written_to_all_the_time_is_given_up_after_some_rounds() -> None:
    a, b = replica("a"), replica("b")
    grow(a, 1)
    assert not Courier([Busy(a), LocalCaller(b)]).converge()
    assert len(b) > ROUNDS_MAX


@pytest.fixture
def twins() -> Iterator[tuple[Graph, Graph]]:
    """Two processes that write under one number, as clones of a running one do."""
    first = library.open("memory:", host=library.Host(lambda: 1_700_000_000_000_000, random.Random(5).randbytes))
    second = library.open("memory:", host=library.Host(lambda: 1_700_000_000_000_001, random.Random(5).randbytes))
    yield first, second
    first.close()
    second.close()


def test_segments_under_one_number_are_carried_by_key(twins: tuple[Graph, Graph]) -> None:
    first, second = twins
    first.commit(message="of the first", ref="main")
    second.commit(message="of the second", ref="main")
    keeper = replica("k", cluster="default")
    for twin in twins:
        grow(twin, 1)
    assert first.writer == second.writer
    assert couriers(first, keeper).converge()
    assert couriers(second, keeper).converge()
    assert couriers(first, keeper).converge()
    assert first.digest() == second.digest() == keeper.digest()
