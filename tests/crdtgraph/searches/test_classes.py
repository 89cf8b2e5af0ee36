"""Which write is in which durability class: by the call, by the policy, and what a power cut leaves."""

from __future__ import annotations

import itertools

import pytest

import crdtgraph
from crdtgraph import (
    LEDGER,
    CommitId,
    Durability,
    Graph,
    Host,
    LocalError,
    NotFoundError,
    Write,
    WriteKind,
)
from crdtgraph.durability import standard_class
from crdtgraph.opening import attach
from crdtgraph.store.memory import MemoryStore
from tests.crdtgraph.searches.graphs import CountingStore, Recording, ticking


class EverythingIsPrecious:
    def durability(self, write: Write) -> Durability:
        return Durability.CRITICAL


def test_the_standard_policy() -> None:
    policy = crdtgraph.STANDARD_POLICY
    ledger = {kind: policy.durability(Write(kind, LEDGER)) for kind in WriteKind}
    assert set(ledger.values()) == {Durability.NORMAL}
    moving = {kind: policy.durability(Write(kind, LEDGER, moves=("main",))) for kind in WriteKind}
    assert moving.pop(WriteKind.MERGE) is Durability.NORMAL
    assert set(moving.values()) == {Durability.CRITICAL}
    inside = {kind: policy.durability(Write(kind, "search/x", in_search=True)) for kind in WriteKind}
    assert set(inside.values()) == {Durability.NORMAL, Durability.SPECULATIVE}
    assert inside[WriteKind.COMMIT] is Durability.SPECULATIVE
    for ref, plane in itertools.product((None, "main"), (LEDGER, "search/x")):
        moves = () if ref is None else (ref,)
        write = Write(WriteKind.COMMIT, plane, in_search=plane != LEDGER, moves=moves)
        plain = standard_class(moves_ref=ref is not None, in_search=write.in_search)
        assert plain is policy.durability(write), "commits do not ask the policy"


def test_a_policy_of_ones_own_decides_where_the_call_does_not() -> None:
    policy = Recording()
    with attach(MemoryStore(), host=ticking(), policy=policy) as graph:
        root = graph.commit(message="root", ref="main")
        assert not graph.is_durable(root)
        sure = graph.commit(message="sure", parents=[root], ref="main", durability=Durability.CRITICAL)
        assert graph.is_durable(sure)
        search = graph.search("one")
        search.count(search.commit(parents=[sure], message="x"), [1])
        graph.set_meta("key", b"value")
        search.promote(search.heads()[0], ref="main")
    assert [(write.kind, write.plane, write.moves) for write in policy.asked] == [
        ("commit", "ledger", ("main",)),
        ("commit", "search/one", ()),
        ("meta", "ledger", ()),
        ("promote", "ledger", ("main",)),
    ]


def test_a_policy_may_keep_all_that_a_search_finds() -> None:
    with attach(MemoryStore(), host=ticking(), policy=EverythingIsPrecious()) as graph:
        root = graph.commit(message="root")
        assert graph.is_durable(root)
        made = graph.search("one").commit(parents=[root], message="x")
        assert graph.is_durable(made)
        graph.set_meta("key", b"value")
        graph.count(made, [1])
        graph.discard(made)
        assert graph.durable_up_to() >= graph.get(made).time
        assert graph.flush_due() is None


def test_what_goes_to_the_ledger_is_never_speculative(graph: Graph) -> None:
    main, speculative = graph.refs["main"], Durability.SPECULATIVE
    for call in (
        lambda: graph.commit(parents=[main], durability=speculative),
        lambda: graph.set_ref("other", main, durability=speculative),
        lambda: graph.count(main, [1], durability=speculative),
        lambda: graph.search("one").promote(main, durability=speculative),
    ):
        with pytest.raises(LocalError, match="cannot be speculative"):
            call()
    with pytest.raises(LocalError, match="is no durability"):
        graph.commit(parents=[main], durability="critical")  # type: ignore[arg-type]


def test_durable_up_to_says_what_a_power_cut_leaves(graph: Graph) -> None:
    first = graph.commit(message="first")
    stamp = graph.durable_up_to()
    assert stamp < graph.get(first).time
    assert not graph.is_durable(first)
    graph.write_behind()
    assert graph.durable_up_to() == stamp, "written is not synced"
    second = graph.commit(message="second", durability=Durability.CRITICAL)
    assert graph.is_durable(first)
    assert graph.is_durable(second)
    assert graph.durable_up_to() >= graph.get(second).time
    third = graph.commit(message="third")
    assert graph.durable_up_to() < graph.get(third).time
    graph.flush()
    assert graph.durable_up_to() >= graph.get(third).time
    speculative = graph.search("one").commit(parents=[third], message="x")
    assert not graph.is_durable(speculative)
    with pytest.raises(NotFoundError):
        graph.is_durable(CommitId(b"\3" * 32))


def test_a_ref_is_moved_also_where_the_policy_calls_commits_of_a_search_speculative() -> None:
    with attach(MemoryStore(), host=ticking(), policy=Recording()) as graph:
        root = graph.commit(message="root", ref="main")
        search = graph.search("one")
        made = search.commit(parents=[root], message="x", ref="main")
        assert graph.refs["main"] == made


def test_what_is_said_again_critically_is_on_disk_when_the_call_returns(graph: Graph) -> None:
    critical, normal = Durability.CRITICAL, Durability.NORMAL
    made = graph.commit(parents=[graph.refs["main"]], message="x")
    graph.set_ref("main", made, durability=normal)
    graph.set_ref("main", made, durability=critical)
    assert graph.flush_due() is None
    graph.discard(made)
    graph.discard(made, durability=critical)
    assert graph.flush_due() is None


def test_counts_are_written_by_number_and_by_time_as_commits_are() -> None:
    store, now = CountingStore(), [1_700_000_000_000_000]
    with attach(store, host=Host(now_us=lambda: now[0], random_bytes=bytes)) as graph:
        root = graph.commit(message="root", ref="main")
        before = store.writes
        for _ in range(600):
            graph.count(root, [1])
        assert store.writes == before + 2
        now[0] += 200_000
        graph.count(root, [1])
        assert store.writes == before + 3


def test_many_commits_go_into_a_search_and_into_a_class(graph: Graph) -> None:
    root = CommitId(bytes(graph.refs["main"]))
    search = graph.search("one")
    [made] = graph.commit_many([crdtgraph.Commit((root,), "a", 1, "x")], plane=search.plane)
    assert made in search
    assert made not in graph
    [kept] = graph.commit_many([crdtgraph.Commit((root,), "a", 2, "y")], durability=Durability.CRITICAL)
    assert graph.is_durable(kept)


def test_what_a_search_counts_goes_with_it(graph: Graph) -> None:
    search = graph.search("one")
    made = search.commit(parents=[graph.refs["main"]], message="x")
    for durability in (Durability.CRITICAL, Durability.NORMAL):
        with pytest.raises(LocalError, match="goes with the search"):
            graph.count(made, [1], plane=search.plane, durability=durability)
        with pytest.raises(LocalError, match="goes with the search"):
            graph.discard(made, plane=search.plane, durability=durability)
