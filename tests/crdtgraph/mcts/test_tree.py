"""A tree finds what is best, repeats itself from a seed, and what it says of itself is true."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crdtgraph import Graph, LocalError
from crdtgraph.mcts import PUCT, UCT, Best, SearchTree, Statistics, Stop
from tests.crdtgraph.mcts.problems import Counted, Dice, Line, Nim, Three, open_graph

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("rule", [UCT(), PUCT()], ids=["uct", "puct"])
@pytest.mark.parametrize("start, best", [(21, 1), (6, 2), (7, 3)])
@pytest.mark.parametrize("solve", [True, False])
def test_nim_is_won(graph: Graph, rule: Any, start: int, best: int, solve: bool) -> None:
    tree = SearchTree(graph, Nim(start), rule=rule, solve=solve, seed=1)
    tree.run(4000)
    assert tree.best_action() == best
    assert tree.best_line()[0].proven == 1 if solve else tree.best_line()[0].mean > 0.3


def test_one_player_gets_all(graph: Graph) -> None:
    tree = SearchTree(graph, Line(6), solve=False)
    tree.run(2000)
    assert [node.action for node in tree.best_line()] == ["one"] * 6
    assert graph.state(tree.best_line()[-1].commit, plane=tree.search.plane) == {"bits": b"111111"}  # type: ignore[arg-type]


def test_each_of_three_players_looks_after_itself(graph: Graph) -> None:
    tree = SearchTree(graph, Three(), solve=False)
    tree.run(3000)
    assert [node.action for node in tree.best_line()][:3] == [0, 1, 2]


def test_chance_is_averaged_and_never_chosen(graph: Graph) -> None:
    tree = SearchTree(graph, Dice(), solve=False)
    tree.run(3000)
    good, bad = tree.children()
    assert (good.action, bad.action) == ("good", "bad")
    assert good.mean == pytest.approx(0.75, abs=0.05)
    # The line ends where chance moves.
    assert [node.action for node in tree.best_line()] == ["good"]
    assert sum(node.visits for node in tree.children(["good"])) + 1 >= good.visits


def test_what_is_proven_ends_the_run_and_is_true(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21))
    spent = tree.run(100_000)
    assert spent.stop is Stop.PROVEN
    assert tree.best_action() == 1
    assert tree.children()[0].proven == 1
    assert [node.proven for node in tree.best_line()][:3] == [1, -1, 1]


def test_totals_in_the_search_are_what_was_done(graph: Graph) -> None:
    tree = SearchTree(graph, Line(4), solve=False)
    tree.run(500)
    assert tree.iterations == 500
    root = Statistics.of(tree.search.counters(tree.root))
    assert root.visits == 500
    assert root == tree.statistics(tree.root)
    children = [Statistics.of(tree.search.counters(node.commit)) for node in tree.children() if node.commit]
    assert sum(child.visits for child in children) == 499
    assert sum(child.value for child in children) <= root.value


def test_one_expansion_is_the_same_commit_for_all(graph: Graph) -> None:
    trees = [SearchTree(open_graph(number), Line(3), seed=number) for number in range(2)]
    for tree in trees:
        tree.run(300)
    first, second = ({node.text: node.commit for node in tree.children()} for tree in trees)
    assert first == second


def test_a_seed_repeats_the_search_in_any_process() -> None:
    program = (
        "from tests.crdtgraph.mcts.problems import *\n"
        "from crdtgraph.mcts import SearchTree\n"
        "graph = open_graph(0)\n"
        "tree = SearchTree(graph, Nim(30), seed=7, solve=False)\n"
        "tree.run(700)\n"
        "tree.prune(fraction=0.5)\n"
        "tree.run(200, batch=8)\n"
        "commits = sorted(graph.heads(plane=tree.search.plane))\n"
        "print(len(tree), tree.promote(ref='best').hex(), graph.digest(plane=tree.search.plane).hex(), len(commits))\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] != b""


def test_another_seed_is_another_search() -> None:
    digests = set()
    for seed in (1, 2):
        graph = open_graph(0)
        tree = SearchTree(graph, Nim(40), seed=seed, solve=False)
        tree.run(50)
        digests.add(graph.digest(plane=tree.search.plane))
    assert len(digests) == 2


# Advancing


def test_advancing_keeps_what_is_below(graph: Graph) -> None:
    tree = SearchTree(graph, Line(60), solve=False)
    tree.run(500)
    child = tree.children()[0]
    size = len(tree)
    tree.advance(child.action)
    assert (tree.root, tree.actions) == (child.commit, (child.action,))
    assert tree.statistics(tree.root).visits >= child.visits
    assert len(tree) < size
    tree.run(500)
    assert {task.actions[0] for task in tree.ask(50)} == {child.action}


def test_advancing_to_what_nobody_tried(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21))
    tree.advance(2)
    tree.run(500)
    assert tree.actions == (2,)
    assert tree.best_action() == 3
    with pytest.raises(LocalError, match="no action at the root"):
        tree.advance(9)


def test_advancing_can_throw_the_rest_away(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21), solve=False)
    tree.run(300)
    others = [node.commit for node in tree.children()[1:]]
    tree.advance(tree.best_action(), discard=True)
    assert [tree.search.is_live(commit) for commit in others if commit] == [False] * len(others)
    assert tree.search.is_live(tree.root)


def test_a_tree_can_begin_in_the_midst(graph: Graph) -> None:
    first = SearchTree(graph, Nim(21), solve=False)
    first.run(300)
    child = first.children()[0]
    second = SearchTree(first.search, Nim(21), root=child.commit, solve=False)
    assert second.actions == (child.action,)
    assert second.statistics(second.root).visits >= child.visits
    second.run(100)


# Reading


def test_the_best_by_value_is_not_the_best_by_visits_when_luck_had_it(graph: Graph) -> None:
    tree = SearchTree(graph, Line(6), solve=False)
    tree.run(1)
    answers = {"zero": 0.9, "one": 0.5}
    for _ in range(40):
        (task,) = tree.ask(1)
        tree.tell([(task.id, answers[task.actions[0]])])
    by_visits, by_value = (tree.best_line(best)[0] for best in (Best.VISITS, Best.VALUE))
    assert by_visits.visits >= by_value.visits
    assert by_value.mean >= by_visits.mean


def test_the_top_is_in_order(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21), solve=False)
    tree.run(500)
    nodes = list(tree.top(depth=2, visits_min=3))
    assert [node.depth for node in nodes[:2]] == [0, 1]
    assert max(node.depth for node in nodes) == 2
    assert min(node.visits for node in nodes) >= 3
    assert nodes[0].commit == tree.root


def test_asking_for_a_node_that_nobody_tried_says_so(graph: Graph) -> None:
    tree = SearchTree(graph, Nim(21))
    with pytest.raises(LocalError, match="was not tried"):
        tree.children([1])
    with pytest.raises(LocalError, match="nothing was tried"):
        tree.best_action()


def test_states_are_made_again_when_they_are_not_kept(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.mcts.growth.STATES_MAX", 3)
    few, problem = open_graph(0), Counted(Nim(21))
    tree = SearchTree(few, problem, seed=3, solve=False)
    tree.run(300)
    monkeypatch.undo()
    every = SearchTree(graph, Counted(Nim(21)), seed=3, solve=False)
    every.run(300)
    assert few.digest(plane=tree.search.plane) == graph.digest(plane=every.search.plane)
    assert problem.calls["apply"] > 600


def test_a_lone_tree_counts_now_and_then_and_one_with_company_at_every_look(graph: Graph) -> None:
    def behind(tree: SearchTree) -> None:
        seen.append(tree.iterations - Statistics.of(tree.search.counters(tree.root)).visits)

    seen: list[int] = []
    tree = SearchTree(graph, Line(20), seed=1, solve=False)
    tree.run(3_000, now=lambda: 0.0, on_progress=behind)
    assert max(seen) > 2_000
    assert tree.search.counters(tree.root)[0] == 3_000
    other = SearchTree(graph, Line(20), seed=2, solve=False)
    other.run(10)
    seen.clear()
    tree.run(3_000, now=lambda: 0.0, on_progress=behind)
    assert set(seen[1:]) <= {-10, 0}
