"""A graph with a meter: what it notes, what it does not, and that it stays the graph it is."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Generator, Iterator
from itertools import count
from typing import Protocol, runtime_checkable

import pytest

import crdtgraph
from crdtgraph import Commit, Durability, Graph, LocalError, NotFoundError, Write
from crdtgraph.metering import Meter, Period, Timed, commit_series
from crdtgraph.metering.graph import MeteredGraph
from crdtgraph.store import Batch, MemoryStore, Store
from crdtgraph.store.metered import MeteredStore
from tests.sync.replicas import grow, host, replica

TICK_NS = 1_000


@pytest.fixture
def meter() -> Meter:
    """A clock that moves a microsecond at every look."""
    ticks = count(0, TICK_NS)
    return Meter(lambda: next(ticks))


@pytest.fixture
def graph(meter: Meter) -> Iterator[Graph]:
    with crdtgraph.open("memory:", cluster="test", host=host("a"), meter=meter) as opened:
        yield opened


def counts(meter: Meter) -> dict[str, int]:
    return {each.name: each.count for each in meter.summaries(Period.TOTAL)}


def news(meter: Meter, before: dict[str, int]) -> dict[str, int]:
    return {name: more for name, now in counts(meter).items() if (more := now - before.get(name, 0))}


def test_commits_count_for_their_class(graph: Graph, meter: Meter) -> None:
    before = counts(meter)
    root = graph.commit(message="with no ref: normal")
    graph.commit(message="moves a ref: critical", parents=[root], ref="main")
    graph.commit(message="as it says", durability=Durability.CRITICAL)
    graph.commit(message="as it says", ref="side", durability=Durability.NORMAL)
    found = news(meter, before)
    assert (found["commit_normal"], found["commit_critical"]) == (2, 2)
    assert found["fsync"] == 2


def test_reads_and_states_count_and_what_fails_does_not(graph: Graph, meter: Meter) -> None:
    root = graph.commit(changes={"a": b"1"}, ref="main")
    before = counts(meter)
    assert graph.get(root).changes == (("a", b"1"),)
    assert graph.get_many([root]) == [graph.get(root)]
    assert graph.resolve("main") == root
    assert graph.state(root)["a"] == b"1"
    with pytest.raises(NotFoundError):
        graph.resolve("nobody")
    with pytest.raises(LocalError):
        graph.commit(parents=[crdtgraph.CommitId(bytes(32))])
    assert news(meter, before) == {"read": 4, "state": 1}


def test_an_update_of_a_peer_counts_once(graph: Graph, meter: Meter) -> None:
    with replica("b") as other:
        grow(other, 3)
        before = counts(meter)
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
        assert graph.digest() == other.digest()
    assert news(meter, before)["apply"] == 1


def test_the_time_of_an_update_is_that_of_its_steps_and_not_of_what_happens_between(
    graph: Graph, meter: Meter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(amount: int) -> None:
        for _ in range(amount):
            meter.now_ns()

    def steps(self: Graph, plane: str, update: bytes) -> Generator[None, None, str]:
        work(100)
        yield
        work(100)
        yield
        work(100)
        return f"received {plane}"

    monkeypatch.setattr(Graph, "receive_steps", steps)
    running = graph.receive_steps("ledger", b"")
    for _ in range(2):
        next(running)
        work(1_000)
    with pytest.raises(StopIteration) as done:
        next(running)
    assert done.value.value == "received ledger"
    [apply] = [each for each in meter.summaries(Period.TOTAL) if each.name == "apply"]
    assert (apply.count, apply.max_ns) == (1, 3 * 101 * TICK_NS)


def test_commits_of_a_search_are_speculative_unless_they_are_to_be_kept(graph: Graph, meter: Meter) -> None:
    root = graph.commit(ref="main")
    before = counts(meter)
    with graph.search("one") as search:
        tried = search.commit(parents=[root], message="tried")
        search.commit(parents=[tried], message="found", ref="main")
        search.commit(parents=[tried], message="kept", durability=Durability.NORMAL)
    found = news(meter, before)
    assert (found["commit_speculative"], found["commit_critical"], found["commit_normal"]) == (1, 1, 1)


def test_the_policy_of_the_graph_says_the_class(meter: Meter) -> None:
    class Careful:
        def durability(self, write: Write) -> Durability:
            return Durability.CRITICAL

    with crdtgraph.open("memory:", meter=meter, policy=Careful()) as graph:
        before = counts(meter)
        graph.commit(message="no ref, and critical all the same")
        assert news(meter, before) == {"commit_critical": 1, "fsync": 1}


def test_what_is_deferred_is_counted_by_whoever_waits_for_it(graph: Graph, meter: Meter) -> None:
    before = counts(meter)
    began = meter.now_ns()
    with meter.deferred():
        graph.commit()
    assert news(meter, before) == {}
    meter.record("commit_critical", began)
    graph.commit()
    assert news(meter, before) == {"commit_critical": 1, "commit_normal": 1}


def test_many_commits_in_one_call_count_once(graph: Graph, meter: Meter) -> None:
    before = counts(meter)
    graph.commit_many([Commit((), "a", number, "x", (), "") for number in range(5)])
    assert news(meter, before) == {"batch": 1}


def test_syncs_of_another_thread_are_taken_in(graph: Graph, meter: Meter) -> None:
    graph.commit()
    written = graph.write_behind()
    before = counts(meter)
    for work in (graph.store.sync, lambda: graph.store.write(Batch(), sync=True)):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    graph.settle(written)
    assert news(meter, before) == {"fsync": 2}
    assert meter.syncing_since_ns is None


def test_a_sync_that_hangs_shows_while_it_does(meter: Meter) -> None:
    seen: list[int | None] = []

    class Hanging(MemoryStore):
        def sync(self) -> None:
            seen.append(meter.syncing_since_ns)

    MeteredStore(Hanging(), meter).sync()
    assert seen != [None]
    assert meter.syncing_since_ns is None


def test_every_class_and_kind_has_a_series_from_the_start(meter: Meter) -> None:
    assert set(counts(meter)) == {commit_series(each) for each in Durability} | {each.value for each in Timed}


def test_a_graph_without_a_meter_is_the_plain_class_and_store() -> None:
    with crdtgraph.open("memory:") as plain:
        assert type(plain) is Graph
        assert type(plain.store) is MemoryStore
        assert plain.meter is None


def test_a_metered_graph_has_the_signatures_of_a_graph() -> None:
    for name, method in vars(MeteredGraph).items():
        if callable(method):
            assert inspect.signature(method) == inspect.signature(getattr(Graph, name)), name


@runtime_checkable
class CanDoMore(Protocol):
    def more(self) -> str: ...


def test_a_metered_store_passes_on_what_only_the_store_below_has(meter: Meter) -> None:
    class Special(MemoryStore):
        number = 1

        def more(self) -> str:
            return f"below {self.number}"

    below = Special()
    store: Store = MeteredStore(below, meter)
    assert isinstance(store, CanDoMore)
    assert store.more() == "below 1"
    below.number = 2
    assert store.more() == "below 2"
    assert store.number == 2  # type: ignore[attr-defined]
    plain: Store = MeteredStore(MemoryStore(), meter)
    assert not isinstance(plain, CanDoMore)
    with pytest.raises(AttributeError):
        plain.more  # type: ignore[attr-defined] # noqa: B018


def test_a_name_of_ones_own_gets_a_series(meter: Meter) -> None:
    meter.record("search", meter.now_ns())
    meter.add("search", 5, meter.now_ns())
    assert counts(meter)["search"] == 2
