"""Checkpoints of a node: made when enough has come, and nothing runs while nothing comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import trio
import trio.testing

from crdtgraph import CheckpointUse, CommitId, Graph, LastStop, Recovery, StoreError
from sync.protocol.limits import DEFAULTS
from sync.upkeep import look_after
from tests.sync.replicas import replica
from tests.sync.test_durability import Steps, inline


@pytest.fixture
def graph() -> Graph:
    return replica("a")


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

    nursery.start_soon(look_after, graph, SMALL, count, lambda _: None, news.wait, Notes())
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
    assert not [name for name in steps.of if name.endswith("look_after")]


async def test_a_store_that_refuses_a_checkpoint_is_tried_again_when_more_has_come(
    autojump_clock: trio.abc.Clock, graph: Graph, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StoreError("the disk is full")

    failures: list[StoreError] = []
    news = News()
    nursery.start_soon(look_after, graph, SMALL, inline, failures.append, news.wait, Notes())
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
    nursery.start_soon(look_after, graph, SMALL, inline, lambda _: None, News().wait, notes)
    await trio.testing.wait_all_tasks_blocked()
    assert notes.warnings == []
    graph.recovery = Recovery(LastStop.UNCLEAN, CheckpointUse.IGNORED, "it is damaged", 0, 7, 2)
    nursery.start_soon(look_after, graph, SMALL, inline, lambda _: None, News().wait, notes)
    await trio.testing.wait_all_tasks_blocked()
    assert [note["text"] for note in notes.warnings] == graph.recovery.warnings()
    assert len(notes.warnings) == 2
