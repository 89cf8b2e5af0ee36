"""A pool of worker processes: they work, fail and die, and the search goes on or says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crdtgraph import Graph, LocalError
from crdtgraph.mcts import Budget, Stop
from crdtgraph.mcts.desk import WorkersFailedError
from sync.workers.pool import Workers, search_with_workers
from tests.sync.problems import Moody, Nim, Unpicklable, make_nim
from tests.sync.workers.hosting import settled, tree_of


@pytest.mark.parametrize("problem", [Nim(), make_nim, Nim], ids=["instance", "function", "class"])
def test_processes_search_a_tree(graph: Graph, problem: Any) -> None:
    tree = tree_of(graph)
    seen: list[int] = []
    spent = search_with_workers(
        tree, problem, Budget(iterations=1_500), workers=2, on_progress=lambda each: seen.append(each.iterations)
    )
    assert (spent.iterations, spent.stop) == (1_500, Stop.ITERATIONS)
    assert settled(tree) == 1_500
    assert seen[-1] == 1_500
    assert tree.best_action() in (1, 2, 3)
    assert tree.promote(ref="best") in graph


def test_a_worker_that_is_killed_costs_what_it_had_in_hand(graph: Graph, tmp_path: Path) -> None:
    tree = tree_of(graph, Moody())
    spent = search_with_workers(tree, Moody(folder=str(tmp_path), mood="die once"), 400, workers=2)
    assert (tmp_path / "done").exists(), "one of them was killed"
    assert spent.iterations == settled(tree) == 400


@pytest.mark.parametrize("mood", ["fail once", "text once"])
def test_what_fails_once_is_tried_again(graph: Graph, tmp_path: Path, mood: str) -> None:
    tree = tree_of(graph, Moody())
    spent = search_with_workers(tree, Moody(folder=str(tmp_path), mood=mood), 200, workers=2)
    assert (tmp_path / "done").exists()
    assert spent.iterations == settled(tree) == 200


@pytest.mark.parametrize(
    "mood, message", [("fail", "raised ValueError: no such luck"), ("nan", "an evaluation is nan")]
)
def test_an_error_of_the_problem_ends_the_search_with_the_workers_name(
    graph: Graph, tmp_path: Path, mood: str, message: str
) -> None:
    tree = tree_of(graph, Moody())
    with pytest.raises(WorkersFailedError, match=f"^worker 'worker [01]': .*{message}") as caught:
        search_with_workers(tree, Moody(folder=str(tmp_path), mood=mood), 200, workers=2)
    assert "failed 3 times after" in caught.value.hint
    if mood == "fail":
        assert 'raise ValueError("no such luck")' in caught.value.detail
    assert tree.inflight() == {}


def test_a_search_without_workers_left_ends(graph: Graph, tmp_path: Path) -> None:
    tree = tree_of(graph, Moody())
    with pytest.raises(LocalError, match=r"ended|lost"):
        search_with_workers(tree, Moody(folder=str(tmp_path), mood="die"), 200, workers=1)
    assert tree.inflight() == {}
    graph.commit(message="the graph is good")


def test_evaluations_may_have_priors(graph: Graph, tmp_path: Path) -> None:
    tree = tree_of(graph, Moody())
    spent = search_with_workers(tree, Moody(folder=str(tmp_path), mood="priors"), 50, workers=1, batch=1)
    assert spent.iterations == settled(tree) == 50


@pytest.mark.parametrize("count", [0, 65, True, "2"])
def test_a_pool_has_a_number_of_workers(count: Any) -> None:
    with pytest.raises(LocalError, match="workers"):
        Workers(Nim(), count, "nowhere")


def test_a_problem_that_cannot_be_sent_is_an_error() -> None:
    with pytest.raises(LocalError, match="cannot be sent to another process: TypeError: it holds a socket"):
        Workers(Unpicklable(), 1, "nowhere")


def test_workers_that_find_no_node_say_so(tmp_path: Path) -> None:
    with Workers(Nim(), 1, tmp_path / "control") as pool:
        pool.close()
        assert "no node answers" in pool.ends()["worker 0"]
        assert pool.alive() == 0
