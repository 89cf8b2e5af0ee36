"""Write-behind: nothing runs while nothing waits, and nothing waits for longer than it may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import trio
import trio.testing

from crdtgraph import CheckpointUse, CommitId, Graph, Host, LastStop, Recovery, StoreError
from crdtgraph.opening import attach
from crdtgraph.store.memory import MemoryStore
from sync.durability import checkpoint_behind, write_behind
from sync.limits import DEFAULTS


class Steps(trio.abc.Instrument):
    """How often each task ran."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.of[task.name] += 1


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
    await write_behind(graph, DEFAULTS, inline, failed)


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

    nursery.start_soon(write_behind, graph, DEFAULTS, slow, lambda _: None)
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

    nursery.start_soon(write_behind, graph, DEFAULTS, slow, lambda _: None, waited.append)
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
    nursery.start_soon(write_behind, graph, DEFAULTS, inline, lambda _: None, waited.append)
    await trio.testing.wait_all_tasks_blocked()
    graph.commit(message="durable on return", ref="main")
    await trio.sleep(10)
    assert waited == []
    graph.commit(message="written behind")
    await trio.sleep(10)
    assert waited == pytest.approx([0.1], abs=0.02)


class Notes:
    """A log that remembers its warnings."""

    def __init__(self) -> None:
        self.warnings: list[dict[str, object]] = []

    def info(self, event: str, **fields: object) -> None:
        raise AssertionError(event)

    def warning(self, event: str, **fields: object) -> None:
        self.warnings.append({"event": event, **fields})

    def error(self, event: str, **fields: object) -> None:
        raise AssertionError(event)


class News:
    """Stands for a node that says when there is something new."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def tell(self) -> None:
        self._event.set()
        self._event = trio.Event()

    async def wait(self) -> None:
        await self._event.wait()


SMALL = replace(DEFAULTS, checkpoint_weight_min=20)


def checkpointed(graph: Graph) -> int:
    return graph._planes["ledger"].checkpoints.covered


async def test_a_checkpoint_is_written_when_enough_has_come_and_each_piece_is_synced(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    steps, syncs, news = Steps(), 0, News()

    async def count(work: Callable[[], None]) -> None:
        nonlocal syncs
        syncs += 1
        await inline(work)

    nursery.start_soon(checkpoint_behind, graph, SMALL, count, lambda _: None, news.wait, Notes())
    await trio.testing.wait_all_tasks_blocked()
    graph.commit(message="too little")
    news.tell()
    await trio.sleep(10)
    assert (checkpointed(graph), syncs) == (0, 0)
    parents = graph.heads()
    for number in range(30):
        parents = [graph.commit(parents=parents, message=f"{number}")]
    news.tell()
    await trio.sleep(10)
    assert checkpointed(graph) == 31
    assert syncs >= 3
    trio.lowlevel.add_instrument(steps)
    await trio.sleep(3_600)
    assert not [name for name in steps.of if name.endswith("checkpoint_behind")]


async def test_a_store_that_refuses_a_checkpoint_is_tried_again_when_more_has_come(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    failures: list[StoreError] = []
    news = News()
    nursery.start_soon(checkpoint_behind, graph, SMALL, inline, failures.append, news.wait, Notes())
    await trio.testing.wait_all_tasks_blocked()
    parents: list[CommitId] = []
    for round_number in range(2):
        for number in range(30):
            parents = [graph.commit(parents=parents, message=f"{round_number} {number}")]
        with monkeypatch.context() as patched:
            if not round_number:
                patched.setattr(graph._planes["ledger"].checkpoints, "put", refuse)
            news.tell()
            await trio.sleep(10)
            news.tell()
            await trio.sleep(10)
        assert len(failures) == 1
    assert checkpointed(graph) == 60


async def test_what_was_unusual_in_opening_is_logged(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery
) -> None:
    notes = Notes()
    nursery.start_soon(checkpoint_behind, graph, SMALL, inline, lambda _: None, News().wait, notes)
    await trio.testing.wait_all_tasks_blocked()
    assert notes.warnings == []
    graph.recovery = Recovery(LastStop.UNCLEAN, CheckpointUse.IGNORED, "it is damaged", 0, 7, 2)
    nursery.start_soon(checkpoint_behind, graph, SMALL, inline, lambda _: None, News().wait, notes)
    await trio.testing.wait_all_tasks_blocked()
    assert [note["text"] for note in notes.warnings] == graph.recovery.warnings()
    assert len(notes.warnings) == 2
