"""The benchmark of workers measures what it says: every batch is new, and the stages are those of a batch."""

from __future__ import annotations

import os

import crdtgraph
from benchmarks.workers import BATCH, _stages, cpu_seconds, drafts
from tests.crdtgraph.searches.graphs import ticking


def test_no_two_batches_have_a_commit_in_common() -> None:
    with crdtgraph.open("memory:", host=ticking()) as graph:
        root = graph.commit(message="root")
        search = graph.search("move 1")
        ids = [search.commit_many(drafts(root, client, batch, None)) for client in (0, 1) for batch in (0, 1)]
        assert len(search) == len(set().union(*ids)) == 4 * BATCH


def test_the_stages_make_the_commits_of_a_batch() -> None:
    with crdtgraph.open("memory:", host=ticking()) as graph:
        root = graph.commit(message="root")
        search = graph.search("move 1")
        stages: dict[str, list[int]] = {}
        last = _stages(graph, search.plane, drafts(root, 0, 0, None), stages)
        assert last in search
        assert len(search) == BATCH
        assert len(stages) == 4
        assert all(sum(each) > 0 for each in stages.values())


def test_the_time_of_a_process_grows() -> None:
    assert cpu_seconds(os.getpid()) > 0
    assert cpu_seconds(None) == 0
