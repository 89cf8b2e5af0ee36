"""A search and the ledger that it stands on come by different ways: whatever comes first, all end with the same.

What "the same" is says an independent model, from the segments of the search and the commits of the ledger alone.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtgraph import LEDGER, Commit, Graph
from crdtgraph.document import item_update
from crdtgraph.ids import SegmentKey
from crdtgraph.segment import Records, pack, unpack
from simulations.searchmodel import SearchModel
from tests.sync.replicas import replica

NAME, PLANE = "s", "search/s"
Stored = dict[tuple[str, SegmentKey], bytes]


def stored_in(*graphs: Graph) -> Stored:
    """Everything that these hold, flushed before."""
    found: Stored = {}
    for graph in graphs:
        graph.flush()
        for plane in graph.planes():
            for key in graph.segment_keys(plane):
                for data in graph.segments_of(plane, key):
                    found[plane, SegmentKey.parse(key)] = data
    return found


def shuffled(stored: Stored, rng: random.Random) -> Iterator[tuple[str, SegmentKey, bytes]]:
    """All segments in an order that only keeps each writer's own, plane by plane."""
    logs = defaultdict(list)
    for plane, key in sorted(stored):
        logs[plane, key.writer].append(key)
    # Now and then one of the logs, or a plane, is far ahead of the others.
    weights = {name: rng.choice((1, 1, 20)) for name in sorted(logs)}
    while logs:
        names = sorted(logs)
        [name] = rng.choices(names, [weights[each] for each in names])
        key = logs[name].pop(0)
        if not logs[name]:
            del logs[name]
        yield name[0], key, stored[name[0], key]


def give(graph: Graph, plane: str, key: SegmentKey, data: bytes) -> None:
    """Let a graph receive one segment."""
    graph.hear_of(plane)
    graph.receive(plane, item_update(key, data).encode())


def model_of(graph: Graph, segments: Iterable[bytes]) -> SearchModel:
    """What a search is that has these segments, above the ledger of a graph."""
    return SearchModel(map(unpack, segments), {commit: graph.parents(commit) for commit in graph.topological()})


def check(graph: Graph, model: SearchModel) -> None:
    """A graph shows of the search what the model does."""
    search = graph.search(NAME)
    shown = [commit for commit in graph.topological(plane=PLANE) if commit in search]
    live = [commit for commit in shown if search.is_live(commit)]
    assert {commit: search.parents(commit) for commit in live} == model.live
    place = {commit: number for number, commit in enumerate(shown)}
    assert all(place.get(parent, -1) < place[commit] for commit in shown for parent in search.parents(commit))
    counted = {commit: search.counters(commit) for commit in {*live, *model.live_totals}}
    assert {commit: total for commit, total in counted.items() if total} == model.live_totals
    assert search.live_count() == len(live)
    for commit in live:
        children = {each for each in search.children(commit) if search.is_live(each)}
        assert children == {each for each in live if commit in model.visible[each]}
        assert search.get(commit).id == commit
        assert graph.generation(commit, plane=PLANE) == 1 + max(
            (graph.generation(parent, plane=PLANE) for parent in search.parents(commit)), default=0
        )


def act(graph: Graph, rng: random.Random) -> None:
    """Something that a program does which searches: it may look, and it may take a commit of the ledger for its own."""
    search = graph.search(NAME)
    known = list(dict.fromkeys([*graph.topological()[-6:], *graph.topological(plane=PLANE)[-8:]]))
    commit = rng.choice(known)
    kind = rng.randrange(9)
    if kind <= 2:
        parents = rng.sample(known, min(len(known), rng.choice((1, 1, 1, 2, 3))))
        search.commit(parents=parents, message=f"{rng.random()}")
    elif kind == 3:
        search.count(commit, [rng.randrange(-3, 4), rng.randrange(5)])
    elif kind == 4 and commit in search:
        search.discard(commit)
    elif kind == 5 and commit in search:
        search.promote(commit)
    elif kind == 6:
        graph.commit(parents=[rng.choice(graph.topological()[-3:])], message=f"{rng.random()}")
    elif kind == 7:
        search.counters(commit)
    else:
        # The very commit that another one makes, by whatever way it went there.
        content = graph.get(commit, plane=PLANE if commit in search else LEDGER)
        if all(parent in search or parent in graph for parent in content.parents):
            graph.commit_many([content], plane=PLANE)


def exchange(a: Graph, b: Graph, rng: random.Random) -> None:
    """Give one some of what the other has, a plane at a time."""
    for plane in rng.sample(a.planes(), min(len(a.planes()), rng.choice((1, 2)))):
        b.hear_of(plane)
        for delta in a.deltas(plane, b.state_vector(plane), bytes_max=rng.choice((1, 10_000))):
            b.receive(plane, delta.update)
            if rng.random() < 0.2:
                break


