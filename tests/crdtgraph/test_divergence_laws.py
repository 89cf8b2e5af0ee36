"""What is foretold before an exchange is what the exchange then brings: targets, values, conflicts, bytes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import Graph, Host, MergePolicy, RefState, compare
from crdtgraph.divergence import lacking, transfer
from crdtgraph.union import unite
from crdtgraph.update import decode_update, item_size

PLANE = "ledger"
NAMES = ("main", "side")
PATHS = ("p", "q", "r")
VALUES = (None, b"1", b"2", b"3")
PATTERNS = ("p", "?", "*", "[qr]")
ACTIONS = ("merge", "force", "delete", "meta", "policy", "count", "discard", "compact", "meet")


def open_replica(seed: int) -> Graph:
    clock = itertools.count(1_700_000_000_000_000 + seed, 1_000)
    host = Host(now_us=lambda: next(clock), random_bytes=random.Random(seed).randbytes)
    return crdtgraph.open("memory:", host=host)


def act(graphs: Sequence[Graph], draw: random.Random) -> None:
    """One thing that happens to one replica, or between two."""
    graph = draw.choice(graphs)
    name = draw.choice(NAMES)
    targets = graph.refs.targets(name)
    ids = graph.topological()
    match draw.choice(("commit",) * 6 + ACTIONS):
        case "commit":
            changes = {path: draw.choice(VALUES) for path in draw.sample(PATHS, draw.randrange(3))}
            graph.commit(
                ref=name, parents=[draw.choice(targets)] if targets else [], changes=changes, message=f"{draw.random()}"
            )
        case "merge" if targets:
            graph.merge(name)
        case "force" if ids:
            graph.set_ref(name, draw.choice(ids), force=True)
        case "delete" if targets:
            graph.delete_ref(name)
        case "meta":
            graph.set_meta(draw.choice("xy"), draw.choice(VALUES))
        case "policy":
            graph.set_merge_policy(draw.choice(PATTERNS), draw.choice(list(MergePolicy)))
        case "count" if ids:
            graph.count(draw.choice(ids), [draw.randrange(-2, 3)])
        case "discard" if ids and draw.random() < 0.3:
            graph.discard(draw.choice(ids))
        case "compact":
            graph.compact()
        case "meet":
            unite(graph, draw.choice([other for other in graphs if other is not graph]))


def lived(seed: int, count: int, steps: int) -> list[Graph]:
    draw = random.Random(seed)
    graphs = [open_replica(1_000 * seed + number) for number in range(count)]
    for _ in range(steps):
        act(graphs, draw)
    for graph in graphs:
        graph.flush()
    return graphs


def joined(graphs: Sequence[Graph]) -> Graph:
    """What all of them come to."""
    union = open_replica(999_999)
    for graph in graphs:
        unite(graph, union)
    return union


seeds = st.integers(0, 1 << 32)


@settings(max_examples=250, deadline=None)
@given(seeds, st.integers(2, 40))
def test_what_is_said_of_two_comes_true(seed: int, steps: int) -> None:
    a, b = lived(seed, 2, steps)
    found = compare(a, b)
    union = joined([a, b])
    assert found.equal == (a.digest() == b.digest())
    shown = [set(graph.topological()) for graph in (a, b)]
    apart = shown[0] ^ shown[1]
    assert [set(found.scattered.held_by(place)) for place in (0, 1)] == [shown[0] - shown[1], shown[1] - shown[0]]
    assert found.scattered.first_generation == min((union.generation(commit) for commit in apart), default=None)
    assert set(found.scattered.fork_points) == {each for commit in apart for each in union.parents(commit)} - apart
    for ref in found.refs:
        assert ref.targets == (a.refs.targets(ref.name), b.refs.targets(ref.name))
        assert ref.healed == union.refs.targets(ref.name)
        assert (ref.state is RefState.CONFLICTED) == (len(ref.healed) > 1)
        reached = [ancestors(union, targets) for targets in ref.targets]
        assert ref.behind == (len(reached[1] - reached[0]), len(reached[0] - reached[1]))
    assert {ref.name for ref in found.refs} == {name for name in NAMES if a.refs.targets(name) != b.refs.targets(name)}
    expected = {ref.name: union.preview_merge(ref.name).conflicts for ref in found.refs if len(ref.healed) > 1}
    assert {merge.ref: merge.conflicts for merge in found.merges} == expected
    for meta in found.metadata:
        key = meta.key
        assert meta.values == (a.meta().get(key), b.meta().get(key))
        assert meta.healed == union.meta().get(key)
    keys = a.meta().keys() | b.meta().keys()
    assert {meta.key for meta in found.metadata} == {key for key in keys if a.meta().get(key) != b.meta().get(key)}


def ancestors(graph: Graph, targets: Sequence[crdtgraph.CommitId]) -> set[crdtgraph.CommitId]:
    return set().union(*({target} | graph.ancestors(target) for target in targets))


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 40), st.booleans())
def test_bytes_are_those_that_travel(seed: int, steps: int, large: bool) -> None:
    a, b = lived(seed, 2, steps)
    if large:
        draw = random.Random(seed)
        for _ in range(8):
            a.commit(changes={"p": draw.randbytes(30_000)})
            a.flush()
    for source, target in ((a, b), (b, a)):
        told = transfer(source, target)
        given_ = list(source.deltas(PLANE, target.state_vector(PLANE)))
        if source.set_digest(PLANE) == target.set_digest(PLANE) or not told.deltas:
            assert not any(delta.base for delta in given_)
            continue
        assert told.deltas == len(given_)
        assert told.update_bytes == sum(len(delta.update) for delta in given_)
        assert told.segments == sum(
            item.value is not None for delta in given_ for item in decode_update(delta.update).items
        )


@settings(max_examples=25, deadline=None)
@given(seeds, st.integers(2, 5), st.integers(2, 40))
def test_the_matrix_of_several_is_that_of_every_pair(seed: int, count: int, steps: int) -> None:
    graphs = lived(seed, count, steps)
    found = compare(*graphs)
    union = joined(graphs)
    held = [set(graph.topological()) for graph in graphs]
    for here, there in itertools.product(range(count), repeat=2):
        assert found.scattered.ahead[here][there] == len(held[here] - held[there])
        if here != there:
            pair = compare(graphs[here], graphs[there]).scattered.ahead
            assert (pair[0][1], pair[1][0]) == (found.scattered.ahead[here][there], found.scattered.ahead[there][here])
    assert found.union == len(union)
    assert found.scattered.behind == tuple(len(union) - len(each) for each in held)
    assert sorted(itertools.chain(*found.groups)) == list(range(count))
    assert all(len({graphs[place].digest() for place in group}) == 1 for group in found.groups)
    assert len(found.groups) == len({graph.digest() for graph in graphs})
    for commit, holders in found.scattered.holders.items():
        assert holders == tuple(place for place in range(count) if commit in held[place])
    for told, graph in zip(lacking(*graphs), graphs, strict=True):
        needed = [delta.update for delta in union.deltas(PLANE, graph.state_vector(PLANE))]
        items = [item for update in needed for item in decode_update(update).items]
        assert told.segments == sum(item.value is not None for item in items)
        assert told.update_bytes == sum(item_size(key, None if value is None else len(value)) for key, value in items)
    for ref in found.refs:
        assert ref.healed == union.refs.targets(ref.name)
    expected = {ref.name: union.preview_merge(ref.name).conflicts for ref in found.refs if len(ref.healed) > 1}
    assert {merge.ref: merge.conflicts for merge in found.merges} == expected
