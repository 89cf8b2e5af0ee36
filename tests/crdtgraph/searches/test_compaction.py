"""Searches are compacted by their writers: what they take follows what is live; a crash on the way loses nothing."""

from __future__ import annotations

import pytest

from crdtgraph import CommitId, Graph, NotFoundError, Search
from crdtgraph.exchange import deltas, receive_steps
from crdtgraph.segment import Part, Records, RemoteSegmentError, pack, unpack
from tests.crdtgraph.searches.exchanging import ROOT, digest, open_graph, plane_of, send


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.searches.compaction.SPARE_RECORDS", 50)
    monkeypatch.setattr("crdtgraph.searches.projection.PRUNED_MIN", 10)


def child_of(search: Search, parent: CommitId, message: str) -> CommitId:
    return search.commit(parents=[parent], message=message, author="mcts", time=0)


def compact(graph: Graph) -> None:
    for _ in graph.compact_steps():
        pass


def play(search: Search, rounds: int, *, flushed: bool = True) -> CommitId:
    """Rounds in each of which ten commits are made and counted, and all but one are thrown away."""
    at = ROOT.id
    for number in range(rounds):
        loser, winner = child_of(search, at, f"loser {number}"), child_of(search, at, f"winner {number}")
        tried = [child_of(search, loser, str(each)) for each in range(8)]
        for commit in (*tried, loser, winner):
            search.count(commit, (1, number))
        search.discard(loser)
        at = winner
        if flushed:
            search.flush()
    return at


def test_a_plane_follows_what_is_live_and_not_what_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_graph(0) as graph:
        search = graph.search("s")
        best = play(search, 300)
        plane = plane_of(search)
        # 300 winners with a count each, 300 losers that are their siblings, and as many discards.
        assert sum(plane._own.values()) <= 2 * 1_200 + 50 + 3 * 22
        assert len(plane.projection) < 3_300
        compact(graph)
        compact(graph)
        for _ in plane.grounded.prune_steps():
            pass
        assert sum(plane._own.values()) == 1_200
        assert len(plane.projection) == 601
        assert len(plane.projection.counters) <= 600
        assert search.live_count() == 300
        assert search.counters(best) == (1, 299)
        assert plane.segment_count() == 2


def test_compaction_needs_nobody_to_ask_for_it() -> None:
    with open_graph(0) as graph:
        search = graph.search("s")
        play(search, 1_000, flushed=False)
        # Of 21,000 records 4,000 are of use, and at most so many more come before they are joined.
        assert sum(plane_of(search)._own.values()) < 21_000 / 2
        assert plane_of(search).grounded.renumbered >= 2


def test_runs_and_not_single_segments_are_remembered() -> None:
    with open_graph(0) as one, open_graph(1) as other:
        here, there = one.search("s"), other.search("s")
        play(here, 300)
        send(here, there)
        for plane in (plane_of(here), plane_of(there)):
            projection = plane.grounded
            assert len(projection._folded) <= plane.segment_count()
            runs = [len(starts) for starts in projection._runs._starts.values()]
            assert len(plane.projection.superseded) >= 200
            assert sum(runs) <= 3


def test_a_crash_between_two_parts_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.searches.compaction.fits", lambda records, size: records <= 100)
    with open_graph(0) as one, open_graph(1) as other, open_graph(2) as third:
        here, there = one.search("s"), other.search("s")
        play(here, 60)
        send(here, there)
        expected = digest(here)
        steps = plane_of(here).compact_steps()
        parts = 0
        for _ in steps:
            parts += any(plane_of(here).segment(key).part for key in [plane_of(here).own_segments()[-1]])
            if parts == 2:
                break
        send(here, there)
        late = third.search("s")
        send(there, late)
        assert parts == 2
        assert digest(here) == digest(there) == digest(late) == expected
        # The writer itself goes on, begins anew, and all is well.
        steps.close()
        plane_of(here)._work = None
        compact(one)
        send(here, there)
        assert digest(here) == digest(there) == expected
        assert plane_of(there).grounded._batches == {}


def test_whoever_dies_after_a_compaction_has_told_what_it_follows_from() -> None:
    with open_graph(0) as one, open_graph(1) as other, open_graph(2) as third:
        here, there, late = one.search("s"), other.search("s"), third.search("s")
        top = child_of(here, ROOT.id, "top")
        below = child_of(here, top, "below")
        send(here, there)
        here.discard(top)
        plane = plane_of(here)
        plane._work = plane._compact()
        for _ in range(9):
            plane.advance()
        assert plane.own_segments()[0].seq > 0
        # Peers have what was in the document; what was buffered is gone with the process.
        for delta in list(deltas(plane, plane_of(there).document.state_vector)):
            for _ in receive_steps(plane_of(there), delta.update):
                pass
        send(there, late)
        assert not there.is_live(below)
        assert digest(there) == digest(late)


