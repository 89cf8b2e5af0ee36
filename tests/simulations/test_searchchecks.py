"""What must hold of searches in a simulated world: each rule is seen to fail."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager

import pytest

import crdtgraph
from crdtgraph import LEDGER, CommitId, Graph, Host
from crdtgraph.searches.plane import PREFIX
from simulations import searchchecks
from simulations.checkers import Seen, ViolationError
from simulations.reading import Reading

PLANE = PREFIX + "s"


def graph(seed: int = 1) -> tuple[Graph, CommitId]:
    ticks = iter(range(1_700_000_000_000_000, 1_800_000_000_000_000))
    opened = crdtgraph.open("memory:", host=Host(lambda: next(ticks), random.Random(seed).randbytes))
    root = opened.commit(message="root", author="all", time=1)
    return opened, root


def fails(rule: str) -> AbstractContextManager[pytest.ExceptionInfo[ViolationError]]:
    return pytest.raises(ViolationError, match=rule)


def said(graph: Graph) -> list[CommitId]:
    search = graph.search("s")
    root = graph.roots()[0]
    first = search.commit(parents=[root], message="first")
    second = search.commit(parents=[first, root], message="second")
    third = search.commit(parents=[second], message="third")
    search.count(root, [5])
    search.count(second, [1, -2])
    search.discard(second)
    graph.flush()
    return [first, second, third]


def test_the_model_says_the_same_of_a_search() -> None:
    one, _ = graph()
    said(one)
    read = Reading().of_search(one, PLANE)
    searchchecks.check_search_model("a", one, PLANE, read)
    one.commit(message="more of the ledger")
    searchchecks.check_search_model("a", one, PLANE, read)
    with fails("a search is the model's: a and the model differ in"):
        searchchecks.check_search_model("a", one, PLANE, [])


def test_a_count_that_is_not_the_models() -> None:
    one, root = graph()
    said(one)
    read = Reading().of_search(one, PLANE)
    one.search("s").count(root, [1])
    with fails("differ in counters"):
        searchchecks.check_search_model("a", one, PLANE, read)


def test_a_closed_search_that_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = graph()
    said(one)
    seen = Seen()
    searchchecks.check_closed_stay_closed("a", one, seen)
    one.search("s").close()
    searchchecks.check_closed_stay_closed("a", one, seen)
    assert seen.closed == {"s"}
    one._begin("s")
    with fails("a closed search stays closed: a has s open"):
        searchchecks.check_closed_stay_closed("a", one, seen)
    other, _ = graph(2)
    with fails("a has forgotten s"):
        searchchecks.check_closed_stay_closed("a", other, seen)


def test_equal_segments_with_another_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    one, _ = graph()
    one.flush()
    other, _ = graph(2)
    other.receive(LEDGER, next(iter(one.deltas(LEDGER, {}))).update)
    other.flush()
    one.receive(LEDGER, next(iter(other.deltas(LEDGER, one.state_vector(LEDGER)))).update)
    said(one)
    other.hear_of(PLANE)
    for delta in one.deltas(PLANE, {}):
        other.receive(PLANE, delta.update)
    both = {"a": one, "b": other}
    searchchecks.check_equal_searches(both)
    assert searchchecks.search_disagreement(both) == ""
    other.search("s")._graph._searches[PLANE].projection._commit_sum += 1
    with fails("equal segment sets have equal digests: a and b in search/s"):
        searchchecks.check_equal_searches(both)
    assert "b search/s" in searchchecks.search_disagreement(both)


def test_what_is_not_packed_is_no_agreement() -> None:
    one, root = graph()
    one.search("s").commit(parents=[root], message="x")
    assert "packed" in searchchecks.search_disagreement({"a": one})
    one.flush_searches()
    assert searchchecks.search_disagreement({"a": one}) == ""
    empty, _ = graph(2)
    empty.search("nothing in it")
    assert searchchecks.search_planes(empty) == []
    assert searchchecks.search_disagreement({"a": one, "b": empty}) != ""
