"""What two replicas that have parted are told about each other."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

import crdtgraph
from crdtgraph import CommitId, Divergence, Graph, Host, LocalError, RefSpread, RefState, compare
from crdtgraph.divergence import CounterSpread

PLANE = "ledger"


def open_replica(seed: int, cluster: str | None = None) -> Graph:
    clock = itertools.count(1_700_000_000_000_000 + seed)
    host = Host(now_us=lambda: next(clock), random_bytes=random.Random(seed).randbytes)
    return crdtgraph.open("memory:", host=host, cluster=cluster)


@pytest.fixture
def pair() -> Iterator[tuple[Graph, Graph]]:
    with open_replica(1) as a, open_replica(2) as b:
        yield a, b


def exchange(a: Graph, b: Graph) -> None:
    for source, target in ((a, b), (b, a), (a, b)):
        source.flush()
        for delta in list(source.deltas(PLANE, target.state_vector(PLANE))):
            target.receive(PLANE, delta.update)


def waiting(found: Divergence) -> tuple[list[tuple[str, CommitId, bool]], ...]:
    """What waits on each side: the kind of record, what it waits for, whether the other side has that."""
    return tuple([(each.record.kind, each.record.waits_for, each.elsewhere) for each in side] for side in found.pending)


def test_equal_replicas_differ_in_nothing(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    assert compare(a, b).equal
    a.commit(ref="main", changes={"p": b""})
    exchange(a, b)
    found = compare(a, b)
    assert found.equal
    assert found.digests == (a.digest(), a.digest())
    assert found.settled
    assert found.scattered.holders == {}
    assert found.scattered.ahead == ((0, 0), (0, 0))
    assert found.scattered.fork_points == found.refs == found.conflicted == found.paths == found.metadata == ()
    assert found.scattered.first_generation is None


def test_two_sides_that_went_on_apart(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    root = a.commit(ref="main", message="root")
    fork = a.commit(ref="main", message="fork", changes={"both": b"0"})
    exchange(a, b)
    a1 = a.commit(ref="main", changes={"both": b"a", "only a": b""})
    a2 = a.commit(ref="main", message="a2")
    b1 = b.commit(ref="main", changes={"both": b"b", "only b": b""})
    low = b.commit(parents=[root], message="from further down")
    found = compare(a, b)
    assert not found.equal
    assert found.digests == (a.digest(), b.digest())
    assert found.scattered.ahead == ((0, 2), (2, 0))
    assert (found.commits, found.union, found.scattered.behind) == ((4, 4), 6, (2, 2))
    assert found.scattered.held_by(0) == (a1, a2)
    assert set(found.scattered.held_by(1)) == {b1, low}
    assert found.scattered.fork_points == tuple(sorted([fork, root]))
    assert found.scattered.first_generation == 2
    assert [path.path for path in found.paths] == ["both"]
    assert found.refs == (RefSpread("main", RefState.CONFLICTED, ((a2,), (b1,)), (a2, b1), (1, 2)),)
    assert found.conflicted == ()
    mirrored = compare(b, a)
    assert mirrored.scattered.held_by(0) == found.scattered.held_by(1)
    assert (mirrored.paths, mirrored.merges) == (found.paths, found.merges)
    assert mirrored.scattered.fork_points == found.scattered.fork_points


def test_after_an_exchange_the_conflict_is_what_is_left(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    a.commit(ref="main", message="root")
    exchange(a, b)
    a.commit(ref="main", message="a")
    b.commit(ref="main", message="b")
    exchange(a, b)
    found = compare(a, b)
    assert found.equal
    assert found.conflicted == ("main",)
    assert found.refs == ()
    a.merge("main")
    exchange(a, b)
    assert compare(a, b).conflicted == ()


def test_every_way_in_which_a_ref_can_differ(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    root = a.commit(message="root")
    other = a.commit(message="other")
    for name in ("moved-a", "moved-b", "moved-both", "deleted-a", "same", "forced"):
        a.set_ref(name, root)
    exchange(a, b)
    at_a = a.commit(ref="moved-a", message="moved a")
    at_b = b.commit(ref="moved-b", message="moved b")
    both_a, both_b = a.commit(ref="moved-both", message="a"), b.commit(ref="moved-both", message="b")
    a.delete_ref("deleted-a")
    a.set_ref("forced", other, force=True)
    new_a, new_b = a.commit(ref="new-a", message="new a"), b.commit(ref="new-b", message="new b")
    found = {ref.name: (ref.state, ref.targets, ref.healed, ref.behind) for ref in compare(a, b).refs}
    winner, loser = sorted([both_a, both_b], key=lambda commit: (a if commit in a else b).get(commit).time)[::-1]
    assert found == {
        "moved-a": (RefState.FAST_FORWARD, ((at_a,), (root,)), (at_a,), (0, 1)),
        "moved-b": (RefState.FAST_FORWARD, ((root,), (at_b,)), (at_b,), (1, 0)),
        "moved-both": (RefState.CONFLICTED, ((both_a,), (both_b,)), (winner, loser), (1, 1)),
        "deleted-a": (RefState.MISSING, ((), (root,)), (), (1, 0)),
        "forced": (RefState.REPLACED, ((other,), (root,)), (other,), (1, 1)),
        "new-a": (RefState.MISSING, ((new_a,), ()), (new_a,), (0, 1)),
        "new-b": (RefState.MISSING, ((), (new_b,)), (new_b,), (1, 0)),
    }


def test_a_conflicted_ref_that_one_side_merged_is_moved_forward(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    root = a.commit(ref="main", message="root")
    exchange(a, b)
    a.commit(ref="main", message="a")
    b.commit(ref="main", message="b")
    exchange(a, b)
    merged = a.merge("main").commit
    found = compare(a, b)
    (ref,) = found.refs
    assert (ref.state, ref.targets[0], ref.healed) == (RefState.FAST_FORWARD, (merged,), (merged,))
    assert len(ref.targets[1]) == 2
    assert found.conflicted == ("main",)
    assert found.merges == ()
    assert root not in found.scattered.fork_points


def test_a_path_that_both_sides_changed_merges_cleanly_or_not(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    a.commit(ref="main", message="root", changes={"same": b"0", "torn": b"0", "one": b"0"})
    exchange(a, b)
    a.commit(ref="main", message="a", changes={"same": b"1", "torn": b"a", "one": b"a"})
    b.commit(ref="main", message="b", changes={"same": b"1", "torn": b"b"})
    found = compare(a, b)
    (merge,) = found.merges
    assert (merge.ref, {each.path for each in merge.conflicts}) == ("main", {"torn"})
    assert [(each.path, [ref for ref, _ in each.conflicts]) for each in found.paths] == [
        ("same", []),
        ("torn", ["main"]),
    ]
    ((_, conflict),) = found.paths[1].conflicts
    assert conflict.base == b"0"
    assert {conflict.ours, conflict.theirs} == {b"a", b"b"}


def test_equal_graphs_may_differ_in_metadata_counters_and_discards(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    root = a.commit()
    exchange(a, b)
    a.set_meta("k", b"1")
    b.set_meta("k", b"2", commit=root)
    found = compare(a, b)
    assert not found.equal
    assert [(each.name, each.values, each.healed) for each in found.metadata] == sorted(
        [("meta/graph/k", (b"1", None), b"1"), (f"meta/{root.hex()}/k", (None, b"2"), b"2")]
    )
    exchange(a, b)
    assert compare(a, b).equal
    a.count(root, [1])
    assert not compare(a, b).equal
    exchange(a, b)
    b.discard(root)
    assert not compare(a, b).equal
    exchange(a, b)
    assert compare(a, b).equal


def test_graphs_without_anything_in_common_have_no_fork_point(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    one, two = a.commit(message="a"), b.commit(message="b")
    found = compare(a, b).scattered
    assert (found.holders, found.fork_points, found.first_generation) == ({one: (0,), two: (1,)}, (), 1)


def test_what_is_not_written_yet_counts_too(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    a.commit(ref="main", message="root")
    exchange(a, b)
    assert compare(a, b).settled
    late = b.commit(message="buffered")
    found = compare(a, b)
    assert not found.equal
    assert not found.settled
    assert found.scattered.held_by(1) == (late,)


def test_several_replicas_fall_into_groups(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    with open_replica(3) as c, open_replica(4) as d:
        root = a.commit(ref="main", message="root", changes={"p": b"0"})
        for graph in (b, c, d):
            exchange(a, graph)
        ours = a.commit(ref="main", message="a and c", changes={"p": b"1"})
        exchange(a, c)
        theirs = b.commit(ref="main", message="b", changes={"p": b"2"})
        found = compare(a, b, c, d)
        assert found.groups == ((0, 2), (1,), (3,))
        assert found.scattered.holders == {ours: (0, 2), theirs: (1,)}
        assert found.scattered.ahead == ((0, 1, 0, 1), (1, 0, 1, 1), (0, 1, 0, 1), (0, 0, 0, 0))
        assert (found.union, found.scattered.behind, found.scattered.fork_points) == (3, (1, 1, 1, 2), (root,))
        (ref,) = found.refs
        assert (ref.state, ref.targets) == (RefState.CONFLICTED, ((ours,), (theirs,), (ours,), (root,)))
        assert ref.behind == (1, 1, 1, 2)
        assert [each.path for each in found.paths] == ["p"]
        assert found.paths[0].conflicts


def test_lists_are_parents_first(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    rng = random.Random(4)
    ids = [a.commit(message="0")]
    for number in range(1, 60):
        ids.append(a.commit(parents=rng.sample(ids, min(len(ids), 2)), message=str(number), time=-number))
    only = compare(a, b).scattered.held_by(0)
    assert sorted(only) == sorted(ids)
    place = {commit: index for index, commit in enumerate(only)}
    assert all(place[parent] < place[commit] for commit in ids for parent in a.parents(commit))


def test_waiting_records_are_counted(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    a.commit(message="base")
    a.flush()
    base = a.heads()[0]
    a.count(base, [1])
    a.flush()
    keys = sorted(a.segment_keys(PLANE))
    b.adopt(PLANE, a.segments_of(PLANE, keys[1]))
    assert waiting(compare(a, b)) == ([], [("count", base, True)])
    assert waiting(compare(b, a)) == ([("count", base, True)], [])


def test_replicas_of_two_clusters_are_not_compared() -> None:
    with (
        open_replica(1, "blue") as a,
        open_replica(2, "red") as b,
        pytest.raises(LocalError, match="'blue' and 'red'"),
    ):
        compare(a, b)


def test_whatever_makes_the_digests_differ_is_named() -> None:
    with crdtgraph.open("memory:") as a, crdtgraph.open("memory:") as b:
        root = crdtgraph.Commit((), "a", 1, "root")
        for graph in (a, b):
            graph.commit_many([root])
            graph.set_ref("main", root.id)
            graph.set_meta("owner", b"we")
        apart = compare(a, b)
        assert not apart.equal
        assert apart.set_apart == ("meta/graph/owner", "ref/main")
        assert apart.refs == apart.metadata == ()
        a.count(root.id, (1, 2))
        assert compare(a, b).counters == (CounterSpread(root.id, ((1, 2), ())),)
        a.discard(root.id)
        assert compare(a, b).discarded == ((root.id,), ())
        a.set_meta("owner", b"you")
        found = compare(a, b)
        assert [(each.name, each.values) for each in found.metadata] == [("meta/graph/owner", (b"you", b"we"))]
        assert found.set_apart == ("ref/main",)
        for one, other in ((a, b), (b, a)):
            one.flush()
            for delta in one.deltas(crdtgraph.LEDGER, other.state_vector(crdtgraph.LEDGER)):
                other.receive(crdtgraph.LEDGER, delta.update)
        found = compare(a, b)
        assert found.equal
        assert found.set_apart == found.metadata == found.counters == ()
