"""Write-behind: nothing runs while nothing waits, and nothing waits for longer than it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import trio
import trio.testing

from crdtgraph import Durability, Graph, Host, StoreError
from crdtgraph.opening import attach
from crdtgraph.store import Batch
from crdtgraph.store.memory import MemoryStore
from sync.durability import Flusher
from sync.protocol.limits import DEFAULTS


class Steps(trio.abc.Instrument):
    """How often each task ran."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.of[task.name] += 1


class Latched:
    """What a disk does to a store: after a failure it refuses all, until it is opened anew when there is room."""

    def __init__(self) -> None:
        self.is_full = self.is_latched = False

    def put_over(self, graph: Graph) -> None:
        store = graph.store
        write, sync = store.write, store.sync

        def write_if(batch: Batch, *, sync: bool) -> None:
            self.check()
            write(batch, sync=sync)

        def sync_if() -> None:
            self.check()
            sync()

        store.write, store.sync, store.reopen = write_if, sync_if, self.reopen  # type: ignore[method-assign]

    def check(self) -> None:
        self.is_latched |= self.is_full
        if self.is_latched:
            raise StoreError("the disk is full")

    def reopen(self) -> None:
        if self.is_full:
            raise StoreError("the disk is still full")
        self.is_latched = False


@pytest.fixture
def graph(autojump_clock: trio.testing.MockClock) -> Iterator[Graph]:
    """A graph on the time of the test."""
    now = lambda: int(autojump_clock.current_time() * 1e6) + 1_700_000_000_000_000  # noqa: E731
    with attach(MemoryStore(), host=Host(now_us=now, random_bytes=bytes)) as graph:
        yield graph


async def inline(work: Callable[[], None]) -> None:
    await trio.lowlevel.checkpoint()
    work()


async def keep(graph: Graph, failed: Callable[[StoreError], None] = lambda _: None) -> None:
    await Flusher(graph, DEFAULTS, inline, failed, lambda _: None).run()


async def test_an_idle_graph_costs_nothing(autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery) -> None:
    steps = Steps()
    nursery.start_soon(keep, graph)
    await trio.testing.wait_all_tasks_blocked()
    trio.lowlevel.add_instrument(steps)
    await trio.sleep(3_600)
    assert not [name for name in steps.of if name.endswith("keep")]


