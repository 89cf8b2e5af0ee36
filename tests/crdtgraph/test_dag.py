"""The graph index is a networkx DiGraph in everything that reads, and refuses everything that writes."""

import copy
import gc
import pickle
import weakref

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.dag import Dag
from crdtgraph.errors import LocalError
from crdtgraph.index import Index

# For each node, its parents as distances back; what reaches beyond node 0 is dropped, so roots come about too.
shapes = st.lists(st.lists(st.integers(1, 12), max_size=4, unique=True), max_size=30)

# A root, a criss-cross (3 and 4 both merge 1 and 2), an octopus (6) that brings in a second root (5), a plain child.
CRISS_CROSS = [(), (0,), (0,), (1, 2), (2, 1), (), (3, 4, 5), (6,)]


def parents_of(shape):
    return [tuple(node - back for back in backs if back <= node) for node, backs in enumerate(shape)]


def build(parents):
    index = Index()
    for node, row in enumerate(parents):
        assert index.append(row) == node
    return Dag(index)


def plain(parents):
    graph = networkx.DiGraph()
    graph.add_nodes_from(range(len(parents)))
    graph.add_edges_from((parent, node) for node, row in enumerate(parents) for parent in row)
    return graph


@pytest.fixture
def dag():
    return build(CRISS_CROSS)


@given(shapes)
def test_it_reads_like_a_digraph_of_the_same_edges(shape):
    parents = parents_of(shape)
    dag, graph = build(parents), plain(parents)

    assert networkx.utils.graphs_equal(dag, graph)
    assert dag.adj == graph.adj
    assert dag.pred == graph.pred
    assert list(dag) == list(graph)
    assert list(dag.edges) == list(graph.edges)
    assert sorted(dag.in_edges) == sorted(graph.in_edges)
    assert [list(dag.adj[node]) for node in dag] == [list(graph.adj[node]) for node in graph]
    assert [list(dag.pred[node]) for node in dag] == [list(graph.pred[node]) for node in graph]
    assert dict(dag.degree) == dict(graph.degree)
    assert (len(dag), dag.order(), dag.number_of_nodes()) == (len(graph),) * 3
    assert (dag.size(), dag.number_of_edges()) == (graph.size(), graph.number_of_edges())
    assert dict(dag.nodes(data=True)) == dict(graph.nodes(data=True))
    assert list(dag.edges(data=True)) == list(graph.edges(data=True))
    assert repr(dag.adj) == repr(graph.adj)


@given(shapes)
def test_the_fast_accessors_agree_with_networkx(shape):
    parents = parents_of(shape)
    dag, graph = build(parents), plain(parents)

    for node, row in enumerate(parents):
        assert dag.parents(node) == row
        assert dag.first_parent(node) == (row[0] if row else None)
        assert dag.children(node) == tuple(graph.successors(node)) == tuple(sorted(graph.successors(node)))
        assert dag.generation(node) == 1 + max((dag.generation(parent) for parent in row), default=0)
        for other in graph:
            assert dag.has_edge(node, other) == graph.has_edge(node, other)
            assert dag.number_of_edges(node, other) == graph.number_of_edges(node, other)
            assert dag.has_predecessor(node, other) == graph.has_predecessor(node, other)
    assert dag.roots() == tuple(node for node, degree in graph.in_degree if not degree)
    assert dag.heads() == tuple(node for node, degree in graph.out_degree if not degree)


