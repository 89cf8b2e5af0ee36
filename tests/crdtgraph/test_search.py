"""Search planes: speculative commits above the ledger, thrown away one by one and then all together."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crdtgraph
from crdtgraph import (
    LEDGER,
    CommitId,
    Durability,
    Graph,
    Host,
    LocalError,
    NotFoundError,
    RemoteError,
    Write,
    WriteKind,
)
from crdtgraph.opening import attach
from crdtgraph.search import SEARCHES_MAX
from crdtgraph.store import Batch
from crdtgraph.store.memory import MemoryStore


class CountingStore(MemoryStore):
    """A store that counts what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = self.syncs = 0

    def write(self, batch: Batch, *, sync: bool) -> None:
        self.writes += 1
        self.syncs += sync
        super().write(batch, sync=sync)

    def sync(self) -> None:
        self.syncs += 1
        super().sync()


def ticking() -> Host:
    numbers = count(1_700_000_000_000_000)
    return Host(now_us=lambda: next(numbers), random_bytes=bytes)


@pytest.fixture
def store() -> CountingStore:
    return CountingStore()


@pytest.fixture
def graph(store: CountingStore) -> Iterator[Graph]:
    with attach(store, host=ticking()) as graph:
        graph.commit(message="root", ref="main", changes={"board": b"empty"})
        yield graph


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


def test_promoting_copies_a_commit_and_its_missing_ancestors_and_no_more(graph: Graph) -> None:
    main = graph.refs["main"]
    search = graph.search("one")
    a = search.commit(parents=[main], message="a", changes={"board": b"a"})
    b = search.commit(parents=[a], message="b")
    other = search.commit(parents=[a], message="other")
    side = search.commit(parents=[main], message="side")
    c = search.commit(parents=[b, side], message="c")
    search.count(c, [7])
    search.discard(a)
    assert search.promote(c, ref="main") == [a, b, side, c]
    assert graph.refs["main"] == c
    assert other not in graph
    assert graph.counters(c) == ()
    assert all(graph.is_live(each) for each in (a, b, c)), "a promoted commit survives any discard"
    assert [graph.get(each) for each in (a, b, c)] == [search.get(each) for each in (a, b, c)]
    assert search.promote(c) == []
    d = search.commit(parents=[c], message="d")
    assert search.promote(d) == [d]
    search.close()
    assert graph.topological()[-1] == d
    assert [each.problem for each in graph.fsck() if each.problem] == []


def test_a_promotion_that_cannot_move_its_ref_copies_nothing(graph: Graph) -> None:
    root = graph.refs["main"]
    graph.commit(parents=[root], message="moved on", ref="main")
    search = graph.search("one")
    made = search.commit(parents=[root], message="beside")
    before = graph.digest()
    with pytest.raises(LocalError, match="does not descend"):
        search.promote(made, ref="main")
    with pytest.raises(LocalError, match="does not descend"):
        graph.set_ref("main", made)
    with pytest.raises(NotFoundError):
        search.promote(CommitId(b"\2" * 32))
    assert graph.digest() == before
    assert made not in graph


def test_pointing_a_ref_at_a_speculative_commit_promotes_it_first(graph: Graph) -> None:
    search = graph.search("one")
    made = search.commit(parents=[graph.refs["main"]], message="good")
    graph.set_ref("main", made)
    assert graph.refs["main"] == made
    assert graph.is_durable(made)
    better = search.commit(parents=[made], message="better", ref="main")
    assert graph.refs["main"] == better
    assert graph.is_durable(better)
    kept = search.commit(parents=[better], message="kept", durability=Durability.NORMAL)
    assert kept in graph
    assert not graph.is_durable(kept)
    graph.set_ref("forced", search.commit(parents=[made], message="forced"), force=True)
    assert graph.refs["forced"] in graph


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
    with pytest.raises(NotFoundError, match="no plane"):
        graph.get(made, plane=search.plane)
    with pytest.raises(NotFoundError, match="no open search"):
        graph.close_search("one")


def test_peers_do_not_see_a_search(graph: Graph) -> None:
    search = graph.search("one")
    search.commit(parents=[graph.refs["main"]], message="x")
    assert graph.planes() == [LEDGER]
    assert set(graph.write_behind()) == {LEDGER}
    for ask in (graph.state_vector, graph.set_digest, graph.segment_keys):
        with pytest.raises(RemoteError, match="no plane"):
            ask(search.plane)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 1_025, 7, None])
def test_names_that_are_none(graph: Graph, name: object) -> None:
    with pytest.raises(LocalError, match="search name"):
        graph.search(name)  # type: ignore[arg-type]


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


# Classes


class EverythingIsPrecious:
    def durability(self, write: Write) -> Durability:
        return Durability.CRITICAL


class Recording:
    def __init__(self) -> None:
        self.asked: list[Write] = []

    def durability(self, write: Write) -> Durability:
        self.asked.append(write)
        return Durability.SPECULATIVE if write.in_search else Durability.NORMAL


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


# What a review found


def test_a_ref_is_moved_also_where_the_policy_calls_commits_of_a_search_speculative() -> None:
    with attach(MemoryStore(), host=ticking(), policy=Recording()) as graph:
        root = graph.commit(message="root", ref="main")
        search = graph.search("one")
        made = search.commit(parents=[root], message="x", ref="main")
        assert graph.refs["main"] == made


def test_a_commit_that_cannot_move_its_ref_is_not_in_the_search_either(graph: Graph) -> None:
    root = graph.refs["main"]
    graph.commit(parents=[root], message="moved on", ref="main")
    search = graph.search("one")
    step = search.commit(parents=[root], message="step")
    for ref in ("main", ""):
        with pytest.raises(LocalError):
            search.commit(parents=[step], message="beside", ref=ref)
    with pytest.raises(LocalError, match="is not in the graph"):
        search.commit(parents=[graph.refs["main"], CommitId(b"\1" * 32)], message="x")
    assert len(search) == 1
    assert search.heads() == [step]


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


def test_the_longest_name_of_a_search_can_be_read_again(graph: Graph) -> None:
    with pytest.raises(LocalError, match="search name"):
        graph.search("x" * 1_018)
    search = graph.search("x" * 1_017)
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


def test_a_search_may_end_while_garbage_is_collected(graph: Graph) -> None:
    search = graph.search("one")
    kept = search.commit(parents=[graph.refs["main"]], message="x", changes={"large": bytes(50_000)})
    search.discard(kept)
    for _ in range(3):
        graph.collect_garbage()
    search.promote(kept)
    assert graph.read(kept, "large") == bytes(50_000)
    steps = graph.collect_steps()
    next(steps)
    search.close()
    for _ in steps:
        pass
    assert graph.read(kept, "large") == bytes(50_000)


def test_what_is_named_while_garbage_is_collected_stays(graph: Graph) -> None:
    search = graph.search("one")
    made = search.commit(parents=[graph.refs["main"]], message="x", changes={"large": bytes(50_000)})
    reference = search.get(made).changes[0][1]
    search.close()
    for _ in range(2):
        graph.collect_garbage()
    steps = graph.collect_steps()
    next(steps)
    named = graph.commit(parents=[graph.refs["main"]], changes={"p": reference}, ref="main")
    for _ in steps:
        pass
    assert graph.read(named, "p") == bytes(50_000)
