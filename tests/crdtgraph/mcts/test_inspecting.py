"""A tree as its search has it, looked at without the problem: numbers, who counted them, and lines that are kept."""

from __future__ import annotations

import pytest

from crdtgraph import CommitId, Graph, LocalError, NotFoundError, ReplicaId
from crdtgraph.mcts import SearchTree
from crdtgraph.mcts.inspecting import Inspection
from tests.crdtgraph.mcts.problems import Line, Nim, open_graph, send
from tests.crdtgraph.searches.exchanging import plane_of

NAME = "s"


def by_writer(tree: Inspection, commits: set[CommitId]) -> dict[CommitId, dict[ReplicaId, int]]:
    *_, found = tree.visits_by_writer(commits)
    return found


def test_it_has_the_numbers_of_the_tree() -> None:
    with open_graph(0) as graph:
        tree = SearchTree(graph, Line(), name=NAME, seed=1, solve=False)
        tree.run(300)
        seen = Inspection(graph, NAME)
        assert "Line" in seen.problem
        assert len(seen) == len(tree)
        assert seen.root() == tree.root
        root, *children = seen.top(tree.root, 1, 10)
        assert root.statistics.visits == 300
        assert root.children == len(children) == 2
        assert [(each.commit, each.action, each.statistics.visits) for each in children] == [
            (node.commit, node.text, node.visits) for node in tree.children()
        ]
        assert [each.depth for each in seen.top(tree.root, 2, 1)] == [0, 1, 2]
        assert seen.best_line(tree.root) == [node.commit for node in tree.best_line()]
        assert seen.resolve(tree.root.hex()[:10]) == tree.root


def test_every_visit_has_a_writer_also_after_compactions() -> None:
    with open_graph(0) as one, open_graph(1) as other:
        trees = [SearchTree(graph, Nim(), name=NAME, seed=seed, solve=False) for seed, graph in enumerate((one, other))]
        for _ in range(12):
            for tree in trees:
                tree.run(40)
            send(trees[0].search, trees[1].search)
            send(trees[1].search, trees[0].search)
        trees[0].run(5)
        segments = one.search_status(NAME).segments
        for _ in plane_of(trees[0].search).compact_steps():
            pass
        assert one.search_status(NAME).segments < segments
        seen = Inspection(one, NAME)
        nodes = list(seen.top(seen.root(), 3, 5))
        found = by_writer(seen, {node.commit for node in nodes})
        assert set(found[seen.root()]) == {one.replica_id, other.replica_id}
        assert {commit: sum(writers.values()) for commit, writers in found.items()} == {
            node.commit: node.statistics.visits for node in nodes if node.statistics.visits
        }


def test_what_is_promoted_can_be_resumed() -> None:
    with open_graph(0) as graph:
        with SearchTree(graph, Nim(), name=NAME, seed=1, solve=False) as tree:
            tree.run(400)
            seen = Inspection(graph, NAME)
            best = seen.best_line(tree.root)
            kept = seen.promote(best[-1])
            assert kept == [tree.root, *best]
            assert all(commit in graph for commit in kept)
            before = graph.digest()
            assert seen.promote(best[-1]) == kept
            assert graph.digest() == before
            visits = tree.children()[0].visits
        on = SearchTree.resume(graph, best[-1], Nim(), name="on", solve=False)
        assert on.root == tree.root
        assert [(node.commit, node.visits) for node in on.children()] == [(best[0], visits)]
        assert Inspection(graph, "on").statistics(best[0]).visits == visits


def test_what_an_earlier_search_promoted_is_promoted_again_from_the_root_on() -> None:
    with open_graph(0) as graph:
        with SearchTree(graph, Nim(), name=NAME, seed=1, solve=False) as tree:
            tree.run(400)
            kept = Inspection(graph, NAME).promote(Inspection(graph, NAME).best_line(tree.root)[-1])
        with SearchTree(graph, Nim(), name="again", seed=2, solve=False) as again:
            again.run(10)
            assert Inspection(graph, "again").promote(kept[-1]) == kept
        assert SearchTree.resume(graph, kept[-1], Nim(), name="on", solve=False).root == tree.root


def test_what_is_above_the_root_of_a_tree_is_not_promoted_again() -> None:
    with open_graph(0) as graph:
        start = graph.commit(message="not of a tree", ref="main")
        with SearchTree(graph, Line(), name=NAME, root=start, seed=1, solve=False) as tree:
            tree.run(100)
            seen = Inspection(graph, NAME)
            best = seen.best_line(tree.root)
            assert seen.promote(best[-1]) == [start, *best]


def test_what_was_discarded_is_not_shown() -> None:
    with open_graph(0) as graph:
        tree = SearchTree(graph, Nim(), name=NAME, seed=1, solve=False)
        tree.run(100)
        loser = tree.children()[-1].commit
        assert loser is not None
        tree.search.discard(loser)
        assert loser not in Inspection(graph, NAME).children(tree.root)


def test_what_is_no_tree(graph_of_nothing: Graph) -> None:
    with pytest.raises(NotFoundError, match="no search 'x' is open here"):
        Inspection(graph_of_nothing, "x")
    graph_of_nothing.search("x")
    with pytest.raises(LocalError, match="there is no tree in search 'x'"):
        Inspection(graph_of_nothing, "x")
    graph_of_nothing.search("x").assign("mcts/problem", b"1 1 0.0 1.0 other")
    seen = Inspection(graph_of_nothing, "x")
    with pytest.raises(LocalError, match="is empty"):
        seen.root()


@pytest.fixture
def graph_of_nothing() -> Graph:
    return open_graph(0)
