"""Batches of writes: checked whole before the first is made, in bounded steps, all or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest

import crdtgraph
from crdtgraph import CommitId, Draft, Durability, Graph, LocalError, NotFoundError, Reference, StoreError
from crdtgraph.bulk import BATCH_ITEMS_MAX, PROMOTE_STEP_ITEMS, STEP_ITEMS, commit_batch, count_batch, discard_batch
from crdtgraph.objects.format import INLINE_BYTES_MAX
from crdtgraph.opening import attach
from crdtgraph.segment import PAYLOAD_BYTES_MAX
from crdtgraph.steps import run
from crdtgraph.store import Batch
from crdtgraph.store.memory import MemoryStore
from tests.crdtgraph.searches.graphs import Recording, ticking


class FullStore(MemoryStore):
    """A store that can be told to refuse."""

    full = False

    def write(self, batch: Batch, *, sync: bool) -> None:
        if self.full:
            raise StoreError("no space left")
        super().write(batch, sync=sync)


@pytest.fixture
def graph() -> Iterator[Graph]:
    with crdtgraph.open("memory:", host=ticking(), author="me") as opened:
        yield opened


@pytest.fixture
def root(graph: Graph) -> CommitId:
    return graph.commit(message="root", ref="main")


def line(root: CommitId, length: int, label: str = "step") -> list[Draft]:
    """A line of play: each item after the one before it."""
    return [Draft([place - 1 if place else root], f"{label} {place}", {"at": b"%d" % place}) for place in range(length)]


def test_a_batch_is_the_same_commits_as_one_by_one(graph: Graph, root: CommitId) -> None:
    drafts = [
        Draft([root], "a", {"x": b"1", "b": None}, "you", 5),
        Draft([0, root], "b", None, None, 6),
        Draft((), "c"),
    ]
    batch, single = graph.search("batch"), graph.search("single")
    ids = batch.commit_many(drafts)
    first = single.commit(parents=[root], message="a", changes={"b": None, "x": b"1"}, author="you", time=5)
    second = single.commit(parents=[first, root], message="b", time=6)
    assert ids[:2] == [first, second]
    assert batch.get(ids[1]).author == "me"
    assert batch.children(root) == tuple(sorted(ids[:2]))
    assert batch.parents(ids[2]) == ()
    assert dict(batch.state(ids[1])) == {"x": b"1"}


def test_a_batch_that_is_there_already_has_the_same_ids(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    drafts = [Draft([root], "a", None, "w", 1), Draft([0], "b", None, "w", 2), Draft([root], "a", None, "w", 1)]
    ids = search.commit_many(drafts)
    assert ids[0] == ids[2]
    assert search.commit_many(drafts) == ids
    assert len(search) == 2
    search.promote(ids[0])
    assert run(commit_batch(graph, drafts)) == ids
    assert graph.children(root) == (ids[0],)


def test_long_batches_reach_every_step(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    ids = search.commit_many(line(root, BATCH_ITEMS_MAX))
    assert len(search) == BATCH_ITEMS_MAX
    assert graph.is_ancestor(ids[0], ids[-1], plane=search.plane)
    steps = commit_batch(graph, line(root, 3 * STEP_ITEMS, "other"), plane=search.plane)
    assert sum(1 for _ in steps) == 4  # Two pauses while it is checked, two while it is written.


Wrong = Callable[[CommitId], Any]
WRONG: dict[str, tuple[Wrong, str]] = {
    "a parent that is not there": (lambda root: Draft([CommitId(b"x" * 32)]), "is not in the graph"),
    "an id that is too short": (lambda root: Draft([CommitId(root[:31])]), "is not in the graph"),
    "a text for an id": (lambda root: Draft([root.hex()]), "is not in the graph"),  # type: ignore[list-item]
    "itself as its parent": (lambda root: Draft([3]), "parent 3 is no earlier item"),
    "a place before the first": (lambda root: Draft([-1]), "parent -1 is no earlier item"),
    "true as a place": (lambda root: Draft([True]), "is not in the graph"),
    "no list of parents": (lambda root: Draft(root), "parents are"),  # type: ignore[arg-type]
    "no draft": (lambda root: {"parents": [root]}, "is no draft"),
    "too few fields": (lambda root: ([root], "m"), "is no draft"),
    "a message of bytes": (lambda root: Draft([root], b"m"), "the message of a commit"),  # type: ignore[arg-type]
    "a lone surrogate": (lambda root: Draft([root], "\ud800"), "cannot be written as UTF-8"),
    "a float for a time": (lambda root: Draft([root], "m", None, None, 1.5), "time 1.5"),  # type: ignore[arg-type]
    "a time beyond 64 bits": (lambda root: Draft([root], "m", None, None, 1 << 63), "64 bits"),
    "a number for an author": (lambda root: Draft([root], "m", None, 7), "the author"),  # type: ignore[arg-type]
    "text for a value": (lambda root: Draft([root], "m", {"a": "b"}), "the value of path 'a'"),  # type: ignore[dict-item]
    "an empty path": (lambda root: Draft([root], "m", {"": b""}), "is not a path"),
    "an object that is not here": (
        lambda root: Draft([root], "m", {"a": Reference("object", b"x" * 32, 99_999)}),
        "is not here",
    ),
}


@pytest.mark.parametrize("plane", ["ledger", "search/s"])
@pytest.mark.parametrize("wrong", WRONG)
def test_one_bad_item_and_nothing_is_written(graph: Graph, root: CommitId, wrong: str, plane: str) -> None:
    graph.search("s")
    make, message = WRONG[wrong]
    before = graph.digest(), graph.digest(plane=plane), len(graph)
    drafts = [*line(root, 3), make(root), Draft([root], "after")]
    with pytest.raises(LocalError, match=f"^item 3: .*{message}.*nothing of the batch was written"):
        run(commit_batch(graph, drafts, plane=plane))
    assert (graph.digest(), graph.digest(plane=plane), len(graph)) == before
    assert graph.children(root) == ()


def test_batches_are_bounded(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    with pytest.raises(LocalError, match="a batch of 1001 items"):
        search.commit_many(line(root, BATCH_ITEMS_MAX + 1))
    with pytest.raises(LocalError, match="a batch of 1001 items"):
        run(count_batch(graph, [(root, [1])] * (BATCH_ITEMS_MAX + 1)))
    with pytest.raises(LocalError, match="a batch of 1001 items"):
        run(discard_batch(graph, [root] * (BATCH_ITEMS_MAX + 1)))
    large = [Draft([root], f"{place}", {"a": bytes(16_000)}) for place in range(PAYLOAD_BYTES_MAX // 16_000 + 1)]
    with pytest.raises(LocalError, match=r"^item 16: .*262144 bytes of a segment"):
        run(commit_batch(graph, large))
    assert len(graph) == 1
    assert len(search.commit_many(large)) == len(large)  # No disk could refuse it there.
    many = [Draft([root], "m" * 50_000 + str(place)) for place in range(90)]
    with pytest.raises(LocalError, match=r"^item 83: .*4194304 bytes"):
        search.commit_many(many)


def test_a_large_value_becomes_an_object(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    value = bytes(INLINE_BYTES_MAX + 1)
    (made,) = search.commit_many([Draft([root], "m", {"a": value})])
    assert isinstance(search.state(made)["a"], Reference)
    assert graph.read(made, "a", plane=search.plane) == value


def test_an_empty_batch_is_none(graph: Graph) -> None:
    assert graph.search("s").commit_many([]) == []
    assert run(commit_batch(graph, [])) == []


@pytest.mark.parametrize("steps_before", [1, 3])
def test_a_search_that_closes_between_the_steps_takes_the_batch_with_it(
    graph: Graph, root: CommitId, steps_before: int
) -> None:
    search = graph.search("s")
    steps = commit_batch(graph, line(root, 3 * STEP_ITEMS), plane=search.plane)
    for _ in range(steps_before):
        next(steps)
    search.close()
    with pytest.raises(LocalError, match="'search/s' was closed"):
        run(steps)
    assert len(graph) == 1


def test_others_may_write_between_the_steps(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    drafts = [draft._replace(author="w", time=place) for place, draft in enumerate(line(root, 3 * STEP_ITEMS))]
    ours, theirs = (commit_batch(graph, drafts, plane=search.plane) for _ in range(2))
    results = {}
    waiting = {0: ours, 1: theirs}
    while waiting:
        for number, steps in list(waiting.items()):
            try:
                next(steps)
            except StopIteration as done:
                results[number] = done.value
                del waiting[number]
    assert results[0] == results[1]
    assert len(search) == 3 * STEP_ITEMS


def test_a_full_disk_refuses_a_batch_for_the_ledger_whole() -> None:
    store = FullStore()
    with attach(store, host=ticking()) as graph:
        root = graph.commit(message="root", ref="main")
        graph.commit(parents=[root], message="fills the buffer a little")
        store.full = True
        drafts = line(root, BATCH_ITEMS_MAX)
        with pytest.raises(StoreError):
            run(commit_batch(graph, drafts))
        assert len(graph) == 2
        with pytest.raises(StoreError, match=r"^no space"):
            run(count_batch(graph, [(root, [1])]))
        assert graph.counters(root) == ()
        store.full = False
        assert len(run(commit_batch(graph, drafts))) == BATCH_ITEMS_MAX
        graph.flush()


def test_what_a_batch_makes_survives(tmp_path: Any) -> None:
    url = f"sqlite:{tmp_path / 'store'}"
    with crdtgraph.open(url) as graph:
        root = graph.commit(message="root", ref="main")
        ids = run(commit_batch(graph, line(root, 300), durability=Durability.CRITICAL))
        assert graph.is_durable(ids[-1])
    with crdtgraph.open(url) as graph:
        assert graph.is_ancestor(root, ids[-1])
        assert len(graph) == 301


def test_a_policy_may_keep_what_a_search_commits() -> None:
    with crdtgraph.open("memory:", host=ticking()) as graph:
        root = graph.commit(message="root", ref="main")
        ids = graph.search("s").commit_many(line(root, 3), durability=Durability.NORMAL)
        assert all(each in graph for each in ids)
    recording = Recording()
    with crdtgraph.open("memory:", host=ticking(), policy=recording) as graph:
        root = graph.commit(message="root")
        ids = graph.search("s").commit_many(line(root, 3))
        assert not any(each in graph for each in ids)
        assert [write.plane for write in recording.asked] == ["ledger", "search/s"]


def test_counts_are_added_all_or_none(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    ids = search.commit_many(line(root, 2))
    run(count_batch(graph, [(ids[0], [1, 5]), (ids[0], [1, -7]), (root, [1])], plane=search.plane))
    assert search.counters(ids[0]) == (2, -2)
    assert search.counters(root) == (1,)
    assert graph.counters(root) == ()
    wrong: list[tuple[tuple[CommitId, Any], str]] = [
        ((CommitId(b"y" * 32), [1]), "is not in the graph"),
        ((ids[1], [0.5]), "not a vector"),
        ((ids[1], []), "not a vector"),
        ((ids[1], None), "None is not a vector"),
        ((ids[1], [1] * 100_000), "a sequence of 100000 is not a vector"),
        ((ids[1], [2**63]), "a number of 65 bits"),
        ((ids[1], [10**9_999]), "a number of 3[0-9]{4} bits"),
        ((ids[1], [1.5, 10**9_999]), "a list is not a vector"),
    ]
    for bad, message in wrong:
        with pytest.raises(LocalError, match=f"^item 1: .*{message}") as caught:
            run(count_batch(graph, [(ids[0], [1]), bad], plane=search.plane))
        assert len(str(caught.value)) < 200
    assert search.counters(ids[0]) == (2, -2)
    run(count_batch(graph, [(root, [3])] * 700))
    assert graph.counters(root) == (2_100,)


def test_counts_of_a_batch_are_news_to_a_watch(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    watch = search.watch()
    ids = search.commit_many(line(root, 2))
    watch.take()
    run(count_batch(graph, [(ids[0], [1])], plane=search.plane))
    assert watch.take().counted == (ids[0],)


def test_discards_are_all_or_none(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    ids = search.commit_many(line(root, 4))
    for wrong in (root, CommitId(b"z" * 32)):
        with pytest.raises(LocalError, match=r"^item 1: .*is not in the search"):
            run(discard_batch(graph, [ids[0], wrong], plane=search.plane))
    assert search.is_live(ids[0])
    run(discard_batch(graph, ids[2:], plane=search.plane))
    assert [search.is_live(each) for each in ids] == [True, True, False, False]


def test_no_plane_no_batch(graph: Graph) -> None:
    with pytest.raises(NotFoundError):
        run(commit_batch(graph, [Draft()], plane="search/none"))


def test_commits_that_all_stay_are_not_written_again(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    last = root
    for number in range(12):
        last = search.commit_many(line(last, BATCH_ITEMS_MAX, f"{number}"))[-1]
    home = graph._searches[search.plane]
    assert not home.needs_compaction()
    search.discard(search.children(root)[0])
    assert home.needs_compaction()


@pytest.mark.parametrize("what", [count_batch, discard_batch])
def test_what_is_gone_since_it_was_checked_is_passed_over(
    graph: Graph, root: CommitId, what: Callable[..., Any]
) -> None:
    search = graph.search("s")
    top, *rest = search.commit_many(line(root, 3 * STEP_ITEMS))
    kept = search.commit(parents=[root], message="kept")
    items: list[Any] = [top, *rest, kept]
    if what is count_batch:
        items = [(each, [1]) for each in items]
    steps = what(graph, items, plane=search.plane)
    next(steps)
    search.discard(top)
    for _ in search._home().grounded.prune_steps():
        pass
    assert not graph.has(rest[-1], plane=search.plane)
    run(steps)
    assert search.counters(kept) == (() if what is discard_batch else (1,))
    assert search.is_live(kept) == (what is count_batch)


# Batches of a search that are to be kept


def kept_steps(graph: Graph, drafts: list[Draft]) -> Any:
    return commit_batch(graph, drafts, plane="search/s", durability=Durability.NORMAL)


def test_what_is_kept_of_a_search_comes_to_the_ledger_whole_and_what_it_follows_from_in_steps(
    graph: Graph, root: CommitId
) -> None:
    below = graph.search("s").commit_many(line(root, 300))
    held = [len(graph)]
    for _ in (steps := kept_steps(graph, [*line(below[-1], 200), Draft([below[7]], "aside")])):
        held.append(len(graph))
    steps.close()
    grown = [after - before for before, after in pairwise([*held, len(graph)])]
    assert sum(grown) == 501
    assert max(grown[:-1]) <= PROMOTE_STEP_ITEMS
    assert 201 <= grown[-1] < 201 + PROMOTE_STEP_ITEMS


def test_a_search_that_closes_takes_all_of_a_batch_with_it_that_is_to_be_kept() -> None:
    for steps_before in range(1, 50):
        with crdtgraph.open("memory:", host=ticking()) as graph:
            root = graph.commit(message="root")
            search = graph.search("s")
            below = search.commit_many(line(root, 40))
            steps = kept_steps(graph, line(below[-1], 3 * STEP_ITEMS))
            for _ in range(steps_before):
                if next(steps, "done") == "done":
                    assert len(graph) == 41 + 3 * STEP_ITEMS
                    return
            search.close()
            with pytest.raises(LocalError, match="was closed"):
                run(steps)
            assert len(graph) <= 41
    raise AssertionError("it never ends")


def test_a_full_disk_keeps_all_or_nothing_of_a_search_s_batch() -> None:
    store = FullStore()
    with attach(store, host=ticking()) as graph:
        root = graph.commit(message="root", ref="main")
        graph.search("s")
        run(commit_batch(graph, line(root, 500, "fills half of the buffer")))
        store.full = True
        with pytest.raises(StoreError):
            run(kept_steps(graph, line(root, 700)))
        assert len(graph) == 501
        store.full = False
        run(kept_steps(graph, line(root, 700)))
        assert len(graph) == 1_201


def test_a_batch_that_is_kept_has_room_in_a_segment(graph: Graph, root: CommitId) -> None:
    search = graph.search("s")
    drafts = [Draft([root], f"{place}", {"x": b"x" * 10_000}) for place in range(30)]
    with pytest.raises(LocalError, match=r"^item 25: .*bytes of a segment; nothing of the batch"):
        run(kept_steps(graph, drafts))
    assert (len(graph), len(search)) == (1, 0)
    assert len(search.commit_many(drafts)) == 30


def test_whoever_asks_up_to_when_all_is_on_disk_is_not_told_of_a_batch_that_is_not(
    graph: Graph, root: CommitId
) -> None:
    graph.flush()
    steps = commit_batch(graph, line(root, 3 * STEP_ITEMS))
    next(steps)
    graph.commit(parents=[root], message="in between")
    began = graph.durable_up_to()
    for _ in steps:
        pass
    stamps = graph._planes["ledger"].buffer.records.stamps
    assert len(stamps) == 1 + 3 * STEP_ITEMS
    assert stamps == sorted(stamps)
    assert graph.durable_up_to() == began < min(stamps)
