"""What everybody must see of what was counted in a search."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulations.checkers import ViolationError
from simulations.tallies import Tallies
from tests.sync.replicas import replica

PLANE = "search/s"


class Pair:
    """Two graphs that share a search, and what is counted in it."""

    def __init__(self) -> None:
        self.tallies = Tallies()
        self.graphs = [replica("a"), replica("b")]
        self.searches = [graph.search("s") for graph in self.graphs]
        for graph in self.graphs:
            self.tallies.watch(graph)
        self.commit = self.searches[0].commit(parents=[], message="root", author="mcts", time=0)
        self.searches[1].commit(parents=[], message="root", author="mcts", time=0)

    def count(self, number: int, vector: tuple[int, ...]) -> None:
        graph, search = self.graphs[number], self.searches[number]
        call = lambda: search.count(self.commit, vector)  # noqa: E731
        self.tallies.count(PLANE, graph.writer, self.commit, vector, call)

    def send(self, source: int) -> None:
        ours, theirs = self.graphs[source], self.graphs[1 - source]
        self.searches[source].flush()
        for delta in [*ours.deltas(PLANE, theirs.state_vector(PLANE))]:
            theirs.receive(PLANE, delta.update)

    def check(self, number: int, *, whole: bool = False) -> int:
        writers = [graph.writer for graph in self.graphs] if whole else ()
        return self.tallies.check("x", self.graphs[number], whole=writers)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    for graph in pair.graphs:
        graph.close()


def test_what_was_packed_is_shown_exactly_and_what_was_not_is_the_writers_own(pair: Pair) -> None:
    pair.count(0, (1, 5))
    pair.count(0, (1, -2))
    assert pair.check(0) == 1
    pair.send(0)
    pair.count(0, (1, 100))
    assert pair.check(1) == 1
    assert pair.searches[1].counters(pair.commit) == (2, 3)
    with pytest.raises(ViolationError, match="nothing counted is lost"):
        pair.check(1, whole=True)
    pair.send(0)
    assert pair.check(1, whole=True) == 1


def test_a_count_that_nobody_made_or_that_counts_twice_is_found(pair: Pair) -> None:
    pair.count(0, (1, 5))
    pair.send(0)
    pair.searches[1].count(pair.commit, (1,))
    with pytest.raises(ViolationError, match="totals are what was counted"):
        pair.check(1)


def test_a_count_that_is_missing_is_found(pair: Pair) -> None:
    pair.count(0, (1, 5))
    pair.tallies.count(PLANE, pair.graphs[0].writer, pair.commit, (1, 7), lambda: None)
    with pytest.raises(ViolationError, match="totals are what was counted"):
        pair.check(0)


def test_a_compaction_changes_nothing_of_that(pair: Pair) -> None:
    for number in range(5):
        pair.count(0, (1, number))
        pair.send(0)
    assert pair.graphs[0].compact()
    pair.send(0)
    assert [pair.check(number, whole=True) for number in (0, 1)] == [1, 1]
    assert pair.searches[1].counters(pair.commit) == (5, 10)


def test_nothing_is_asked_of_what_was_thrown_away(pair: Pair) -> None:
    pair.count(0, (1, 5))
    pair.tallies.discard(PLANE, pair.commit)
    pair.searches[0].discard(pair.commit)
    pair.searches[1].count(pair.commit, (1,))
    assert [pair.check(number) for number in (0, 1)] == [0, 0]
