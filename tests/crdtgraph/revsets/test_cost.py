"""What evaluating a revset costs, and what may come in between."""

from __future__ import annotations

from itertools import islice

import pytest

from crdtgraph import Commit, CommitId, Graph
from crdtgraph.revsets import evaluate, evaluate_steps, run
from crdtgraph.revsets import sets as sets_module
from tests.crdtgraph.revsets.graphs import NOW, open_graph


def chain(length: int) -> Graph:
    graph = open_graph()
    parents: tuple[CommitId, ...] = ()
    commits = []
    for number in range(length):
        commits.append(Commit(parents, f"w{number % 7}", NOW + number, f"m{number}"))
        parents = (commits[-1].id,)
    graph.set_ref("main", graph.commit_many(commits)[-1])
    graph.flush()
    return graph


def test_a_listing_that_is_cut_off_reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = chain(20_000)
    reads = 0
    contents = graph._plane("ledger").contents
    get = type(contents).get

    def counting(self: object, location: int) -> Commit:
        nonlocal reads
        reads += 1
        return get(contents, location)

    monkeypatch.setattr(type(contents), "get", counting)
    for text in ("author(w3)", '::main & author("w3")', "limit(author(w3), 5)", "author(w3) & message(m)"):
        reads = 0
        assert len(list(islice(evaluate(graph, text, now_us=NOW), 5))) == 5
        assert 0 < reads < 300
    reads = 0
    assert len(list(islice(evaluate(graph, f"since(@{NOW + 19_990}) & author(w3)", now_us=NOW), 5))) < 5
    assert reads <= 10


def test_work_is_done_in_bounded_steps() -> None:
    graph = chain(20_000)
    selection = run(evaluate_steps(graph, ["author(nobody)"], now_us=NOW))
    batches = list(selection.batches())
    assert not any(batches)
    assert len(batches) >= 20_000 // sets_module.STEP_READS
    steps = list(evaluate_steps(graph, ["heads(~author(nobody))"], now_us=NOW))
    assert len(steps) >= 20_000 // sets_module.STEP_READS


def test_commits_that_arrive_between_two_steps_do_no_harm() -> None:
    graph = chain(3_000)
    steps = evaluate_steps(graph, ["~author(nobody) | heads() | (main::)"], now_us=NOW)
    for _ in range(5):
        next(steps)
        graph.commit(parents=[graph.refs["main"]], message="late", author="late", ref="main")
        graph.commit(message="late root")
    assert len(run(steps).nodes) >= 3_000
