"""Workers that are threads of the tree's own process."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtgraph import Graph, LocalError
from crdtgraph.mcts.desk import WorkersFailedError
from sync.workers.threads import search_with_threads
from tests.sync.problems import Moody, Nim
from tests.sync.workers.hosting import settled, tree_of


async def test_threads_search_a_tree(graph: Graph) -> None:
    tree = tree_of(graph)
    spent = await search_with_threads(tree, Nim(), 300, threads=3, batch=2)
    assert spent.iterations == settled(tree) == 300


async def test_an_error_in_a_thread_ends_the_search(graph: Graph, tmp_path: Path) -> None:
    tree = tree_of(graph, Moody())
    with pytest.raises(WorkersFailedError, match=r"^worker 'thread \d': .*no such luck"):
        await search_with_threads(tree, Moody(folder=str(tmp_path), mood="fail"), 300, threads=2)
    assert tree.inflight() == {}
    with pytest.raises(LocalError, match="0 threads"):
        await search_with_threads(tree, Nim(), 300, threads=0)


async def test_threads_with_another_problem_than_the_trees_are_refused(graph: Graph) -> None:
    tree = tree_of(graph)
    with pytest.raises(LocalError, match="this worker's problem is"):
        await search_with_threads(tree, Nim(8), 300, threads=2)
    assert tree.iterations == 0