def test_networkx_algorithms_run(dag):
    graph = plain(CRISS_CROSS)
    assert networkx.is_directed_acyclic_graph(dag)
    assert list(networkx.topological_sort(dag)) == list(networkx.topological_sort(graph))
    assert list(networkx.lexicographical_topological_sort(dag)) == list(range(8))
    assert list(networkx.topological_generations(dag)) == list(networkx.topological_generations(graph))
    assert networkx.ancestors(dag, 3) == {0, 1, 2}
    assert networkx.descendants(dag, 5) == {6, 7}
    assert set(networkx.transitive_reduction(dag).edges) == set(networkx.transitive_reduction(graph).edges)
    assert set(networkx.transitive_closure(dag).edges) == set(networkx.transitive_closure(graph).edges)
    assert networkx.dag_longest_path(dag) == networkx.dag_longest_path(graph)
    assert list(networkx.weakly_connected_components(dag)) == [set(range(8))]
    assert networkx.shortest_path(dag, 0, 7) == networkx.shortest_path(graph, 0, 7)
    assert not networkx.has_path(dag, 5, 4)
    assert networkx.lowest_common_ancestor(dag, 1, 2) == 0
    assert networkx.betweenness_centrality(dag) == networkx.betweenness_centrality(graph)
    assert list(networkx.antichains(dag)) == list(networkx.antichains(graph))
    assert list(networkx.bfs_edges(dag, 0)) == list(networkx.bfs_edges(graph, 0))
    assert list(networkx.dfs_postorder_nodes(dag, 0)) == list(networkx.dfs_postorder_nodes(graph, 0))
    assert networkx.immediate_dominators(dag, 0) == networkx.immediate_dominators(graph, 0)
    assert networkx.to_dict_of_lists(dag) == networkx.to_dict_of_lists(graph)
    assert networkx.to_dict_of_dicts(dag) == networkx.to_dict_of_dicts(graph)
    assert networkx.node_link_data(dag) == networkx.node_link_data(graph)
    assert list(networkx.generate_edgelist(dag)) == list(networkx.generate_edgelist(graph))


@pytest.mark.parametrize(
    "derive",
    [
        lambda graph: graph.copy(),
        lambda graph: graph.reverse(),
        lambda graph: graph.to_directed(),
        lambda graph: graph.to_undirected(),
        lambda graph: graph.subgraph([1, 3, 6]).copy(),
        lambda graph: graph.edge_subgraph([(0, 1), (3, 6)]).copy(),
        lambda graph: graph.reverse(copy=False).copy(),
        lambda graph: networkx.relabel_nodes(graph, {0: "root"}),
        lambda graph: networkx.create_empty_copy(graph),
        lambda graph: networkx.compose(graph, graph),
        lambda graph: networkx.ego_graph(graph, 3),
        lambda graph: networkx.DiGraph(graph),
        copy.copy,
        copy.deepcopy,
    ],
)
def test_what_is_copied_from_it_is_an_ordinary_graph_of_its_own(dag, derive):
    derived = derive(dag)
    assert type(derived) in (networkx.DiGraph, networkx.Graph)
    assert networkx.utils.graphs_equal(derived, derive(plain(CRISS_CROSS)))
    assert not networkx.is_frozen(derived)
    derived.add_edge("new", 1, weight=2)
    node = next(iter(derived))
    derived.nodes[node]["colour"] = "red"
    derived.remove_node(node)
    assert networkx.utils.graphs_equal(dag, plain(CRISS_CROSS))


@pytest.mark.parametrize(
    "derive",
    [
        lambda graph: graph.copy(as_view=True),
        lambda graph: graph.reverse(copy=False),
        lambda graph: networkx.reverse_view(graph),
        lambda graph: graph.to_directed(as_view=True),
        lambda graph: graph.to_undirected(as_view=True),
        lambda graph: graph.subgraph([1, 3, 6]),
        lambda graph: graph.subgraph([1, 3, 6]).subgraph([3, 6]),
        lambda graph: graph.edge_subgraph([(0, 1), (3, 6)]),
        lambda graph: networkx.subgraph_view(graph, filter_node=lambda node: node % 2 == 0),
        lambda graph: networkx.restricted_view(graph, [0], [(3, 6)]),
    ],
)
def test_its_views_are_ordinary_and_read_only(dag, derive):
    view = derive(dag)
    assert type(view) in (networkx.DiGraph, networkx.Graph)
    assert networkx.utils.graphs_equal(view, derive(plain(CRISS_CROSS)))
    with pytest.raises(networkx.NetworkXError):
        view.add_node(99)


def test_a_view_follows_the_graph_as_it_grows(dag):
    view, edges = dag.reverse(copy=False), dag.edges
    new = dag.index.append([7])
    assert list(view.successors(new)) == [7]
    assert (7, new) in edges


