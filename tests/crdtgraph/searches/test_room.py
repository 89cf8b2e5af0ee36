"""Places for searches are bounded, and those that peers tell of never take the places of programs here."""

from __future__ import annotations

import random

import pytest

import crdtgraph
from crdtgraph import Commit, Graph, Host, LocalError
from crdtgraph.searches.searching import EMPTY_KEPT_US, OTHERS_MAX, SEARCHES_MAX, Hearing
from tests.crdtgraph.searches.exchanging import open_graph, plane_of, send

OWN_MAX = SEARCHES_MAX - OTHERS_MAX


class Clock:
    """A graph on a clock that the test moves."""

    def __init__(self) -> None:
        self.now_us = 1_700_000_000_000_000
        host = Host(now_us=lambda: self.now_us, random_bytes=random.Random(1).randbytes)
        self.graph = crdtgraph.open("memory:", host=host)
        self.graph.commit(message="root", ref="main")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def hear(graph: Graph, *names: str) -> set[Hearing]:
    return {graph.hear_of(f"search/{name}") for name in names}


def test_a_peer_that_tells_of_any_number_locks_no_program_out(clock: Clock) -> None:
    graph = clock.graph
    assert hear(graph, *map(str, range(OTHERS_MAX))) == {Hearing.OPEN}
    assert hear(graph, *map(str, range(OTHERS_MAX, 1_000))) == {Hearing.FULL}
    root = graph.roots()[0]
    for number in range(SEARCHES_MAX):
        # Those of the peer make room, the oldest first, as nothing was ever said in them.
        own = graph.search(f"own {number}")
        own.commit(parents=[root], message="x")
        assert len(graph.searches()) == min(SEARCHES_MAX, OTHERS_MAX + number + 1)
        assert own.is_open
    assert all(name.startswith("own") for name in graph.searches())
    assert hear(graph, "1000") == {Hearing.FULL}
    assert not graph.closed_searches()


def test_a_full_table_says_how_to_make_room(clock: Clock) -> None:
    graph = clock.graph
    for number in range(SEARCHES_MAX):
        graph.search(f"own {number}")
    with pytest.raises(LocalError, match=f"^{SEARCHES_MAX} searches are open.*none for 'one more'") as caught:
        graph.search("one more")
    assert "`crdtgraph searches`" in caught.value.hint
    assert "`crdtgraph searches close NAME`" in caught.value.hint
    graph.search("own 7").close()
    assert graph.search("one more").is_open


def test_searches_in_which_something_was_said_make_room_for_nobody() -> None:
    with open_graph(0) as one, open_graph(1) as other:
        for number in range(OTHERS_MAX):
            search = one.search(f"{number}")
            search.assign("line", b"x")
            assert other.hear_of(search.plane) is Hearing.OPEN
            plane = other._searches[search.plane]
            send(search, other.search(f"{number}"))
            # Nobody here has asked for it; what was sent was heard.
            plane.is_joined = False
        assert hear(other, "late") == {Hearing.FULL}
        for number in range(OWN_MAX):
            other.search(f"own {number}")
        with pytest.raises(LocalError, match="are open"):
            other.search("one more")
        assert len(other.searches()) == SEARCHES_MAX


def test_what_a_peer_tells_of_takes_the_place_of_what_stayed_empty(clock: Clock) -> None:
    graph = clock.graph
    hear(graph, *map(str, range(OTHERS_MAX)))
    clock.now_us += EMPTY_KEPT_US - 1
    # What was said in them may be under way still.
    assert hear(graph, "late") == {Hearing.FULL}
    clock.now_us += 1
    assert hear(graph, "late") == {Hearing.OPEN}
    assert "0" not in graph.searches()
    assert len(graph.searches()) == OTHERS_MAX
    assert graph.hear_of("search/1") is Hearing.OPEN


def test_what_a_program_has_asked_for_makes_room_for_nobody(clock: Clock) -> None:
    graph = clock.graph
    mine = [graph.search(f"own {number}") for number in range(OWN_MAX)]
    hear(graph, *map(str, range(OTHERS_MAX)))
    clock.now_us += EMPTY_KEPT_US
    hear(graph, *map(str, range(OTHERS_MAX, 1_000)))
    assert all(search.is_open for search in mine)


def test_only_a_search_in_which_nothing_was_said_is_forgotten(clock: Clock) -> None:
    graph = clock.graph
    root = Commit((), "ada", 0, "root")
    graph.commit_many([root])
    for name in ("buffered", "packed", "empty"):
        search = graph.search(name)
        if name != "empty":
            search.count(root.id, [1])
        if name == "packed":
            search.flush()
        assert plane_of(search).is_empty == (name == "empty")
        assert graph.forget_search(name) == (name == "empty")
    assert graph.searches() == ["buffered", "packed"]
    assert not graph.closed_searches()