def test_what_was_promoted_stays_the_searchs_own_although_it_was_discarded() -> None:
    with open_graph(0) as one, open_graph(1) as other:
        here, there = one.search("s"), other.search("s")
        first = child_of(here, ROOT.id, "first")
        second = child_of(here, first, "second")
        send(here, there)
        below = child_of(there, second, "below")
        here.promote(second)
        here.discard(first)
        compact(one)
        for _ in plane_of(here).grounded.prune_steps():
            pass
        assert not here.is_live(second)
        other.commit_many([one.get(first), one.get(second)])
        send(here, there)
        send(there, here)
        assert digest(here) == digest(there)
        assert not there.is_live(below)


def test_what_waits_for_a_commit_that_is_gone_goes_with_the_segment_that_says_it() -> None:
    with open_graph(0) as one, open_graph(1) as other, open_graph(2) as third:
        here, there = one.search("s"), other.search("s")
        top = child_of(here, ROOT.id, "top")
        middle = child_of(here, top, "middle")
        send(here, there)
        for number in range(5):
            child = child_of(there, middle, str(number))
            there.count(child, (1,))
            there.discard(child)
        here.discard(top)
        compact(one)
        late = third.search("s")
        send(here, late)
        send(there, late, only_own=True)
        assert len(plane_of(late).projection.pending) == 15
        send(here, there)
        compact(other)
        send(there, late)
        assert len(plane_of(late).projection.pending) == 0
        assert digest(late) == digest(there) == digest(here)


def test_a_discarded_commit_is_gone_only_after_its_watch_has_told() -> None:
    with open_graph(0) as one, open_graph(1) as other:
        here, there = one.search("s"), other.search("s")
        watch = here.watch()
        top = child_of(there, ROOT.id, "top")
        below = [child_of(there, top, str(number)) for number in range(30)]
        send(there, here)
        assert set(watch.take().commits) == {top, *below}
        kept = [child_of(here, ROOT.id, f"kept {number}") for number in range(20)]
        there.discard(top)
        send(there, here)
        compact(one)
        here.count(below[0], (1,))
        assert watch.take().discarded == (top,)
        compact(one)
        with pytest.raises(NotFoundError):
            here.count(below[0], (1,))
        assert here.is_live(kept[0])
        assert not here.is_live(top)
        assert watch.take().commits == ()


def test_a_step_of_letting_go_leaves_what_comes_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.searches.projection.NODES_AT_ONCE", 7)
    with open_graph(0) as graph:
        search = graph.search("s")
        at = play(search, 5)
        steps = plane_of(search).grounded.prune_steps()
        next(steps)
        late = child_of(search, at, "late")
        search.count(late, (3,))
        search.discard(child_of(search, at, "later"))
        expected = digest(search)
        for _ in steps:
            pass
        assert digest(search) == expected
        assert search.counters(late) == (3,)
        assert search.get(late).message == "late"
        assert search.children(at) == tuple(sorted(search.children(at)))


PARTS = {
    "not of a search": ("ledger", 5, Part(5, 0, 1)),
    "a number beyond the total": ("search/s", 5, Part(4, 1, 1)),
    "a total of none": ("search/s", 5, Part(5, 0, 0)),
    "the first one elsewhere": ("search/s", 5, Part(4, 0, 2)),
    "a later one at the start": ("search/s", 5, Part(5, 1, 2)),
    "too early a place": ("search/s", 5, Part(4, 2, 3)),
    "runs that touch": ("search/s", 5, Part(5, 0, 1, ((0, 2), (2, 1)))),
    "runs out of order": ("search/s", 5, Part(5, 0, 1, ((3, 1), (0, 2)))),
    "an empty run": ("search/s", 5, Part(5, 0, 1, ((0, 0),))),
    "a run beyond the start": ("search/s", 5, Part(4, 1, 2, ((0, 5),))),
    "a negative run": ("search/s", 5, Part(5, 0, 1, ((-1, 2),))),
}


@pytest.mark.parametrize("plane, seq, part", PARTS.values(), ids=PARTS.keys())
def test_a_part_that_cannot_be_is_refused(plane: str, seq: int, part: Part) -> None:
    with open_graph(0) as graph:
        records = Records([ROOT.id], [ROOT], [1])
        identity = graph._identity
        good = unpack(pack(records, plane="search/s", identity=identity, seq=5, part=Part(4, 1, 2, ((0, 3),))))
        assert good.part == Part(4, 1, 2, ((0, 3),))
        assert good.supersedes == ()
        with pytest.raises(RemoteSegmentError):
            unpack(pack(records, plane=plane, identity=identity, seq=seq, part=part))


def test_a_listener_that_answers_at_once_starts_no_compaction_within_another() -> None:
    graphs = [open_graph(0), open_graph(1)]
    searches = [graph.search("s") for graph in graphs]
    for source, target in (graphs, graphs[::-1]):
        source.on_durable(
            lambda delta, target=target: target.receive(delta.plane, delta.update) if "/" in delta.plane else None
        )
    for number in range(120):
        for search in searches:
            last = search.commit(parents=[ROOT.id], message=f"{number} {search is searches[0]}")
            for _ in range(60):
                last = search.commit(parents=[last], message="tried")
                search.count(last, [1, number])
            search.discard(search.children(ROOT.id)[0])
            search.flush()
    assert digest(searches[0]) == digest(searches[1])