def history(seed: int, size: int, steps: int) -> tuple[list[Graph], random.Random]:
    """Graphs that have searched together."""
    rng = random.Random(seed)
    graphs = [replica(name) for name in "abc"[:size]]
    for graph in graphs:
        graph.commit(message="root", author="all", time=1)
    for _ in range(steps):
        graph = rng.choice(graphs)
        act(graph, rng)
        if rng.random() < 0.4:
            graph.flush_searches()
        if rng.random() < 0.3:
            graph.flush()
        if rng.random() < 0.3:
            a, b = rng.sample(graphs, 2)
            exchange(a, b, rng)
    return graphs, rng


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 3), st.integers(5, 60))
@example(0, 3, 60)
def test_whatever_comes_first_the_search_is_what_the_model_says(seed: int, size: int, steps: int) -> None:
    graphs, rng = history(seed, size, steps)
    stored = stored_in(*graphs)
    fresh = [replica(f"fresh {number}") for number in range(3)]
    for graph in fresh:
        for place, (plane, key, data) in enumerate(shuffled(stored, rng)):
            give(graph, plane, key, data)
            if rng.random() < 0.2 and graph.topological() and graph.searches():
                # Looking makes bases, and nobody can tell.
                graph.search(NAME).counters(rng.choice(graph.topological()))
            if not place % 7 and graph.searches():
                check(graph, model_of(graph, [each for name, each in _held(graph, stored) if name == PLANE]))
    for graph in graphs:
        for plane, key, data in shuffled(stored, rng):
            if key.writer != graph.writer:
                give(graph, plane, key, data)
    everyone = [*graphs, *fresh]
    assert len({graph.digest() for graph in everyone}) == 1
    if PLANE in fresh[0].planes():
        assert len({graph.set_digest(PLANE) for graph in everyone}) == 1
        model = model_of(graphs[0], [data for (plane, _), data in stored.items() if plane == PLANE])
        for graph in everyone:
            check(graph, model)
        assert len({graph.digest(plane=PLANE) for graph in everyone}) == 1


def _held(graph: Graph, stored: Stored) -> Iterator[tuple[str, bytes]]:
    for plane in graph.planes():
        for key in graph.segment_keys(plane):
            yield plane, stored[plane, SegmentKey.parse(key)]


def test_a_base_that_arrives_as_a_record_takes_its_parents_discard_and_what_follows_along() -> None:
    a, b = replica("a"), replica("b")
    for graph in (a, b):
        graph.commit(message="root", author="all", time=1)
    root = a.roots()[0]
    theirs = a.search(NAME)
    parent = theirs.commit(parents=[root], message="parent")
    child = theirs.commit(parents=[parent], message="child")
    theirs.count(child, [1])
    theirs.promote(child)
    theirs.discard(parent)
    for plane, key in stored_in(a):
        if plane == LEDGER:
            give(b, plane, key, stored_in(a)[plane, key])
    ours = b.search(NAME)
    watch = ours.watch()
    follower = ours.commit(parents=[child], message="built on what the ledger told of")
    ours.count(follower, [5])
    assert child not in ours
    assert ours.is_live(follower)
    asked = b.heads(plane=PLANE)
    assert b.short(follower, plane=PLANE) == follower.hex()[:8]
    for (plane, key), data in stored_in(a).items():
        if plane == PLANE:
            give(b, plane, key, data)
    assert child in ours
    assert set(watch.take().commits) == {follower, parent, child}
    assert ours.parents(child) == (parent,)
    assert ours.children(parent) == (child,)
    assert not ours.is_live(follower)
    assert ours.live_count() == 0
    assert asked == [follower] == b.heads(plane=PLANE)
    assert b.short(child, plane=PLANE) == child.hex()[:8]
    assert b.resolve(follower.hex()[:10], plane=PLANE) == follower
    for (plane, key), data in stored_in(b).items():
        if key.writer == b.writer:
            give(a, plane, key, data)
    assert a.digest(plane=PLANE) == b.digest(plane=PLANE)


def test_a_record_that_waits_beside_what_waits_for_it_makes_no_base_of_itself() -> None:
    writer, graph = replica("a"), replica("b")
    parent = Commit((), "a", 1, "parent")
    middle = Commit((parent.id,), "a", 2, "middle")
    child = Commit((middle.id,), "a", 3, "child")
    graph.commit_many([parent, middle])
    # No honest writer says a child before its parent; a segment may.
    said = Records([child.id, middle.id], [child, middle], [5, 6])
    key = SegmentKey(writer._identity.writer, 0)
    give(graph, PLANE, key, pack(said, plane=PLANE, identity=writer._identity, seq=0))
    search = graph.search(NAME)
    assert len(search) == 2
    assert search.children(middle.id) == (child.id,)
    assert search.parents(middle.id) == (parent.id,)


