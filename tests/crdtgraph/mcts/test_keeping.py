"""What goes to the ledger survives the search, and a later one goes on from it; what is pruned is gone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from crdtgraph import Graph, LocalError, NotFoundError
from crdtgraph.mcts import (
    Children,
    Hopeful,
    MostVisited,
    ProblemMismatchError,
    SearchTree,
    Statistics,
    growth,
)
from crdtgraph.mcts.inspecting import Inspection
from tests.crdtgraph.mcts.problems import Line, Nim, Ring, open_graph, positions, send
from tests.crdtgraph.searches.exchanging import digest


@pytest.fixture
def graph() -> Graph:
    return open_graph(0)


def test_the_best_line_is_promoted_and_survives(graph: Graph) -> None:
    tree = SearchTree(graph, Line(6), solve=False)
    tree.run(1500)
    line = tree.best_line()
    commit = tree.promote(ref="best")
    tree.search.close()
    assert graph.refs["best"] == commit == line[-1].commit
    messages = []
    while graph.parents(commit):
        messages.append(graph.get(commit).message)
        (commit,) = graph.parents(commit)
    assert messages[::-1] == [node.text for node in line]
    assert graph.state(line[-1].commit) == {"bits": b"111111"}  # type: ignore[arg-type]


def test_a_line_through_a_transposition_is_promoted_as_it_was_played(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(30), seed=3, solve=False)
    tree.run(2000)
    line = tree.best_line()
    commit = tree.promote(line)
    found = []
    while graph.parents(commit):
        found.append(graph.get(commit).message)
        (commit,) = graph.parents(commit)
    assert found[::-1] == [node.text for node in line]
    tree.run(100)
    tree.take_over()


def test_resuming_goes_on_from_what_was_counted(graph: Graph) -> None:
    tree = SearchTree(graph, Line(6), name="first", solve=False)
    tree.run(800)
    before = {node.text: (node.visits, node.mean) for node in tree.top(depth=3, visits_min=50)}
    tree.promote(ref="best", visits_min=50)
    tree.search.close()
    again = SearchTree.resume(graph, "best", Line(6), name="second", solve=False)
    again.take_over()
    assert {node.text: (node.visits, node.mean) for node in again.top(depth=3, visits_min=50)} == before
    assert again.root == tree.root
    again.run(200)
    assert again.statistics(again.root).visits == 1000
    assert again.search.counters(again.root)[0] == 200
    again.promote(ref="best", visits_min=50)
    again.search.close()
    third = SearchTree.resume(graph, "best", Line(6), name="third", solve=False)
    assert third.statistics(third.root).visits == 1000


def test_a_search_that_resumes_nothing_begins_with_nothing(graph: Graph) -> None:
    tree = SearchTree(graph, Line(6), name="first", solve=False)
    tree.run(800)
    tree.promote(ref="best", visits_min=50)
    tree.search.close()
    again = SearchTree(graph, Line(6), name="second", solve=False)
    again.take_over()
    assert again.root == tree.root
    assert again.best_line() == []
    again.run(100)
    again.take_over()
    assert again.statistics(again.root).visits == again.search.counters(again.root)[0] == 100
    assert sum(node.visits for node in again.children()) == 99
    inspection = Inspection(graph, "second")
    assert inspection.statistics(again.root).visits == 100
    # A tree at a promoted node has nothing of it either, and all of it when it says so.
    below = again.best_line()[0].commit
    assert SearchTree(graph, Line(6), name="third", root=below).statistics(below).visits == 0  # type: ignore[arg-type]
    on = SearchTree(graph, Line(6), name="fourth", root=below, resumed=True)
    assert on.statistics(on.root).visits > 50


def test_one_tree_that_goes_on_makes_all_of_its_search_go_on() -> None:
    first, second = open_graph(0), open_graph(1)
    earlier = SearchTree(first, Nim(21), name="first", solve=False)
    earlier.run(500)
    earlier.promote(ref="best", visits_min=20)
    earlier.search.close()
    first.flush()
    for delta in first.deltas("ledger", {}):
        second.receive(delta.plane, delta.update)
    joined = SearchTree(second, Nim(21), name="second", seed=1, solve=False)
    beside = SearchTree(second, Nim(21), name="second", seed=2, solve=False)
    for tree in (joined, beside):
        tree.run(100)
    resumed = SearchTree.resume(first, "best", Nim(21), name="second", solve=False)
    assert Inspection(first, "second").statistics(resumed.root).visits == 500
    resumed.run(100)
    late = SearchTree(first, Nim(21), name="second", seed=3, solve=False)
    late.run(100)
    trees = [joined, beside, resumed, late]
    for source, target in ((joined, resumed), (resumed, joined)):
        send(source.search, target.search)
    for tree in trees:
        tree.take_over()
    for tree in trees:
        assert tree.statistics(tree.root).visits == 900
        assert positions(tree) == positions(joined)
    assert Inspection(second, "second").statistics(joined.root).visits == 900


def test_promoting_again_counts_nothing_twice(graph: Graph) -> None:
    tree = SearchTree(graph, Line(6), name="first", solve=False)
    for _ in range(3):
        tree.run(100)
        tree.promote(ref="best", visits_min=10)
    other = SearchTree(graph, Line(6), name="first", solve=False)
    assert other.statistics(other.root).visits == 300
    tree.search.close()
    again = SearchTree.resume(graph, "best", Line(6), name="second", solve=False)
    assert again.statistics(again.root).visits == 300


def test_two_replicas_that_promote_the_same_count_it_once() -> None:
    trees = [SearchTree(open_graph(number), Line(6), name="first", seed=number, solve=False) for number in range(2)]
    for tree in trees:
        tree.run(100)
    for source, target in ((0, 1), (1, 0)):
        send(trees[source].search, trees[target].search)
    for tree in trees:
        tree.promote(visits_min=10)
        assert Statistics.of(tree.search.counters(tree.root)).visits == 200
        tree.search.close()
        again = SearchTree.resume(tree._graph, tree.root, Line(6), name="second")
        assert again.statistics(again.root).visits == 200


def test_resuming_an_advanced_tree_knows_where_it_stood(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21), name="first", solve=False)
    tree.run(500)
    tree.advance(1)
    tree.run(300)
    tree.promote(ref="best")
    again = SearchTree.resume(graph, "best", Nim(21), name="second", solve=False)
    assert (again.root, again.actions) == (tree.root, (1,))
    again.run(300)


def test_resuming_what_is_not_there(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21), name="first")
    tree.run(100)
    commit = tree.promote(ref="best")
    with pytest.raises(ProblemMismatchError, match="start=22"):
        SearchTree.resume(graph, commit, Nim(22), name="second")
    stranger = graph.commit(message="of no search", ref="main")
    with pytest.raises(LocalError, match="no search has promoted"):
        SearchTree.resume(graph, stranger, Nim(21), name="second")
    with pytest.raises(NotFoundError):
        SearchTree.resume(graph, "nothing", Nim(21), name="second")


def test_promoting_what_is_not_there(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21))
    tree.run(50)
    with pytest.raises(NotFoundError):
        tree.promote(b"x" * 32)  # type: ignore[arg-type]
    with pytest.raises(LocalError, match="visits_min"):
        tree.promote(visits_min=0)


def test_a_tree_above_a_commit_of_the_ledger(graph: Graph) -> None:
    start = graph.commit(message="the game so far", changes={"board": b"21"}, ref="main")
    tree = SearchTree(graph, Nim(21), root=start, solve=False)
    tree.run(300)
    commit = tree.promote(ref="main")
    assert graph.is_ancestor(start, commit)
    again = SearchTree.resume(graph, "main", Nim(21), name="second")
    assert again.root == start


# Pruning


def test_pruning_keeps_the_best_and_totals(graph: Graph) -> None:
    tree = SearchTree(graph, Line(12), solve=False)
    tree.run(2000)
    best, size, visits = tree.best_line(), len(tree), tree.statistics(tree.root)
    assert tree.prune() > 0
    assert len(tree) < size
    assert [node.commit for node in tree.best_line()] == [node.commit for node in best]
    assert tree.statistics(tree.root) == visits
    assert tree.search.live_count() <= size
    tree.run(500)
    assert tree.search.counters(tree.root)[0] == 2500


def test_what_was_pruned_is_never_tried_again(graph: Graph) -> None:
    tree = SearchTree(graph, Line(12), solve=False)
    tree.run(1000)
    assert tree.prune(fraction=0.5) > 0
    gone = list(tree._growth.root.child.pruned)
    before = [edge.visits for edge in gone]
    tree.run(1000)
    assert [edge.visits for edge in gone] == before
    other = SearchTree(graph, Line(12), seed=5, solve=False)
    other.run(300)
    assert [node.text for node in other.children()] == [node.text for node in tree.children()]


def test_two_who_keep_different_children_still_go_on() -> None:
    trees = [SearchTree(open_graph(number), Line(8), seed=number, solve=False) for number in range(2)]
    for tree, favourite in zip(trees, ("one", "zero"), strict=True):
        for _ in range(120):
            tree.tell([(task.id, float(task.actions[:1] == (favourite,))) for task in tree.ask(1)])
        assert tree.prune(fraction=0.5) > 0
    for source, target in ((0, 1), (1, 0)):
        send(trees[source].search, trees[target].search)
    for tree in trees:
        tree.run(200)
        assert tree._growth.root.child.edges == ()
    assert trees[0].best_action() in ("one", "zero")


@pytest.mark.parametrize("problem", [Line(30), Nim(60)], ids=["line", "nim"])
def test_memory_is_bounded(graph: Graph, problem: Any) -> None:
    tree = SearchTree(graph, problem, nodes_max=300, solve=False)
    tree.run(3000)
    assert len(tree) <= 300
    assert tree.iterations == 3000
    assert tree.search.counters(tree.root)[0] == 3000


def test_a_rule_of_keeping_of_ones_own(graph: Graph) -> None:
    class Two:
        def keeps(self, children: Children) -> list[bool]:
            return [number < 2 for number in range(len(children.visits))]

    tree = SearchTree(graph, Nim(40), solve=False)
    tree.run(500)
    tree.prune(Two())
    assert len(tree.children()) == 2
    with pytest.raises(LocalError, match="answers for"):
        tree.prune(type("None_", (), {"keeps": lambda self, children: []})())


def test_what_is_in_flight_is_not_pruned(graph: Graph) -> None:
    tree = SearchTree(graph, Line(30), solve=False)
    tree.run(300)
    tasks = tree.ask(30)
    tree.prune(fraction=0.9)
    tree.tell([(task.id, 0.5) for task in tasks])
    assert all(edge.flying == 0 and edge.child.flying == 0 for edge in tree._growth.by_commit.values())
    tree.flush()
    assert tree.search.counters(tree.root)[0] == tree.iterations


def test_pruning_on_several_replicas_agrees() -> None:
    trees = [SearchTree(open_graph(number), Nim(14), seed=number, solve=False) for number in range(2)]
    for tree in trees:
        tree.run(300)
    trees[0].prune(fraction=0.6)
    for source, target in ((0, 1), (1, 0)):
        send(trees[source].search, trees[target].search)
    for tree in trees:
        tree.take_over()
    assert digest(trees[0].search) == digest(trees[1].search)
    assert positions(trees[0]) == positions(trees[1])


def test_a_root_that_was_thrown_away_is_told(graph: Graph) -> None:
    first, second = (SearchTree(graph, Line(8), seed=seed, solve=False) for seed in (1, 2))
    first.run(100)
    second.run(100)
    second.advance("zero")
    first.advance("one", discard=True)
    with pytest.raises(LocalError, match="was thrown away") as caught:
        second.run(100)
    assert caught.value.hint


def test_what_a_compaction_let_go_of_is_not_missed(graph: Graph) -> None:
    trees = [SearchTree(graph, Nim(40), seed=seed, solve=False) for seed in (1, 2)]
    for _ in range(4):
        for tree in trees:
            tree.run(2_000)
        trees[0].prune(fraction=0.6)
        for _ in graph._searches[trees[0].search.plane].compact_steps():
            pass
    for tree in trees:
        tree.take_over()
    assert positions(trees[0]) == positions(trees[1])
    assert trees[0].search.counters(trees[0].root)[0] == 16_000


def test_rules_of_keeping() -> None:
    children = Children([1000, 400, 4], [0.5, -0.5, 0.0], [0.8, 0.8, 0.0], 2.0)
    assert Hopeful(3).keeps(children) == [True, False, True]
    assert MostVisited(0.4).keeps(children) == [True, True, False]
    assert MostVisited(0.9).keeps(children) == [True, False, False]
    assert MostVisited(0.9, visits_min=5_000).keeps(children) == [True] * 3
    for wrong in (lambda: Hopeful(0), lambda: MostVisited(0), lambda: MostVisited(1.0), lambda: Hopeful(float("nan"))):
        with pytest.raises(LocalError):
            wrong()


@pytest.mark.parametrize("visits_min", [1, 5])
def test_nodes_of_a_tree_with_cycles_are_promoted_once(graph: Graph, visits_min: int) -> None:
    tree = SearchTree(graph, Ring(7), solve=False)
    tree.run(400)
    # Each position has two ways on, so there is a great number of lines, most of which come back to themselves.
    tree.promote(visits_min=visits_min)
    expected = {each for each, edge in tree._growth.by_commit.items() if edge.visits >= visits_min}
    assert {each for each in expected if each in graph} == expected
    listed = list(tree.top(depth=1_000, visits_min=40))
    assert max(node.depth for node in listed) <= 2 * 7 + 1


def test_a_line_is_promoted_whose_states_are_not_kept(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "STATES_MAX", 1)
    tree = SearchTree(graph, Nim(21), solve=False)
    tree.run(3_000)
    # By the first ways to it, and by others: a line of which some commits are still to be made.
    for actions in itertools.product((1, 2, 3), repeat=4):
        tree.promote([next(node for node in tree.children(actions[:n]) if node.action == actions[n]) for n in range(4)])


def test_a_pruned_action_that_is_promoted_on_another_way_is_open_again(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21), solve=False)
    tree.run(2_000)
    edge = tree._keeper.find([1, 2, 1])
    for commit in edge.commits:
        tree.search.discard(commit)
        tree._growth._discarded(commit)
    assert edge in edge.home.pruned
    tree._keeper._commit_of([2, 1, 1])
    assert edge in edge.home.edges
