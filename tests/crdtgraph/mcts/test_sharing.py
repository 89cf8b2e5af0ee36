"""Many trees on one search: totals agree whatever came when, transpositions are counted once, cycles are cut."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph import CommitId
from crdtgraph.mcts import ProblemMismatchError, SearchTree, Statistics
from crdtgraph.mcts.inspecting import Inspection
from tests.crdtgraph.mcts.problems import Line, Nim, Ring, open_graph, positions, send
from tests.crdtgraph.searches.exchanging import digest

WRITERS = 3

steps = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.integers(0, WRITERS - 1), st.integers(1, 30)),
        st.tuples(st.just("batch"), st.integers(0, WRITERS - 1), st.integers(2, 8)),
        st.tuples(st.just("send"), st.integers(0, WRITERS - 1), st.integers(0, WRITERS - 1)),
        st.tuples(st.just("hear"), st.integers(0, WRITERS - 1), st.just(0)),
        st.tuples(st.just("prune"), st.integers(0, WRITERS - 1), st.integers(1, 9)),
    ),
    max_size=25,
)


def every_total(tree: SearchTree) -> dict[tuple[int, bytes], tuple[int, int]]:
    """From scratch: the counters of the commits of each position, found by playing each commit's messages."""
    problem, search = tree._referee.problem, tree.search
    found: Counter[tuple[int, bytes]] = Counter()
    values: Counter[tuple[int, bytes]] = Counter()
    stack = [(tree.root, problem.initial(), tree._growth.root.child.mover)]
    while stack:
        commit, state, mover = stack.pop()
        if not search.is_live(commit):
            continue
        total = Statistics.of(search.counters(commit))
        found[mover, problem.key(state)] += total.visits
        values[mover, problem.key(state)] += total.value
        for child in search.children(commit):
            action = {str(each): each for each in problem.actions(state)}[search.get(child).message]
            player = problem.player(state) if hasattr(problem, "player") else 0
            stack.append((child, problem.apply(state, action), player))
    return {key: (found[key], values[key]) for key in found if found[key]}


@settings(max_examples=80)
@given(steps, st.booleans())
def test_totals_agree_in_any_order(script: list[tuple[str, int, int]], cyclic: bool) -> None:
    problem = Ring(5) if cyclic else Nim(9)
    trees = [SearchTree(open_graph(number), problem, seed=number, solve=False) for number in range(WRITERS)]
    pruned = False
    for what, number, argument in script:
        tree = trees[number]
        if what == "run":
            tree.run(argument)
        elif what == "batch":
            tasks = tree.ask(argument)
            tree.tell([(task.id, problem.evaluate(task.state, Random(task.id))) for task in tasks])
        elif what == "send":
            send(tree.search, trees[argument].search)
        elif what == "hear":
            tree.flush()
        else:
            pruned |= bool(tree.prune(fraction=argument / 10))
    for tree in trees:
        tree.flush()
    for source in trees:
        for target in trees:
            send(source.search, target.search)
    for tree in trees:
        tree.take_over()
    assert len({digest(tree.search) for tree in trees}) == 1
    first = positions(trees[0])
    assert [positions(tree) for tree in trees] == [first] * WRITERS
    done = sum(tree.iterations for tree in trees)
    assert trees[0].statistics(trees[0].root).visits >= done
    if not cyclic:
        assert first == every_total(trees[0])


def test_two_trees_of_one_process_see_each_other() -> None:
    graph = open_graph(0)
    first, second = SearchTree(graph, Nim(21), seed=1, solve=False), SearchTree(graph, Nim(21), seed=2, solve=False)
    first.run(200)
    second.run(200)
    first.take_over()
    second.take_over()
    assert positions(first) == positions(second)
    assert first.statistics(first.root).visits == 400


def test_a_tree_that_comes_late_takes_over_what_there_is() -> None:
    graph = open_graph(0)
    first = SearchTree(graph, Line(8), seed=1, solve=False)
    first.run(200)
    late = SearchTree(graph, Line(8), seed=2)
    assert late.statistics(late.root).visits == 200
    late.take_over()
    assert len(late) == len(first)
    assert [(node.text, node.visits, node.mean) for node in late.children()] == [
        (node.text, node.visits, node.mean) for node in first.children()
    ]


def test_nothing_is_computed_for_what_nobody_looks_at() -> None:
    graph = open_graph(0)
    first = SearchTree(graph, Line(8), seed=1)
    first.run(200)
    late = SearchTree(graph, Line(8), seed=2)
    assert len(late) < 10


# Transpositions


def commit_totals(tree: SearchTree) -> dict[CommitId, Statistics]:
    return {commit: Statistics.of(tree.search.counters(commit)) for commit in tree._growth.by_commit}


