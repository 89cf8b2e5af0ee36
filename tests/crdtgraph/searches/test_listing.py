"""Listings of a search in steps, between which its nodes may get other numbers."""

from __future__ import annotations

import pytest

from crdtgraph import LocalError
from crdtgraph.revsets import evaluate, evaluate_steps
from tests.crdtgraph.searches.exchanging import ROOT, open_graph, plane_of


def test_a_listing_during_which_commits_went_is_told_so_and_shows_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.revsets.sets.STEP_NODES", 64)
    with open_graph(0) as graph:
        search = graph.search("s")
        top = search.commit(parents=[ROOT.id], message="top")
        for number in range(300):
            search.commit(parents=[top], message=f"below {number}")
        kept = [search.commit(parents=[ROOT.id], message=f"kept {number}") for number in range(300)]
        listing = evaluate(graph, "all()", now_us=graph.now_us(), plane=search.plane).batches()
        steps = evaluate_steps(graph, ["~ancestors(heads())"], now_us=graph.now_us(), plane=search.plane)
        next(listing)
        next(steps)
        search.discard(top)
        for _ in plane_of(search).grounded.prune_steps():
            pass
        for each in (listing, steps):
            with pytest.raises(LocalError, match="let go of discarded commits"):
                next(each)
        assert set(kept) <= set(evaluate(graph, "all()", now_us=graph.now_us(), plane=search.plane))
