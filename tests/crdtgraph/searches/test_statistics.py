"""What is counted between two flushes is one record a commit, whatever was counted, and the sums are exact."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph import Graph, LocalError, NotFoundError, Search
from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.ids import CommitId
from tests.crdtgraph.searches.exchanging import ROOT, digest, open_graph, plane_of, send


@pytest.fixture
def search(graph: Graph) -> Iterator[Search]:
    with graph.search("s") as search:
        yield search


def counts_of(search: Search) -> list[tuple[int, ...]]:
    return [count.vector for count in plane_of(search).buffer.records.counts]


def test_many_counts_of_a_commit_are_one_record(search: Search, graph: Graph) -> None:
    child = search.commit(parents=[graph.refs["main"]], message="child")
    for number in range(5_000):
        search.count(child, (1, number))
    assert counts_of(search) == [(5_000, sum(range(5_000)))]
    assert search.counters(child) == (5_000, sum(range(5_000)))
    search.flush()
    search.count(child, (1, -1))
    assert counts_of(search) == [(1, -1)]
    assert search.counters(child) == (5_001, sum(range(5_000)) - 1)


def test_a_sum_beyond_64_bits_has_another_record(search: Search, graph: Graph) -> None:
    child = search.commit(parents=[graph.refs["main"]], message="child")
    for number in (INT64_MAX, 1, INT64_MIN, INT64_MIN, -1, 5):
        search.count(child, (number,))
    assert all(INT64_MIN <= number <= INT64_MAX for (number,) in counts_of(search))
    assert len(counts_of(search)) > 1
    search.flush()
    assert search.counters(child) == (2 * INT64_MIN + INT64_MAX + 5,)


def test_a_longer_vector_has_a_record_of_its_own(search: Search, graph: Graph) -> None:
    child = search.commit(parents=[graph.refs["main"]], message="child")
    for vector in ((1,), (1, 2, 3), (1,), (0, 0, 0)):
        search.count(child, vector)
    assert search.counters(child) == (3, 2, 3)
    assert counts_of(search) == [(1,), (2, 2, 3)]


def test_a_commit_that_is_not_here_cannot_be_counted(search: Search) -> None:
    with pytest.raises(NotFoundError):
        search.count(CommitId(bytes(32)), (1,))
    with pytest.raises(LocalError):
        search.count(CommitId(bytes(32)), ())


numbers = st.one_of(st.integers(-3, 3), st.sampled_from((INT64_MAX, INT64_MIN)))
steps = st.lists(
    st.one_of(st.none(), st.tuples(st.integers(0, 2), st.lists(numbers, min_size=1, max_size=3))), max_size=20
)


@given(steps)
def test_another_replica_reads_the_same_totals_wherever_the_flushes_fell(steps):
    with open_graph(0) as one, open_graph(1) as other:
        here, there = one.search("s"), other.search("s")
        nodes = [here.commit(parents=[ROOT.id], message=str(number), time=0) for number in range(3)]
        expected = [[0, 0, 0] for _ in nodes]
        for step in steps:
            if step is None:
                here.flush()
            else:
                here.count(nodes[step[0]], step[1])
                for place, number in enumerate(step[1]):
                    expected[step[0]][place] += number
        send(here, there)
        assert digest(here) == digest(there)
        for node, total in zip(nodes, expected, strict=True):
            while total and not total[-1]:
                del total[-1]
            assert here.counters(node) == there.counters(node) == tuple(total)