@pytest.mark.parametrize("problem", [Nim(12), Ring(5)], ids=["nim", "ring"])
def test_one_simulation_counts_once_at_every_position(problem: Nim | Ring) -> None:
    tree = SearchTree(open_graph(0), problem, seed=1, solve=False)
    for _ in range(300):
        before = {key: visits for key, (visits, _) in positions(tree).items()}
        tree.run(1)
        after = {key: visits for key, (visits, _) in positions(tree).items()}
        assert {after[key] - before.get(key, 0) for key in after} <= {0, 1}


def test_values_are_read_from_the_position_and_visits_from_the_way() -> None:
    tree = SearchTree(open_graph(0), Nim(8), seed=1, solve=False)
    tree.run(500)
    # 6 is reached by 1 and 1, and by 2; who moves there is not the same, so they are two positions.
    one, two = (next(node for node in tree.children() if node.action == action) for action in (1, 2))
    again = next(node for node in tree.children([1]) if node.action == 1)
    assert two.commit is not None
    assert again.commit is not None
    assert tree._growth.by_commit[two.commit].child is not tree._growth.by_commit[again.commit].child
    # 5, and the first player to move, by 1 and 2 and by 2 and 1.
    left = next(node for node in tree.children([1]) if node.action == 2)
    right = next(node for node in tree.children([2]) if node.action == 1)
    assert left.commit is not None
    assert right.commit is not None
    assert left.commit != right.commit
    assert left.mean == right.mean
    totals = commit_totals(tree)
    assert left.visits == totals[left.commit].visits
    assert right.visits == totals[right.commit].visits
    position = tree._growth.by_commit[left.commit].child
    assert position.visits == left.visits + right.visits
    assert one.visits + two.visits < 500


def test_a_walk_in_circles_ends() -> None:
    tree = SearchTree(open_graph(0), Ring(8), seed=1, solve=False)
    tree.run(2000)
    line = [node.action for node in tree.best_line()]
    assert line in (["left"] * 4 + ["stop"], ["right"] * 4 + ["stop"])
    for task in tree.ask(5):
        assert len(task.actions) <= 8


def test_a_state_from_which_all_leads_back_is_a_leaf() -> None:
    class Trap(Ring):
        def actions(self, state: tuple[int, bool]) -> list[str]:
            return ["left", "right"]

    tree = SearchTree(open_graph(0), Trap(4), seed=1)
    tree.run(200)
    assert tree.iterations == 200


def test_the_greatest_reward_and_the_best_line_are_known_to_all() -> None:
    trees = [SearchTree(open_graph(number), Line(5), seed=number, solve=False) for number in range(2)]
    for tree, iterations in zip(trees, (3, 500), strict=True):
        assert tree.greatest() is None
        tree.run(iterations)
    for source, target in ((0, 1), (1, 0)):
        send(trees[source].search, trees[target].search)
    assert trees[0].greatest() == trees[1].greatest()
    greatest = trees[0].greatest()
    assert greatest is not None
    assert greatest[0] == 1
    assert greatest[1] in trees[0].search
    line = trees[0].search.greatest("mcts/line")
    assert line is not None
    assert (line.number, line.payload) == (500, trees[1].best_line()[-1].commit)


# Which problem it is


@pytest.mark.parametrize("other", [Nim(22), Line(21)], ids=["other parameters", "other problem"])
def test_two_problems_cannot_share_a_search(other: Nim | Line) -> None:
    graph = open_graph(0)
    SearchTree(graph, Nim(21), name="x").run(10)
    with pytest.raises(ProblemMismatchError) as caught:
        SearchTree(graph, other, name="x")
    assert "Nim(start=21)" in str(caught.value)
    assert caught.value.hint
    SearchTree(graph, other, name="y").run(10)


def two_problems() -> tuple[SearchTree, SearchTree]:
    """Trees of two problems on one search that do not know of each other; the first began first."""
    ours = SearchTree(open_graph(0), Nim(21), solve=False)
    late = open_graph(1)
    for _ in range(1_000):
        late.now_us()
    theirs = SearchTree(late, Nim(22), solve=False)
    ours.run(20)
    theirs.run(60)
    return ours, theirs


def test_of_two_problems_that_meet_later_the_one_that_came_late_is_told() -> None:
    ours, theirs = two_problems()
    send(theirs.search, ours.search)
    send(ours.search, theirs.search)
    ours.run(100)
    assert ours.iterations == 120
    assert ours.statistics(ours.root).visits == 120
    for _ in range(3):
        # At every look and not only once.
        with pytest.raises(ProblemMismatchError, match=r"is about .*start=21"):
            theirs.run(20)


