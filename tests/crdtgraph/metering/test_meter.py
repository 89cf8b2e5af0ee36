"""A graph with a meter: what it notes, what it does not, and that it stays the graph it is."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from itertools import count

import pytest

import crdtgraph
from crdtgraph import Durability, Graph, LocalError, NotFoundError
from crdtgraph.metering import Meter, Period, Timed, commit_series
from crdtgraph.metering.graph import MeteredGraph
from crdtgraph.store import MemoryStore, Store
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


def test_an_update_of_a_peer_counts_once_with_the_time_of_its_steps_alone(graph: Graph, meter: Meter) -> None:
    with replica("b") as other:
        grow(other, 3)
        before = counts(meter)
        for delta in other.deltas("ledger", {}):
            steps = graph.receive_steps("ledger", delta.update)
            for _ in steps:
                for _ in range(1_000):
                    meter.now_ns()
        assert graph.digest() == other.digest()
    assert news(meter, before)["apply"] == 1
    assert next(each for each in meter.summaries(Period.TOTAL) if each.name == "apply").max_ns < 500 * TICK_NS


def test_syncs_of_another_thread_are_taken_in(graph: Graph, meter: Meter) -> None:
    graph.commit()
    written = graph.write_behind()
    before = counts(meter)
    thread = threading.Thread(target=graph.store.sync)
    thread.start()
    thread.join()
    graph.settle(written)
    assert news(meter, before) == {"fsync": 1}
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


def test_a_metered_store_passes_on_what_only_the_store_below_has(meter: Meter) -> None:
    class Special(MemoryStore):
        def special(self) -> str:
            return "below"

    store = MeteredStore(Special(), meter)
    assert store.special() == "below"  # type: ignore[operator]
    typed: Store = store
    with pytest.raises(AttributeError):
        typed.nothing_of_the_kind  # type: ignore[attr-defined] # noqa: B018


def test_a_name_of_ones_own_gets_a_series(meter: Meter) -> None:
    meter.record("search", meter.now_ns())
    meter.add("search", 5)
    assert counts(meter)["search"] == 2