@pytest.mark.parametrize(
    "change",
    [
        lambda graph: graph.add_node(9),
        lambda graph: graph.add_nodes_from([9]),
        lambda graph: graph.remove_node(0),
        lambda graph: graph.remove_nodes_from([0]),
        lambda graph: graph.add_edge(0, 7),
        lambda graph: graph.add_edges_from([(0, 7)]),
        lambda graph: graph.add_weighted_edges_from([(0, 7, 1.0)]),
        lambda graph: graph.remove_edge(0, 1),
        lambda graph: graph.remove_edges_from([(0, 1)]),
        lambda graph: graph.update(edges=[(0, 7)]),
        lambda graph: graph.clear(),
        lambda graph: graph.clear_edges(),
        lambda graph: graph.nodes[0].update(colour="red"),
        lambda graph: graph.edges[0, 1].setdefault("weight", 2),
        lambda graph: graph[0][1].__setitem__("weight", 2),
        lambda graph: networkx.set_node_attributes(graph, 1, "weight"),
        lambda graph: networkx.set_edge_attributes(graph, 1, "weight"),
        lambda graph: networkx.relabel_nodes(graph, {0: 9}, copy=False),
        lambda graph: networkx.contracted_nodes(graph, 0, 1, copy=False),
    ],
)
def test_every_change_from_outside_is_refused(dag, change):
    with pytest.raises(LocalError, match="read-only") as caught:
        change(dag)
    assert "Graph.commit" in caught.value.hint
    assert networkx.utils.graphs_equal(dag, plain(CRISS_CROSS))
    assert not any(dag.nodes[node] for node in dag)


def test_the_attributes_are_copied_into_plain_dicts(dag):
    for attributes in (copy.copy(dag.nodes[0]), copy.deepcopy(dag.nodes[0]), dag.nodes[0].copy()):
        attributes["colour"] = "red"
        assert type(attributes) is dict
    assert dag.nodes[0] == {}


def test_networkx_keeps_no_converted_copy_that_an_append_would_leave_stale(dag):
    assert dag.__networkx_cache__ is None


def test_networkx_knows_that_it_is_frozen(dag):
    assert networkx.is_frozen(dag)
    assert isinstance(dag, networkx.DiGraph)
    assert isinstance(dag, Dag)


def test_every_networkx_method_that_freezing_takes_away_is_refused_too():
    frozen = networkx.freeze(networkx.DiGraph())
    taken = [name for name, value in vars(frozen).items() if value is networkx.classes.function.frozen]
    assert len(taken) > 8
    for name in taken:
        with pytest.raises(LocalError):
            getattr(build([]), name)(1)


def test_a_pickle_brings_back_a_graph_of_its_own(dag):
    back = pickle.loads(pickle.dumps(dag))
    assert type(back) is Dag
    assert networkx.utils.graphs_equal(back, dag)
    assert back.index.append([7, 5]) == 8
    assert (len(back), len(dag)) == (9, 8)


def test_the_attributes_of_the_graph_itself_are_read_only_and_those_of_a_copy_are_not(dag):
    for change in (lambda: dag.graph.update(x=1), lambda: dag.graph.__setitem__("x", 1)):
        with pytest.raises(LocalError, match="read-only"):
            change()
    copy = dag.copy()
    copy.graph["x"] = 1
    assert dag.graph == {}


@pytest.mark.parametrize("node", [-1, 8, "0", None, 2.5])
def test_what_is_not_a_node_is_not_found(dag, node):
    assert node not in dag
    assert not dag.has_edge(0, node)
    assert list(dag.nbunch_iter([node, 1])) == [1]
    for mapping in (dag.adj, dag.pred, dag.nodes):
        assert node not in mapping
        with pytest.raises(KeyError):
            mapping[node]


def test_a_list_of_nodes_is_told_from_a_node(dag):
    assert list(dag.edges([1, 2])) == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert [0] not in dag
    with pytest.raises(networkx.NetworkXError):
        list(dag.nbunch_iter([[0]]))


def test_a_dropped_graph_is_freed_at_once():
    dag = build(CRISS_CROSS)
    dag.index.trunk.advance()
    dead = weakref.ref(dag), weakref.ref(dag.index.generations)
    gc.disable()
    try:
        del dag
        assert [each() for each in dead] == [None, None]
    finally:
        gc.enable()
