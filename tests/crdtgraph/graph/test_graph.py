"""The public API as a program uses it: what calls do, what they refuse, and that a refused call changes nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import networkx
import pytest

import crdtgraph
from crdtgraph import Commit, CommitId, Durability, Graph, LocalError, Reference
from crdtgraph.assigning import META_VALUE_BYTES_MAX
from crdtgraph.records import RECORD_BYTES_MAX
from tests.crdtgraph.graph.machine import Machine

ABSENT = CommitId(b"\xee" * 32)


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    with crdtgraph.open(str(tmp_path / "search.db")) as graph:
        root = graph.commit(message="start", changes={"board": b"..."}, ref="main")
        a = graph.commit(parents=[root], changes={"move": b"e4"})
        assert graph.refs["main"] == root
        assert graph.children(root) == (a,)
        assert graph.is_ancestor(root, a)
        assert graph.merge_bases(a, root) == [root]
        assert networkx.has_path(graph.dag, graph.node(root), graph.node(a))
        digest = graph.digest()
    with crdtgraph.open(str(tmp_path / "search.db")) as graph:
        assert graph.digest() == digest
        assert graph.get(a).changes == (("move", b"e4"),)
        assert graph.state(a) == {"board": b"...", "move": b"e4"}
        assert graph.refs["main"] == root


def test_a_commit_has_the_fields_that_were_given(graph: Graph) -> None:
    root = graph.commit(message="start")
    changes = {"b": b"2", "ä": Reference("git-blob", b"\x01" * 20, 7), "a": None}
    made = graph.commit(parents=[root], message="zwei\n", changes=changes, author="Ada", time=-5, origin="git:00ff")
    expected = Commit((root,), "Ada", -5, "zwei\n", (("a", None), ("b", b"2"), ("ä", changes["ä"])), "git:00ff")
    assert graph.get(made) == expected
    assert made == expected.id
    graph.flush()
    assert graph.get(made) == expected
    assert graph.get_many([made, root, made]) == [expected, graph.get(root), expected]


def test_a_commit_without_fields_is_a_root_of_this_author_now(graph: Graph, machine: Machine) -> None:
    assert graph.get(graph.commit()) == Commit((), graph.replica_id.hex()[:8], machine.now, "")


def test_the_author_is_the_one_that_the_graph_was_opened_with() -> None:
    with crdtgraph.open("memory:", author="Grace") as graph:
        assert graph.get(graph.commit()).author == "Grace"
        assert graph.get(graph.commit(author="")).author == ""


def test_without_parents_a_commit_follows_its_ref(graph: Graph) -> None:
    first = graph.commit(ref="main", message="1")
    second = graph.commit(ref="main", message="2")
    aside = graph.commit(message="no ref, so a root")
    assert graph.parents(second) == (first,)
    assert graph.parents(aside) == ()
    assert graph.refs["main"] == second


def test_a_ref_may_be_given_as_a_parent(graph: Graph) -> None:
    root = graph.commit(ref="main")
    child = graph.commit(parents=[graph.refs["main"]])
    assert graph.parents(child) == (root,)
    assert type(graph.get(child).parents[0]) is bytes


def test_the_same_commit_twice_is_one(graph: Graph) -> None:
    first = graph.commit(message="m", time=1)
    digest = graph.digest()
    assert graph.commit(message="m", time=1) == first
    assert graph.commit_many([graph.get(first)] * 3) == [first] * 3
    assert len(graph) == 1
    assert graph.digest() == digest


def test_commit_many_takes_parents_of_the_same_call(graph: Graph) -> None:
    chain = [Commit((), "a", 0, "0")]
    for number in range(1, 2500):
        chain.append(Commit((chain[-1].id,), "a", number, str(number)))
    ids = graph.commit_many(chain)
    assert ids == [commit.id for commit in chain]
    assert graph.generation(ids[-1]) == 2500
    graph.flush()
    assert graph.get_many(ids) == chain
    assert graph.status().segments == 3


def test_commit_many_stops_at_the_first_that_is_wrong(graph: Graph) -> None:
    good, bad = Commit((), "a", 1, "good"), Commit((ABSENT,), "a", 2, "bad")
    with pytest.raises(LocalError, match="eeee"):
        graph.commit_many([good, bad, Commit((), "a", 3, "never reached")])
    assert graph.topological() == [good.id]


def test_a_parent_that_stands_twice_has_one_edge(graph: Graph) -> None:
    root = graph.commit()
    twice = graph.commit(parents=[root, root])
    assert graph.get(twice).parents == (root, root)
    assert graph.parents(twice) == (root,)
    assert graph.children(root) == (twice,)


def test_a_commit_as_large_as_possible_comes_back(tmp_path: Path) -> None:
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        size = RECORD_BYTES_MAX - len(Commit((), "a", 1, "m" * (1 << 20)).canonical()) + (1 << 20)
        plain = graph.commit(author="a", time=1, message="m" * size)
        moved = graph.commit(author="a", time=2, message="m" * size, ref="main")
        digest = graph.digest()
        with pytest.raises(LocalError, match="at most"):
            graph.commit(author="a", time=1, message="m" * (size + 1))
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        assert graph.digest() == digest
        assert graph.refs["main"] == moved
        assert [len(graph.get(commit).canonical()) for commit in (plain, moved)] == [RECORD_BYTES_MAX] * 2


def fill_with_metadata(graph: Graph) -> None:
    for number in range(9):
        graph.set_meta(f"k{number}", random.Random(number).randbytes(META_VALUE_BYTES_MAX))


def fill_with_counts(graph: Graph) -> None:
    commit = graph.commit()
    for _ in range(1500):
        graph.count(commit, [-(1 << 63)] * 64)


def fill_with_octopuses(graph: Graph) -> None:
    roots = graph.commit_many([Commit((), "a", number, "") for number in range(8000)])
    graph.flush()
    arms = [tuple(roots[start : start + 36]) for start in range(0, 7900, 36)]
    graph.commit_many([Commit(parents, "a", 1 << 60, "") for parents in arms])


def fill_with_ref_names(graph: Graph) -> None:
    commit = graph.commit()
    for number in range(600):
        name = "r" * 1000 + str(number)
        graph.commit(parents=[commit], message=str(number), ref=name, durability=Durability.NORMAL)


def fill_with_many_refs_at_once(graph: Graph) -> None:
    target = graph.commit()
    graph.set_refs({"r" * 1000 + str(number): target for number in range(1100)})
    assert len(graph.refs) == 1100


def fill_with_large_commits(graph: Graph) -> None:
    parents: list[CommitId] = []
    for number in range(40):
        parents = [graph.commit(parents=parents, changes={"p": bytes([number]) * (number * 8000)}, ref="main")]


@pytest.mark.parametrize(
    "fill",
    [
        fill_with_metadata,
        fill_with_counts,
        fill_with_octopuses,
        fill_with_ref_names,
        fill_with_many_refs_at_once,
        fill_with_large_commits,
    ],
)
def test_whatever_was_written_can_be_read_again(fill: Callable[[Graph], None], tmp_path: Path) -> None:
    """A segment beyond the limits would be refused by every peer and by this replica at its next start."""
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        fill(graph)
        digest = graph.digest()
        graph.flush()
        graph.compact()
        assert graph.digest() == digest
        assert [finding.problem for finding in graph.fsck() if finding.problem] == []
        with crdtgraph.open("memory:") as other:
            for delta in graph.deltas("ledger", {}):
                other.receive("ledger", delta.update)
            assert other.digest() == digest
    with crdtgraph.open(str(tmp_path / "s")) as graph:
        assert graph.digest() == digest


# Closed and read-only


@pytest.mark.parametrize(
    "call",
    [
        lambda graph: graph.commit(),
        lambda graph: graph.commit_many([]),
        lambda graph: len(graph),
        lambda graph: ABSENT in graph,
        lambda graph: graph.refs,
        lambda graph: graph.dag,
        lambda graph: graph.digest(),
        lambda graph: graph.status(),
        lambda graph: graph.set_meta("k", b""),
        lambda graph: graph.meta(),
        lambda graph: graph.resolve("main"),
        lambda graph: graph.state_vector("ledger"),
        lambda graph: list(graph.deltas("ledger", {})),
        lambda graph: graph.receive("ledger", b"\0\0"),
        lambda graph: graph.advance_checkpoint(),
    ],
)
def test_use_after_close_is_a_local_error(call: Callable[[Graph], object]) -> None:
    graph = crdtgraph.open("memory:")
    graph.commit()
    graph.close()
    graph.close()
    with pytest.raises(LocalError, match="closed"):
        call(graph)


READ_ONLY_CALLS: list[Callable[[Graph, CommitId], object]] = [
    lambda graph, root: graph.commit(),
    lambda graph, root: graph.commit(ref="main"),
    lambda graph, root: graph.commit(durability=Durability.CRITICAL),
    lambda graph, root: graph.commit_many([Commit((), "a", 1, "")]),
    lambda graph, root: graph.set_ref("x", root),
    lambda graph, root: graph.delete_ref("main"),
    lambda graph, root: graph.set_meta("k", b""),
    lambda graph, root: graph.count(root, [1]),
    lambda graph, root: graph.discard(root),
]


@pytest.mark.parametrize("call", READ_ONLY_CALLS)
def test_a_graph_that_is_open_to_read_refuses_to_write_at_once(
    call: Callable[[Graph, CommitId], object], tmp_path: Path
) -> None:
    with crdtgraph.open(str(tmp_path / "s")) as writer:
        root = writer.commit(ref="main")
        with crdtgraph.open(str(tmp_path / "s"), read_only=True) as reader:
            assert reader.refs["main"] == root
            assert reader.get(root) == writer.get(root)
            digest = reader.digest()
            with pytest.raises(LocalError, match=r"read.?only|for reading only"):
                call(reader, root)
            assert reader.digest() == digest == writer.digest()
            assert [finding.problem for finding in reader.fsck() if finding.problem] == []


def test_a_store_of_another_cluster_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    crdtgraph.open(path, cluster="blue").close()
    with pytest.raises(LocalError, match="'blue'"):
        crdtgraph.open(path, cluster="red")
    with crdtgraph.open(path) as graph:
        assert graph.cluster == "blue"


# Metadata, counters, discards


def test_metadata_is_apart_from_commits(graph: Graph) -> None:
    root = graph.commit()
    digest = graph.digest()
    graph.set_meta("k", b"1")
    assert graph.digest() != digest
    graph.set_meta("k", b"2", commit=root)
    assert graph.meta() == {"k": b"1"}
    assert graph.meta(root) == {"k": b"2"}
    graph.set_meta("k", b"")
    assert graph.meta() == {"k": b""}
    graph.set_meta("k", None)
    assert graph.meta() == {}
    assert graph.meta(root) == {"k": b"2"}
    assert list(graph.refs) == []


def test_counters_add_up_exactly(graph: Graph) -> None:
    root = graph.commit()
    assert graph.counters(root) == ()
    graph.count(root, [1, -5])
    graph.count(root, [(1 << 63) - 1, 2, 3])
    assert graph.counters(root) == (1 << 63, -3, 3)
    graph.count(root, [0, 3, -3])
    assert graph.counters(root) == (1 << 63,)
    graph.count(root, [-(1 << 63)])
    assert graph.counters(root) == ()


def test_counters_that_sum_to_nothing_leave_no_trace_in_the_digest(graph: Graph) -> None:
    root = graph.commit()
    digest = graph.digest()
    graph.count(root, [7])
    assert graph.digest() != digest
    graph.count(root, [-7])
    assert graph.digest() == digest


def test_a_discard_takes_everything_that_follows(graph: Graph) -> None:
    root = graph.commit(message="root")
    doomed, kept = (graph.commit(parents=[root], message=text) for text in ("doomed", "kept"))
    below = graph.commit(parents=[doomed], message="below")
    merge = graph.commit(parents=[kept, below], message="merge")
    graph.discard(doomed)
    late = graph.commit(parents=[kept, below], message="late")
    assert [graph.is_live(commit) for commit in (root, kept, doomed, below, merge, late)] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert graph.status().live == 2
    assert len(graph) == 6
    assert graph.get(below).message == "below"


def test_the_digest_covers_the_live_commits_only(machine: Machine) -> None:
    with crdtgraph.open("memory:", host=machine.host) as one, crdtgraph.open("memory:", host=machine.host) as two:
        for graph in (one, two):
            graph.commit_many([Commit((), "a", 1, "root")])
        doomed = one.commit(parents=one.roots())
        one.count(doomed, [3])
        assert one.digest() != two.digest()
        one.discard(doomed)
        assert one.digest() == two.digest()
        one.commit(parents=[doomed])
        one.count(doomed, [3])
        one.discard(doomed)
        assert one.digest() == two.digest()