def test_what_the_ledger_brings_while_a_search_waits_for_it_is_found_at_once() -> None:
    a, b = replica("a"), replica("b")
    for graph in (a, b):
        graph.commit(message="root", author="all", time=1)
    base = a.commit(parents=a.roots(), message="base", author="a", time=2)
    made = a.search(NAME).commit(parents=[base], message="x")
    a.search(NAME).count(base, [4])
    for (plane, key), data in stored_in(a).items():
        if plane == PLANE:
            give(b, plane, key, data)
    ours = b.search(NAME)
    assert made not in ours
    assert len(b.pending(plane=PLANE)) == 2
    # The same commit made here: it is in the ledger by our own hand.
    assert b.commit(parents=b.roots(), message="base", author="a", time=2) == base
    assert made in ours
    assert ours.counters(base) == (4,)
    assert ours.get(base).message == "base"
    assert b.pending(plane=PLANE) == []
    assert not b._planes[LEDGER].projection.awaited
    b.search(NAME).close()


def test_a_search_that_is_dropped_waits_for_nothing_any_more() -> None:
    a, b = replica("a"), replica("b")
    base = a.commit(message="base", author="a", time=2)
    a.search(NAME).commit(parents=[base], message="x")
    for (plane, key), data in stored_in(a).items():
        if plane == PLANE:
            give(b, plane, key, data)
    ledger = b._planes[LEDGER].projection
    assert ledger.awaited
    b.search(NAME).close()
    assert not ledger.awaited
    b.commit(message="base", author="a", time=2)


def test_what_was_discarded_and_is_promoted_elsewhere_is_as_dead_for_those_who_never_had_it() -> None:
    a, b, late = (replica(name) for name in ("a", "b", "late"))
    for graph in (a, b, late):
        graph.commit(message="root", author="all", time=1)
    root = a.roots()[0]
    top = a.search(NAME).commit(parents=[root], message="top")
    below = a.search(NAME).commit(parents=[top], message="below")
    for (plane, key), data in stored_in(a).items():
        give(b, plane, key, data)
    deeper = b.search(NAME).commit(parents=[below], message="deeper, by another")
    b.search(NAME).count(deeper, [3])
    a.search(NAME).discard(top)
    a.flush()
    # Its writer lets go of what is below; somebody who has it promotes it all the same.
    a.compact()
    b.search(NAME).promote(below)
    for plane, key, data in shuffled(stored_in(b), random.Random(3)):
        if plane == LEDGER or key.writer == b.writer:
            give(late, plane, key, data)
            give(a, plane, key, data)
    for (plane, key), data in stored_in(a).items():
        if key.writer == a.writer and not late.segments_of(plane, key.text):
            late.adopt(plane, [data]) if key.seq else give(late, plane, key, data)
    ledger = {commit: late.parents(commit) for commit in late.topological()}
    assert below in ledger
    for graph in (a, late):
        given = [data for key in graph.segment_keys(PLANE) for data in graph.segments_of(PLANE, key)]
        check(graph, model_of(graph, given))
        assert deeper not in graph.search(NAME) or not graph.search(NAME).is_live(deeper)


def test_a_discard_takes_bases_along_that_follow_by_way_of_the_ledger() -> None:
    graph = replica("a")
    root = graph.commit(message="root")
    search = graph.search(NAME)
    top = search.commit(parents=[root], message="top")
    search.promote(top)
    beside = graph.commit(parents=[top], message="made in the ledger")
    before = search.commit(parents=[beside], message="on it")
    search.count(before, [1])
    search.discard(top)
    assert not search.is_live(before)
    later = graph.commit(parents=[beside], message="one more in the ledger")
    after = search.commit(parents=[later], message="on that")
    assert not search.is_live(after)
    assert search.is_live(root)
    assert search.live_count() == 0
    graph.flush()
    given = [data for key in graph.segment_keys(PLANE) for data in graph.segments_of(PLANE, key)]
    model = model_of(graph, given)
    assert model.live == {}
    check(graph, model)


def test_what_waits_for_the_ledger_waits_on_when_its_segments_were_compacted_meanwhile() -> None:
    a, b = replica("a"), replica("b")
    base = a.commit(message="base")
    first = a.search(NAME).commit(parents=[base], message="first")
    a.flush()
    a.search(NAME).count(first, [2])
    a.flush()
    for (plane, key), data in stored_in(a).items():
        if plane == PLANE:
            give(b, plane, key, data)
    a.compact()
    a.flush()
    for delta in a.deltas(PLANE, b.state_vector(PLANE)):
        b.receive(PLANE, delta.update)
    assert first not in b.search(NAME)
    for delta in a.deltas(LEDGER, b.state_vector(LEDGER)):
        b.receive(LEDGER, delta.update)
    assert first in b.search(NAME)
    assert b.search(NAME).counters(first) == (2,)
    assert a.digest(plane=PLANE) == b.digest(plane=PLANE)
