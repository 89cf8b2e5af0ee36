"""What a compaction leaves out follows from discards of others, and these may be lost with whoever said them.

A third replica that holds what was left out, and a newcomer, hear of the compaction alone: they have the same segments.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from crdtgraph import CommitId, Search
from tests.crdtgraph.searches.exchanging import ROOT, digest, open_graph, plane_of, send


class Cast:
    """Who compacts, who discards and dies, who holds what is left out, and who comes last."""

    def __init__(self, stack: ExitStack) -> None:
        self.graphs = [stack.enter_context(open_graph(number)) for number in range(5)]
        self.compactor, self.discarder, self.other, self.holder, self.newcomer = [
            graph.search("s") for graph in self.graphs
        ]

    def know_all(self, *searches: Search) -> None:
        """Everybody but the newcomer, or these, hear of what was said so far."""
        known = searches or (self.compactor, self.discarder, self.other, self.holder)
        for source in known:
            for target in known:
                if source is not target:
                    send(source, target)

    def discard(self, commit: CommitId) -> None:
        """Somebody discards it, and tells the compactor alone."""
        self.discarder.discard(commit)
        send(self.discarder, self.compactor, only_own=True)

    def assert_agreement(self) -> None:
        """The holder and the newcomer have the same segments of the compactor and of one more, and nobody else's."""
        for target in (self.holder, self.newcomer):
            send(self.other, target, only_own=True)
            send(self.compactor, target, only_own=True)
        assert digest(self.holder) == digest(self.newcomer)


@pytest.fixture
def cast() -> Iterator[Cast]:
    with ExitStack() as stack:
        yield Cast(stack)


def commit(search: Search, parent: CommitId, message: str) -> CommitId:
    return search.commit(parents=[parent], message=message, author="mcts", time=0)


def compact(search: Search) -> None:
    for _ in plane_of(search).compact_steps():
        pass


def prune(search: Search) -> None:
    for _ in plane_of(search).grounded.prune_steps():
        pass


def test_a_commit_left_out_because_of_a_discard_that_is_lost(cast: Cast) -> None:
    top = commit(cast.other, ROOT.id, "top")
    cast.know_all()
    below = commit(cast.compactor, commit(cast.compactor, top, "middle"), "below")
    cast.know_all()
    cast.discard(top)
    compact(cast.compactor)
    assert cast.holder.is_live(below)
    cast.assert_agreement()
    assert not cast.holder.is_live(below)


def test_a_commit_left_out_that_was_let_go_of_before(cast: Cast) -> None:
    top = commit(cast.other, ROOT.id, "top")
    middle = commit(cast.other, top, "middle")
    cast.know_all()
    below = commit(cast.compactor, middle, "below")
    cast.know_all()
    cast.discard(top)
    prune(cast.compactor)
    assert below not in cast.compactor
    compact(cast.compactor)
    cast.assert_agreement()


def test_a_commit_left_out_that_is_discarded_by_way_of_the_ledger(cast: Cast) -> None:
    first = commit(cast.discarder, ROOT.id, "first")
    for graph in cast.graphs:
        assert graph.commit(parents=[ROOT.id], message="first", author="mcts", time=0) == first
        second = graph.commit(parents=[first], message="second", author="mcts", time=0)
    below = commit(cast.compactor, commit(cast.compactor, second, "middle"), "below")
    cast.know_all(cast.compactor, cast.holder)
    cast.discard(first)
    assert not cast.compactor.is_live(below)
    compact(cast.compactor)
    cast.assert_agreement()


def test_a_discard_left_out_because_of_one_above_that_is_lost(cast: Cast) -> None:
    top = commit(cast.other, ROOT.id, "top")
    below = commit(cast.other, top, "below")
    cast.know_all()
    cast.compactor.discard(below)
    cast.know_all()
    cast.discard(top)
    compact(cast.compactor)
    cast.assert_agreement()
    assert not cast.newcomer.is_live(below)


def test_a_discard_that_was_repeated_and_is_left_out_later(cast: Cast) -> None:
    top = commit(cast.other, ROOT.id, "top")
    middle = commit(cast.other, top, "middle")
    cast.know_all()
    commit(cast.compactor, middle, "below")
    cast.know_all()
    cast.discard(middle)
    compact(cast.compactor)
    cast.discard(top)
    compact(cast.compactor)
    cast.assert_agreement()


def test_what_nothing_was_left_out_for_is_not_repeated(cast: Cast) -> None:
    top = commit(cast.other, ROOT.id, "top")
    cast.know_all()
    commit(cast.compactor, ROOT.id, "kept")
    cast.discard(top)
    compact(cast.compactor)
    plane = plane_of(cast.compactor)
    assert [plane.segment(key).discards for key in plane.own_segments()] == [[]]
