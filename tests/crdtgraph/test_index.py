"""The index holds parents, children and generations; networkx, over plain dicts, says the same."""

import gc
import pickle
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.errors import LocalError
from crdtgraph.index import Index
from tests.crdtgraph.test_dag import CRISS_CROSS, parents_of, plain, shapes


def build(parents):
    index = Index()
    for node, row in enumerate(parents):
        assert index.append(row) == node
    return index


def rows(index):
    return [index.parents(node) for node in index]


@pytest.fixture
def index():
    return build(CRISS_CROSS)


@given(shapes)
def test_what_it_says_of_a_node_agrees_with_networkx(shape):
    parents = parents_of(shape)
    index, graph = build(parents), plain(parents)

    assert len(index) == len(graph)
    assert list(index) == list(graph)
    for node, row in enumerate(parents):
        assert index.parents(node) == row
        assert index.first_parent(node) == (row[0] if row else None)
        assert index.children(node) == tuple(graph.successors(node)) == tuple(sorted(graph.successors(node)))
        assert index.generation(node) == 1 + max((index.generation(parent) for parent in row), default=0)
    assert index.roots() == tuple(node for node, degree in graph.in_degree if not degree)
    assert index.heads() == tuple(node for node, degree in graph.out_degree if not degree)


@given(shapes, st.integers(1, 7))
def test_heads_asked_for_in_between_are_those_of_that_moment(shape, every):
    parents = parents_of(shape)
    index = Index()
    for node, row in enumerate(parents):
        index.append(row)
        if node % every == 0:
            graph = plain(parents[: node + 1])
            assert index.heads() == tuple(node for node, degree in graph.out_degree if not degree)


def test_a_pickle_brings_back_an_index_that_can_go_on(index):
    back = pickle.loads(pickle.dumps(index))
    assert rows(back) == CRISS_CROSS
    assert back.append([7, 5]) == 8
    assert back.children(5) == (6, 8)
    assert len(index) == 8


@pytest.mark.parametrize("parents", [[8], [-1], [0, 8], [0, -1], [3, 3, 9]])
def test_a_parent_that_is_not_there_is_refused_and_nothing_changes(index, parents):
    with pytest.raises(LocalError, match="is not a node"):
        index.append(parents)
    assert rows(index) == CRISS_CROSS
    assert index.append([7]) == 8
    assert index.children(7) == (8,)


def test_a_parent_listed_twice_counts_once():
    index = build([(), (), (1, 0, 1)])
    assert index.parents(2) == (1, 0)
    assert index.children(1) == (2,)
    assert len(index.edge_parents) == 2


def test_nodes_are_invisible_to_the_garbage_collector():
    index = Index()
    index.append(())
    gc.collect()
    before = len(gc.get_objects())
    for node in range(10_000):
        index.append((node,) if node % 3 else (node, node // 2) if node else (0,))
    index.heads()
    index.trunk.advance(steps=sys.maxsize)
    assert len(gc.get_objects()) - before < 100


def test_a_node_costs_twenty_bytes():
    index = Index()
    index.append(())
    for node in range(100_000):
        index.append((node,))
    arrays = [value for value in (getattr(index, name) for name in Index.__slots__) if hasattr(value, "itemsize")]
    # An array grows by an eighth ahead of its need.
    assert sum(map(sys.getsizeof, arrays)) / len(index) < 20 * 1.13
