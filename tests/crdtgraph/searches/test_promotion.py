"""From a search to the ledger: what is copied, what a ref does, and what becomes of large values."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from crdtgraph import (
    CommitId,
    Durability,
    Graph,
    LocalError,
    NotFoundError,
    Search,
)
from crdtgraph.bulk import PROMOTE_STEP_ITEMS, promote_steps
from crdtgraph.steps import run


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


def at_once(search: Search, commit: CommitId, ref: str | None = None) -> list[CommitId]:
    return search.promote(commit, ref=ref)


def in_steps(search: Search, commit: CommitId, ref: str | None = None) -> list[CommitId]:
    return run(promote_steps(search._graph, commit, plane=search.plane, ref=ref))


@pytest.mark.parametrize("promote", [at_once, in_steps])
def test_a_promotion_that_cannot_move_its_ref_copies_nothing(
    graph: Graph, promote: Callable[..., list[CommitId]]
) -> None:
    root = graph.refs["main"]
    graph.commit(parents=[root], message="moved on", ref="main")
    search = graph.search("one")
    made = search.commit(parents=[root], message="beside")
    before = graph.digest()
    with pytest.raises(LocalError, match="does not descend"):
        promote(search, made, "main")
    with pytest.raises(LocalError, match="does not descend"):
        graph.set_ref("main", made)
    with pytest.raises(NotFoundError):
        promote(search, CommitId(b"\2" * 32))
    assert graph.digest() == before
    assert made not in graph


def test_a_promotion_in_steps_is_the_same_in_bounded_ones(graph: Graph) -> None:
    main = graph.refs["main"]
    search = graph.search("one")
    line = [main]
    for number in range(200):
        line.append(search.commit(parents=line[-2:], message=f"{number}"))
    steps = promote_steps(graph, line[-1], plane=search.plane, ref="main")
    held = [len(graph)]
    copied: list[CommitId] = []
    while not copied:
        try:
            next(steps)
        except StopIteration as done:
            copied = done.value
        held.append(len(graph))
        assert (graph.refs["main"] == line[-1]) is bool(copied), "the ref moves last"
    assert copied == line[1:]
    assert max(after - before for before, after in pairwise(held)) <= PROMOTE_STEP_ITEMS
    assert run(promote_steps(graph, line[7], plane=search.plane, ref="old")) == []
    assert graph.refs["old"] == line[7]
    search.close()
    assert graph.topological() == line


def test_a_promotion_in_steps_from_no_search_is_not_found(graph: Graph) -> None:
    with pytest.raises(NotFoundError, match="no open search"):
        run(promote_steps(graph, graph.refs["main"], plane="search/none"))


def test_a_search_that_is_closed_amid_a_promotion_ends_it(graph: Graph) -> None:
    search = graph.search("one")
    line = [graph.refs["main"]]
    for number in range(3 * PROMOTE_STEP_ITEMS):
        line.append(search.commit(parents=line[-1:], message=f"{number}"))
    steps = promote_steps(graph, line[-1], plane=search.plane, ref="best")
    for _ in range(4):
        next(steps)
    search.close()
    with pytest.raises(LocalError, match="was closed while"):
        next(steps)
    assert "best" not in graph.refs
    assert [each.problem for each in graph.fsck() if each.problem] == []


def test_what_cannot_be_kept_because_it_is_gone_changes_nothing(graph: Graph) -> None:
    search = graph.search("one")
    top = search.commit(parents=[graph.refs["main"]], message="top")
    low = search.commit(parents=[search.commit(parents=[top], message="middle")], message="low")
    search.discard(top)
    run(graph._searches[search.plane].compact_steps())
    before, digest = len(search), graph.digest()
    with pytest.raises(NotFoundError, match="its content went"):
        search.commit(parents=[low], message="moves a ref", ref="best")
    with pytest.raises(NotFoundError, match="its content went"):
        search.commit(parents=[low], message="kept", durability=Durability.NORMAL)
    for promote in (at_once, in_steps):
        with pytest.raises(NotFoundError, match="its content went"):
            promote(search, low, "best")
    assert len(search) == before
    assert graph.digest() == digest


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