async def test_what_is_buffered_is_durable_after_a_tenth_of_a_second(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    graph.commit(message="before it ran")
    nursery.start_soon(keep, graph)
    for pause_s in (0.05, 0.0, 0.3, 10.0, 3_600.0):
        await trio.sleep(pause_s)
        graph.commit(message="one")
        graph.commit(message="two")
        assert graph.flush_due() is not None
        await trio.sleep(0.101)
        assert graph.flush_due() is None
    assert sum(graph.state_vector("ledger").values()) == graph.status().segments


async def test_what_was_written_during_a_flush_follows_it(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    async def slow(work: Callable[[], None]) -> None:
        await trio.sleep(0.02)
        work()

    nursery.start_soon(Flusher(graph, DEFAULTS, slow, lambda _: None, lambda _: None).run)
    graph.commit(message="one")
    await trio.sleep(0.11)
    graph.commit(message="two")
    await trio.sleep(0.2)
    assert graph.flush_due() is None


async def test_a_store_that_refuses_is_tried_again(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    failures: list[StoreError] = []
    sync = graph.store.sync

    def refuse() -> None:
        raise StoreError("the disk is full")

    nursery.start_soon(keep, graph, failures.append)
    graph.store.sync = refuse  # type: ignore[method-assign]
    graph.commit()
    await trio.sleep(3.5)
    assert 2 <= len(failures) <= 4
    graph.store.sync = sync  # type: ignore[method-assign]
    await trio.sleep(1)
    assert graph.flush_due() is None


async def test_a_store_that_wants_to_be_opened_anew_is_when_it_lets_itself_be(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    store = Latched()
    failures: list[StoreError] = []
    flusher = Flusher(graph, DEFAULTS, inline, failures.append, lambda _: None)
    nursery.start_soon(flusher.run)
    store.put_over(graph)
    store.is_full = True
    made = graph.commit()
    await trio.sleep(3.5)
    assert store.is_latched
    assert 3 <= len(failures) <= 5, "an alert looks at how often it refuses"
    store.is_full = False
    await flusher.durable()
    assert graph.is_durable(made)
    # Whatever else was refused, a segment of a peer say, is a reason as good.
    store.is_latched = True
    flusher.note_refusal()
    await trio.sleep(1.5)
    assert not store.is_latched


async def test_it_ends_without_a_trace(autojump_clock: trio.abc.Clock, graph: Graph) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep, graph)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert not graph._buffer_listeners


async def test_how_long_records_waited_for_the_disk_is_told_once_for_each_batch(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    waited: list[float] = []

    async def slow(work: Callable[[], None]) -> None:
        await trio.sleep(0.5)
        work()

    nursery.start_soon(Flusher(graph, DEFAULTS, slow, lambda _: None, waited.append).run)
    await trio.testing.wait_all_tasks_blocked()
    graph.commit(message="first")
    await trio.sleep(0.05)
    graph.commit(message="with it")
    await trio.sleep(0.25)
    graph.commit(message="while the disk is busy with those")
    await trio.sleep(10)
    # A tenth of a second in the buffer and half a second for the disk; the last waited for the disk to be free first.
    assert waited == pytest.approx([0.6, 0.3 + 0.5], abs=0.02)


async def test_what_went_to_disk_by_itself_is_no_wait(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    waited: list[float] = []
    nursery.start_soon(Flusher(graph, DEFAULTS, inline, lambda _: None, waited.append).run)
    await trio.testing.wait_all_tasks_blocked()
    graph.commit(message="durable on return", ref="main")
    await trio.sleep(10)
    assert waited == []
    graph.commit(message="written behind")
    await trio.sleep(10)
    assert waited == pytest.approx([0.1], abs=0.02)


async def test_concurrent_critical_writers_share_an_fsync(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    syncs: list[float] = []

    async def slow(work: Callable[[], None]) -> None:
        await trio.sleep(0.01)
        work()
        syncs.append(trio.current_time())

    flusher = Flusher(graph, DEFAULTS, slow, lambda _: None, lambda _: None)
    nursery.start_soon(flusher.run)
    await trio.testing.wait_all_tasks_blocked()

    async def write(number: int) -> None:
        for step in range(5):
            made = graph.commit(message=f"{number} {step}", ref=f"branch/{number}", durability=Durability.NORMAL)
            assert not graph.is_durable(made)
            await flusher.durable()
            assert graph.is_durable(made)

    async with trio.open_nursery() as writers:
        for number in range(20):
            writers.start_soon(write, number)
    # Those that write during one wait share the next: 100 commits of 20 writers take 5 fsyncs.
    assert len(syncs) == 5
    await flusher.durable()
    assert len(syncs) == 5, "nothing waits, so nothing is synced"


async def test_who_waits_for_the_disk_is_told_when_it_refuses_and_served_when_it_does_again(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    full = [True]
    failures: list[StoreError] = []

    async def refusing(work: Callable[[], None]) -> None:
        await trio.lowlevel.checkpoint()
        if full[0]:
            raise StoreError("no space left on device", hint="make room")
        work()

    flusher = Flusher(graph, DEFAULTS, refusing, failures.append, lambda _: None)
    nursery.start_soon(flusher.run)
    made = graph.commit(message="waits")
    with pytest.raises(StoreError, match="no space left"):
        await flusher.durable()
    assert failures
    assert not graph.is_durable(made)
    full[0] = False
    await flusher.durable()
    assert graph.is_durable(made)


async def test_nobody_waits_for_a_node_that_has_stopped(autojump_clock: trio.abc.Clock, graph: Graph) -> None:
    never = trio.Event()
    flusher = Flusher(graph, DEFAULTS, lambda _: never.wait(), lambda _: None, lambda _: None)
    told: list[StoreError] = []

    async def write() -> None:
        graph.commit(message="waits")
        with pytest.raises(StoreError) as caught:
            await flusher.durable()
        told.append(caught.value)

    async with trio.open_nursery() as outer, trio.open_nursery() as inner:
        inner.start_soon(flusher.run)
        outer.start_soon(write)
        await trio.testing.wait_all_tasks_blocked()
        inner.cancel_scope.cancel()
    assert told
    with pytest.raises(StoreError, match="stopped"):
        await flusher.durable()


async def test_what_is_durable_is_said_to_be_also_if_the_compaction_after_it_fails(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Iterator[None]:
        raise StoreError("no space left on device")
        yield

    monkeypatch.setattr(graph, "needs_compaction", lambda: True)
    monkeypatch.setattr(graph, "compact_steps", fail)
    failures: list[StoreError] = []
    flusher = Flusher(graph, DEFAULTS, inline, failures.append, lambda _: None)
    nursery.start_soon(flusher.run)
    made = graph.commit(message="durable")
    await flusher.durable()
    assert graph.is_durable(made)
    assert len(failures) == 1
