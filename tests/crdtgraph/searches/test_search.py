"""Search planes: speculative commits above the ledger, thrown away one by one and then all together."""

from __future__ import annotations

import gc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import (
    LEDGER,
    CommitId,
    Graph,
    LocalError,
    NotFoundError,
    RemoteError,
)
from crdtgraph.opening import attach
from crdtgraph.projection import Projection
from crdtgraph.searches.plane import SearchPlane
from crdtgraph.searches.projection import SearchProjection
from crdtgraph.searches.searching import SEARCHES_MAX
from crdtgraph.store.memory import MemoryStore
from tests.crdtgraph.searches.graphs import CountingStore, ticking


def test_a_search_writes_nothing_to_disk(graph: Graph, store: CountingStore) -> None:
    writes, syncs = store.writes, store.syncs
    with graph.search("one") as search:
        parent: CommitId = graph.refs["main"]
        for number in range(2_000):
            parent = search.commit(parents=[parent], message=str(number))
            search.count(parent, [1, number])
        search.discard(parent)
        assert (store.writes, store.syncs) == (writes, syncs)
        assert search.get(parent).message == "1999"
        assert search.counters(parent) == (1, 1999)
        assert len(search) == 2_000
        assert search.live_count() == 1_999
        assert not search.is_live(parent)
    assert len(graph) == 1


def test_a_writer_sees_its_own_speculative_writes_at_once(graph: Graph) -> None:
    main = graph.refs["main"]
    search = graph.search("one")
    first = search.commit(parents=[main], message="first", changes={"board": b"x"})
    second = search.commit(parents=[first, main], message="second")
    assert first in search
    assert main not in search, "a base is the ledger's"
    assert search.get(main).message == "root"
    assert search.get(second).parents == (first, main)
    assert search.parents(second) == (first, main)
    assert set(search.children(main)) == {first, second}
    assert search.heads() == [second]
    assert graph.get(second, plane=search.plane).message == "second"
    assert second not in graph
    with pytest.raises(NotFoundError):
        graph.get(second)


def test_what_is_in_the_ledger_already_is_not_said_again(graph: Graph) -> None:
    main = graph.refs["main"]
    known = graph.commit(parents=[main], message="same", author="a", time=1)
    search = graph.search("one")
    assert search.commit(parents=[main], message="same", author="a", time=1) == known
    assert len(search) == 0
    below = search.commit(parents=[known], message="below")
    assert search.parents(below) == (known,)


def test_a_parent_that_is_nowhere(graph: Graph) -> None:
    search = graph.search("one")
    with pytest.raises(LocalError, match="parent 0101"):
        search.commit(parents=[CommitId(b"\1" * 32)], message="x")
    elsewhere = graph.search("two").commit(parents=[graph.refs["main"]], message="of another search")
    with pytest.raises(LocalError, match="is not in the graph"):
        search.commit(parents=[elsewhere], message="x")
    assert len(search) == 0


def test_a_name_is_good_for_one_search_also_on_replicas_that_hear_of_it(graph: Graph) -> None:
    assert graph.search("one").name == "one"
    assert graph.searches() == ["one"]
    graph.search("one").commit(parents=[graph.refs["main"]], message="x")
    graph.search("one").close()
    graph.search("one-too").close()
    assert graph.searches() == []
    assert list(graph.closed_searches()) == ["one"], "nothing is to be remembered of one that said nothing"
    with pytest.raises(LocalError, match="closed before"):
        graph.search("one")
    graph.search("one-too").close()
    graph.flush()
    with crdtgraph.open("memory:") as late:
        for delta in graph.deltas(LEDGER, {}):
            late.receive(LEDGER, delta.update)
        with pytest.raises(LocalError, match="closed before"):
            late.search("one")
        assert late.digest() == graph.digest()


def test_a_closed_search_answers_nothing_but_that_it_is_closed(graph: Graph) -> None:
    with graph.search("one") as search:
        made = search.commit(parents=[graph.refs["main"]], message="x")
    search.close()
    assert not search.is_open
    for call in (
        lambda: search.commit(parents=[made]),
        lambda: search.discard(made),
        lambda: search.promote(made),
        lambda: search.live_count(),
        lambda: len(search),
        lambda: search.get(made),
        lambda: search.heads(),
    ):
        with pytest.raises(LocalError, match="search 'one' is closed"):
            call()
    with pytest.raises(NotFoundError, match="search 'one' is closed"):
        graph.get(made, plane=search.plane)
    with pytest.raises(NotFoundError, match="no open search"):
        graph.close_search("one")


def test_peers_see_of_a_search_what_was_flushed_and_the_disk_nothing(graph: Graph, store: CountingStore) -> None:
    graph.flush()
    writes, syncs = store.writes, store.syncs
    given: list[str] = []
    graph.on_durable(lambda delta: given.append(delta.plane))
    search = graph.search("one")
    search.commit(parents=[graph.refs["main"]], message="x")
    assert graph.planes() == [LEDGER, search.plane]
    assert graph.stored_planes() == [LEDGER]
    assert not graph.state_vector(search.plane)
    assert graph.searches_wait()
    graph.flush_searches()
    assert not graph.searches_wait()
    assert list(graph.state_vector(search.plane)) == [graph.writer]
    assert given == [search.plane]
    assert (store.writes, store.syncs) == (writes, syncs)
    assert set(graph.write_behind()) == {LEDGER}
    search.close()
    for ask in (graph.state_vector, graph.set_digest, graph.segment_keys):
        with pytest.raises(RemoteError, match="no plane"):
            ask(search.plane)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 122, 7, None])
