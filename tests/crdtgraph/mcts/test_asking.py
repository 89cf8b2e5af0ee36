"""Ask and tell: what a tree gives out to be evaluated elsewhere, in flight until it is told or given back."""

from __future__ import annotations

from random import Random

import pytest

from crdtgraph import Graph
from crdtgraph.mcts import PUCT, UCT, Evaluation, InFlight, SearchTree, Widening, evaluate_tasks
from tests.crdtgraph.mcts.problems import Line, open_graph


def test_ask_and_tell_from_elsewhere_comes_to_the_same_totals(graph: Graph) -> None:
    problem = Line(8)
    tree = SearchTree(graph, problem, solve=False)
    rng = Random(3)
    while tree.iterations < 300:
        tasks = tree.ask(7)
        assert len({task.id for task in tasks}) == len(tasks)
        # As from another process: the state is not sent, the actions are.
        bare = [type(task)(task.id, task.commit, task.actions) for task in tasks]
        assert tree.tell(evaluate_tasks(problem, bare, rng)) == len(tasks)
    assert tree.inflight() == {}
    tree.flush()
    assert tree.search.counters(tree.root)[0] == tree.iterations


def test_what_is_asked_is_in_flight_until_it_is_told_or_given_back(graph: Graph) -> None:
    tree = SearchTree(graph, Line(8))
    tasks = tree.ask(5)
    assert tree.inflight()[tree.root] == 5
    assert tree.tell([(tasks[0].id, 0.5)]) == 1
    assert tree.tell([(tasks[0].id, 0.5)]) == 0, "an answer counts once"
    tree.give_back([task.id for task in tasks[1:3]])
    assert tree.inflight()[tree.root] == 2
    assert tree.tell([(tasks[1].id, 0.5)]) == 0, "what was given back is late"
    tree.close()
    assert tree.inflight() == {}
    assert tree.search.counters(tree.root)[0] == 1


def test_in_flight_simulations_spread_out(graph: Graph) -> None:
    tree = SearchTree(graph, Line(8), seed=1)
    tree.run(20)
    leaves = [task.commit for task in tree.ask(8)]
    assert len(set(leaves)) > 4


@pytest.mark.parametrize("mode", list(InFlight))
def test_what_others_have_in_flight_is_avoided_unless_it_is_ignored(graph: Graph, mode: InFlight) -> None:
    tree = SearchTree(graph, Line(60), in_flight=mode, rule=UCT(1.0), solve=False)
    for _ in range(60):
        tree.tell([(task.id, float(task.actions[:1] == ("one",))) for task in tree.ask(1)])
    best = tree.children()[0]
    assert best.commit is not None
    tree.set_remote_inflight("w2", {best.commit: 100_000, tree.root: 100_000})
    (task,) = tree.ask(1)
    assert (task.actions[0] == best.action) is (mode is InFlight.IGNORED)
    tree.give_back([task.id])
    tree.set_remote_inflight("w2", {})
    (task,) = tree.ask(1)
    assert task.actions[0] == best.action


def test_in_flight_of_a_commit_that_is_not_known_yet_counts_once_it_is(graph: Graph) -> None:
    other = SearchTree(open_graph(1), Line(8), seed=2)
    other.run(3)
    flying = {node.commit: 5 for node in other.children() if node.commit}
    tree = SearchTree(graph, Line(8), seed=1)
    tree.set_remote_inflight("w2", flying)
    tree.run(3)
    assert [node.in_flight for node in tree.children()] == [5] * len(tree.children())


def test_batches_reach_a_problem_that_likes_them(graph: Graph) -> None:
    sizes: list[int] = []

    class Batched(Line):
        def evaluate_many(self, states: list[str], rng: Random) -> list[Evaluation]:
            sizes.append(len(states))
            return [Evaluation(state.count("1") / 6, [0.2, 0.8]) for state in states]

    tree = SearchTree(graph, Batched(), rule=PUCT(), solve=False)
    tree.run(100)
    assert tree.iterations == 100
    assert max(sizes) == 16
    assert tree.best_action() == "one"


def test_priors_say_what_is_tried_first(graph: Graph) -> None:
    class Wide(Line):
        def actions(self, state: str) -> list[str]:
            return [str(number) for number in range(50)] if not state else super().actions(state)

        def apply(self, state: str, action: str) -> str:
            return super().apply(state, "one" if action == "33" else action)

        def priors(self, state: str) -> list[float]:
            return [9.0 if number == 33 else 0.1 for number in range(50)] if not state else [1.0, 1.0]

    tree = SearchTree(graph, Wide(), rule=PUCT(), solve=False)
    tree.run(60)
    assert tree.best_action() == "33"


def test_progressive_widening_bounds_the_children(graph: Graph) -> None:
    class Wide(Line):
        def actions(self, state: str) -> range:  # type: ignore[override]
            return range(1_000 if len(state) < 3 else 0)

    tree = SearchTree(graph, Wide(), widening=Widening(k=1.0, alpha=0.5), solve=False)
    tree.run(400)
    assert 15 <= len(tree.children()) <= 20
