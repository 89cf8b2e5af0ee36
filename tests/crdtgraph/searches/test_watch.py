"""A watch tells what came in from others, each thing once, and takes no more memory than it may."""

from __future__ import annotations

import pytest

from crdtgraph import News
from crdtgraph.searches import watching
from tests.crdtgraph.searches.exchanging import ROOT, open_graph, plane_of, send


def test_what_came_in_is_told_once_and_in_order() -> None:
    with open_graph(0) as one, open_graph(1) as other:
        here, there = one.search("s"), other.search("s")
        own = here.commit(parents=[ROOT.id], message="own", author="mcts", time=0)
        there.commit(parents=[ROOT.id], message="own", author="mcts", time=0)
        watch = here.watch()
        assert not watch.take()
        first = there.commit(parents=[own], message="first")
        second = there.commit(parents=[first], message="second")
        for commit in (second, first, second, own):
            there.count(commit, (1,))
        there.discard(first)
        there.assign("line", b"x")
        send(there, here)
        expected = News((first, second), (second, first, own), (first,), ("line",))
        assert watch.take() == expected
        assert watch.take() == News()
        send(there, here)
        assert not watch.take()


def test_counts_of_ones_own_are_no_news_and_those_of_another_user_of_the_search_are() -> None:
    with open_graph(0) as graph:
        mine, yours = graph.search("s"), graph.search("s")
        child = mine.commit(parents=[ROOT.id], message="child")
        watch = mine.watch()
        mine.count(child, (1,))
        mine.raise_to("best", 1)
        assert not watch.take()
        yours.count(child, (1,))
        yours.raise_to("best", 2)
        assert watch.take() == News(counted=(child,), assigned=("best",))
        assert mine.counters(child) == (2,)
        watch.close()
        watch.close()
        yours.count(child, (1,))
        assert not watch.take()


def test_a_watch_that_nobody_looks_at_says_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "NAMES_MAX", 3)
    with open_graph(0) as graph:
        mine, yours = graph.search("s"), graph.search("s")
        children = [mine.commit(parents=[ROOT.id], message=str(number)) for number in range(9)]
        watch = mine.watch()
        mine.count(children[0], (1,))
        mine.raise_to("best", 1)
        for child in children[1:]:
            yours.count(child, (1,))
        assert len(watch._counted) <= 3
        news = watch.take()
        assert set(news.counted) == set(children)
        assert news.assigned == ("best",)
        assert not watch.take()
        yours.count(children[4], (1,))
        assert watch.take().counted == (children[4],)


def test_a_watch_that_nobody_looks_at_keeps_no_names_of_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "NAMES_MAX", 20)
    monkeypatch.setattr("crdtgraph.searches.projection.PRUNED_MIN", 10)
    with open_graph(0) as graph:
        search = graph.search("s")
        known = search.commit(parents=[ROOT.id], message="known")
        below = search.commit(parents=[known], message="below")
        watch = search.watch()
        kept = [search.commit(parents=[ROOT.id], message="kept")]
        for number in range(30):
            top = search.commit(parents=[ROOT.id], message=str(number))
            inner = search.commit(parents=[top], message="inner")
            for each in range(9):
                search.commit(parents=[inner], message=str(each))
            search.discard(inner)
            search.discard(top)
            kept.append(top)
            for _ in plane_of(search).grounded.prune_steps():
                pass
            assert len(watch._commits) + len(watch._discarded) <= 20 + 3 * len(kept)
        search.discard(below)
        search.discard(known)
        for _ in plane_of(search).grounded.prune_steps():
            pass
        news = watch.take()
        assert news.commits == tuple(kept)
        assert news.discarded == (*kept[1:], below, known)