def test_names_that_are_none(graph: Graph, name: object) -> None:
    with pytest.raises(LocalError, match="search name"):
        graph.search(name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["x" * 122, "\u00e9" * 61, "x" * 2_000])
def test_a_name_that_is_too_long_is_told_how_long_it_may_be(graph: Graph, name: str) -> None:
    told = f"has {len(name.encode()):,} bytes; at most 121 are possible"
    for call in (graph.search, graph.close_search, graph.forget_search):
        with pytest.raises(LocalError, match=f"^search name .*{told}$"):
            call(name)
    assert graph.search(name[:60]).is_open
    with graph.search("x" * 121) as search, pytest.raises(LocalError, match=r"1,025 bytes; at most 1,024 are"):
        search.assign("k" * 1_025, b"")


def test_too_many_searches(graph: Graph) -> None:
    for number in range(SEARCHES_MAX):
        graph.search(str(number))
    with pytest.raises(LocalError, match=f"{SEARCHES_MAX} searches are open"):
        graph.search("one more")
    graph.search("0").close()
    graph.search("one more")


def test_a_base_is_not_the_searchs_to_throw_away(graph: Graph) -> None:
    main = graph.refs["main"]
    search = graph.search("one")
    search.commit(parents=[main], message="x")
    with pytest.raises(LocalError, match="belongs to the ledger"):
        search.discard(main)
    search.count(main, [1])
    assert search.counters(main) == (1,)
    assert graph.counters(main) == ()


def test_nothing_of_a_closed_search_stays_in_memory(graph: Graph) -> None:
    search = graph.search("one")
    for number in range(600):
        search.commit(parents=[graph.refs["main"]], message=f"the marker {number}")
    search.close()
    # Not even until the garbage collector comes.
    left = [each for each in gc.get_objects() if isinstance(each, crdtgraph.Commit) and "marker" in str(each.message)]
    assert left == []


def test_a_read_only_graph_has_no_searches() -> None:
    crdtgraph.open("memory:searches-read-only").close()
    reader = crdtgraph.open("memory:searches-read-only", read_only=True)
    with reader, pytest.raises(LocalError, match="for reading only"):
        reader.search("one")


# Laws

STEPS = st.lists(
    st.tuples(st.sampled_from(("commit", "commit", "commit", "discard", "count", "promote")), st.integers(0, 10**6)),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_search_is_what_a_plain_model_says(steps: list[tuple[str, int]]) -> None:
    with attach(MemoryStore(), host=ticking()) as graph:
        root = graph.commit(message="root")
        search = graph.search("law")
        parent_of: dict[CommitId, CommitId] = {}
        dead: set[CommitId] = set()
        promoted = {root}
        totals: dict[CommitId, int] = {}
        for kind, number in steps:
            known = [root, *parent_of]
            chosen = known[number % len(known)]
            if kind == "commit":
                made = search.commit(parents=[chosen], message=str(len(known)))
                parent_of[made] = chosen
                if chosen in dead:
                    dead.add(made)
            elif kind == "discard" and chosen != root:
                search.discard(chosen)
                grown = {chosen}
                for each, parent in parent_of.items():
                    if parent in grown:
                        grown.add(each)
                dead |= grown
            elif kind == "count":
                search.count(chosen, [number])
                totals[chosen] = totals.get(chosen, 0) + number
            elif kind == "promote":
                search.promote(chosen)
                at = chosen
                while at not in promoted:
                    promoted.add(at)
                    at = parent_of[at]
        assert len(search) == len(parent_of)
        assert {each for each in parent_of if not search.is_live(each)} == dead
        assert search.live_count() == len(parent_of) - len(dead)
        assert {each: search.counters(each) for each in totals} == {
            each: (total,) if total else () for each, total in totals.items()
        }
        assert set(graph.topological()) == promoted
        # The sums were kept up lazily; from scratch they are the same.
        plane = graph._searches[search.plane]
        live = [each for each in parent_of if each not in dead]
        expected = sum(int.from_bytes(each, "big") for each in live) % (1 << 256)
        assert int.from_bytes(plane.projection.components().commits, "big") == expected


def test_the_longest_name_of_a_search_can_be_read_again(graph: Graph) -> None:
    with pytest.raises(LocalError, match="search name"):
        graph.search("x" * 122)
    search = graph.search("x" * 121)
    made = [search.commit(parents=[graph.refs["main"]], message=str(number)) for number in range(300)]
    assert search.get(made[0]).message == "0"


def test_a_name_that_was_of_another_search_resolves_to_nothing_old(graph: Graph) -> None:
    search = graph.search("one")
    search.state(graph.refs["main"])
    assert graph.resolve(graph.refs["main"].hex()[:8], plane=search.plane) == graph.refs["main"]
    search.close()
    search = graph.search("one")
    made = search.commit(parents=[graph.refs["main"]], message="new")
    assert graph.resolve(made.hex()[:10], plane=search.plane) == made


def test_a_closed_search_leaves_nothing_to_the_garbage_collector(graph: Graph) -> None:
    root = graph.commit(message="root", ref="main")
    gc.collect()
    gc.disable()
    try:
        with graph.search("gone") as search:
            for number in range(600):
                made = search.commit(parents=[root], message=str(number))
                search.count(made, (1, number))
            search.discard(made)
        left = [each for each in gc.get_objects() if isinstance(each, SearchPlane | Projection)]
        assert [type(each) for each in left if getattr(each, "name", "") == "search/gone"] == []
        assert sum(type(each) is SearchProjection for each in left) == 0
    finally:
        gc.enable()