@pytest.mark.parametrize("knows", [0, 1])
def test_a_search_that_heard_of_another_problem_can_still_be_joined(knows: int) -> None:
    trees = two_problems()
    send(trees[1].search, trees[0].search)
    send(trees[0].search, trees[1].search)
    graph = trees[knows]._graph
    assert SearchTree(graph, Nim(21)).statistics(trees[0].root).visits == 20
    with pytest.raises(ProblemMismatchError):
        SearchTree(graph, Nim(22))
    seen = Inspection(graph, "mcts")
    assert "start=21" in seen.problem
    assert seen.root() == trees[0].root


def test_commits_of_somebody_else_in_the_search_do_no_harm() -> None:
    graph = open_graph(0)
    tree = SearchTree(graph, Nim(21), solve=False)
    tree.run(10)
    stranger = tree.search.commit(parents=[tree.root], message="no action at all")
    tree.search.count(stranger, [5, 5])
    tree.run(100)
    tree.take_over()
    assert tree.statistics(stranger) == Statistics()


def test_a_closed_tree_listens_no_more() -> None:
    graph = open_graph(0)
    with SearchTree(graph, Nim(21), solve=False) as tree:
        tree.run(10)
        search = tree.search
    assert search.counters(tree.root)[0] == 10
    assert graph._searches[search.plane].watches == []
    search.close()
    tree.close()


@pytest.mark.parametrize("how", ["advance", "discard", "prune"])
def test_what_others_have_in_flight_lands_after_their_way_is_forgotten(how: str) -> None:
    tree = SearchTree(open_graph(0), Nim(21), solve=False, seed=1)
    tree.run(1_000)
    tree.set_remote_inflight("far", dict.fromkeys(tree._growth.by_commit, 1))
    if how == "prune":
        tree._growth.throw_away(tree._growth.root.child.edges[0])
    else:
        tree.advance(1, discard=how == "discard")
    tree.set_remote_inflight("far", {})
    assert [edge for edge in tree._growth.by_commit.values() if edge.flying] == []
    assert [position for position in tree._growth.by_key.values() if position.flying] == []


@pytest.mark.parametrize("problem", [Nim(12), Nim(9), Ring(5)], ids=["nim12", "nim9", "ring"])
@pytest.mark.parametrize("seed", [*range(0, 60, 3), 348])
def test_an_action_that_was_pruned_here_is_open_when_it_was_tried_on_another_way(problem: Any, seed: int) -> None:
    rng = Random(seed)
    trees = [SearchTree(open_graph(number), problem, seed=seed + number, solve=False) for number in range(WRITERS)]
    for _ in range(40):
        tree, other, what = rng.choice(trees), rng.choice(trees), rng.random()
        if what < 0.4:
            tree.run(rng.randint(1, 60))
        elif what < 0.6:
            tasks = tree.ask(5)
            tree.tell([(task.id, 0.0) for task in tasks[:3]])
            tree.give_back([task.id for task in tasks])
        elif what < 0.85:
            send(tree.search, other.search)
        else:
            tree.prune(fraction=0.4)
    for tree in trees:
        tree.flush()
    for source in trees * 2:
        for target in trees:
            send(source.search, target.search)
    for tree in trees:
        tree.take_over()
    first = positions(trees[0])
    assert [positions(tree) for tree in trees] == [first] * WRITERS
    if isinstance(problem, Nim):
        assert first == every_total(trees[0])


@pytest.mark.parametrize("seed", range(3))
def test_two_trees_of_one_graph_agree_when_one_prunes(seed: int) -> None:
    graph = open_graph(0)
    trees = [SearchTree(graph, Nim(40), seed=seed * 2 + number, solve=False) for number in range(2)]
    for _ in range(4):
        for tree in trees:
            tree.run(1_500)
        trees[0].prune(fraction=0.6)
    for tree in trees:
        tree.take_over()
    assert positions(trees[0]) == positions(trees[1]) == every_total(trees[0])
    for tree in trees:
        edges = {edge: commit for commit, edge in tree._growth.by_commit.items()}
        assert all(tree.search.is_live(commit) or edge in edge.home.pruned for edge, commit in edges.items())
        assert all(edge.statistics == edge.counted for edge in edges)


def test_a_commit_that_is_there_already_comes_with_what_others_made_of_it() -> None:
    graph = open_graph(0)
    tree, other = (SearchTree(graph, Nim(9), seed=seed, solve=False) for seed in (1, 2))
    other.run(200)
    growth = tree._growth
    growth.settle(growth.descend(), (0, 0))
    # Nothing was heard yet, so this tree tries an action by itself, and goes on from what the other one found there.
    edge = growth.descend()[1]
    assert edge.commit is not None
    assert edge.statistics == Statistics.of(tree.search.counters(edge.commit))
    assert edge.visits > 10
    assert {each.commit for each in edge.child.edges} >= set(tree.search.children(edge.commit))
    tree.take_over()
    assert positions(tree) != {}
    assert tree.search.counters(edge.commit)[0] == edge.visits
