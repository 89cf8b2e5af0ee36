"""What two replicas that have parted are told about each other."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import pytest

import crdtgraph
from crdtgraph import CommitId, Divergence, Graph, Host, LocalError, RefState, compare
from crdtgraph.divergence import CounterDifference

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
    return tuple(
        [(each.record.kind, each.record.waits_for, each.elsewhere) for each in side]
        for side in (found.pending_a, found.pending_b)
    )


def test_equal_replicas_differ_in_nothing(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    assert compare(a, b).equal
    a.commit(ref="main", changes={"p": b""})
    exchange(a, b)
    found = compare(a, b)
    assert found.equal
    assert found.digest_a == found.digest_b == a.digest()
    assert (found.ahead, found.behind, found.fork_points, found.refs, found.conflicted, found.paths) == (
        0, 0, (), (), (), (),
    )  # fmt: skip
    assert found.metadata == ()


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
    assert (found.digest_a, found.digest_b) == (a.digest(), b.digest())
    assert (found.ahead, found.behind) == (2, 2)
    assert found.only_a == (a1, a2)
    assert set(found.only_b) == {b1, low}
    assert found.fork_points == tuple(sorted([fork, root]))
    assert [path.path for path in found.paths] == ["both"]
    assert [(ref.name, ref.state, ref.a, ref.b) for ref in found.refs] == [("main", RefState.CONFLICTED, (a2,), (b1,))]
    assert found.conflicted == ()
    mirrored = compare(b, a)
    assert (mirrored.only_a, mirrored.only_b, mirrored.paths) == (found.only_b, found.only_a, found.paths)
    assert mirrored.fork_points == found.fork_points


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
    for name in ("moved-a", "moved-b", "moved-both", "deleted-a", "same"):
        a.set_ref(name, root)
    exchange(a, b)
    at_a = a.commit(ref="moved-a")
    at_b = b.commit(ref="moved-b")
    both_a, both_b = a.commit(ref="moved-both", message="a"), b.commit(ref="moved-both", message="b")
    a.delete_ref("deleted-a")
    new_a, new_b = a.commit(ref="new-a", message="new a"), b.commit(ref="new-b", message="new b")
    found = {ref.name: (ref.state, ref.a, ref.b) for ref in compare(a, b).refs}
    assert found == {
        "moved-a": (RefState.AHEAD, (at_a,), (root,)),
        "moved-b": (RefState.BEHIND, (root,), (at_b,)),
        "moved-both": (RefState.CONFLICTED, (both_a,), (both_b,)),
        "deleted-a": (RefState.ONLY_B, (), (root,)),
        "new-a": (RefState.ONLY_A, (new_a,), ()),
        "new-b": (RefState.ONLY_B, (), (new_b,)),
    }


def test_a_conflicted_ref_that_one_side_merged_is_ahead(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    root = a.commit(ref="main", message="root")
    exchange(a, b)
    a.commit(ref="main", message="a")
    b.commit(ref="main", message="b")
    exchange(a, b)
    merged = a.merge("main").commit
    (ref,) = compare(a, b).refs
    assert (ref.state, ref.a) == (RefState.AHEAD, (merged,))
    assert len(ref.b) == 2
    assert compare(b, a).refs[0].state is RefState.BEHIND
    assert compare(a, b).conflicted == ("main",)
    assert root not in compare(a, b).fork_points


def test_equal_graphs_may_differ_in_metadata_counters_and_discards(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    root = a.commit()
    exchange(a, b)
    a.set_meta("k", b"1")
    b.set_meta("k", b"2", commit=root)
    found = compare(a, b)
    assert not found.equal
    assert [each.name for each in found.metadata] == sorted(["meta/graph/k", f"meta/{root.hex()}/k"])
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
    found = compare(a, b)
    assert (found.only_a, found.only_b, found.fork_points) == ((one,), (two,), ())


def test_lists_are_parents_first(pair: tuple[Graph, Graph]) -> None:
    a, b = pair
    rng = random.Random(4)
    ids = [a.commit(message="0")]
    for number in range(1, 60):
        ids.append(a.commit(parents=rng.sample(ids, min(len(ids), 2)), message=str(number), time=-number))
    only = compare(a, b).only_a
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
        assert compare(a, b).counters == (CounterDifference(root.id, (1, 2), ()),)
        a.discard(root.id)
        assert (compare(a, b).discarded_a, compare(a, b).discarded_b) == ((root.id,), ())
        a.set_meta("owner", b"you")
        found = compare(a, b)
        assert [(each.name, each.a, each.b) for each in found.metadata] == [("meta/graph/owner", b"you", b"we")]
        assert found.set_apart == ("ref/main",)
        for one, other in ((a, b), (b, a)):
            one.flush()
            for delta in one.deltas(crdtgraph.LEDGER, other.state_vector(crdtgraph.LEDGER)):
                other.receive(crdtgraph.LEDGER, delta.update)
        found = compare(a, b)
        assert found.equal
        assert found.set_apart == found.metadata == found.counters == found.discarded_a == ()
