"""The clock of a graph, and what waits by it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

import crdtgraph
from crdtgraph import Durability, Graph
from crdtgraph.clock import DRIFT_US_MAX
from tests.crdtgraph.graph.machine import Machine

HOUR_US = 3_600_000_000


def test_time_goes_on_when_the_clock_jumps_back(tmp_path: Path) -> None:
    machine = Machine()
    path = str(tmp_path / "s")
    with crdtgraph.open(path, host=machine.host) as graph:
        first = graph.commit(ref="main")
        machine.now -= HOUR_US
        second = graph.commit(ref="main")
    machine.now -= HOUR_US
    with crdtgraph.open(path, host=machine.host) as graph:
        third = graph.commit(ref="main")
        assert [graph.get(commit).time for commit in (first, second, third)] == sorted(
            graph.get(commit).time for commit in (first, second, third)
        )
        assert len({graph.get(commit).time for commit in (first, second, third)}) == 3


def test_a_clock_that_jumps_back_does_not_hold_back_what_is_buffered(graph: Graph, machine: Machine) -> None:
    graph.commit(message="before")
    machine.now -= HOUR_US
    graph.commit(message="after")
    due = graph.flush_due()
    assert due is not None
    assert due <= 0.1
    machine.now += 100_000
    assert graph.flush_due() == 0
    graph.flush()
    assert graph.flush_due() is None


def test_a_clock_that_was_ahead_at_the_last_start_does_not_hold_back_what_is_buffered(tmp_path: Path) -> None:
    machine = Machine()
    path = str(tmp_path / "s")
    with crdtgraph.open(path, host=machine.host) as graph:
        graph.commit()
    machine.now -= HOUR_US
    with crdtgraph.open(path, host=machine.host) as graph:
        graph.commit()
        assert graph.flush_due() == pytest.approx(0.1)
        machine.now += 100_000
        assert graph.flush_due() == 0


def test_a_peer_whose_clock_is_ahead_does_not_drag_ours_along(graph: Graph, machine: Machine) -> None:
    ahead = Machine(seed=1, now=machine.now + HOUR_US)
    with crdtgraph.open("memory:", host=ahead.host) as other:
        other.commit(ref="theirs")
        for delta in other.deltas("ledger", {}):
            graph.receive("ledger", delta.update)
    assert graph.get(graph.commit()).time <= machine.now + DRIFT_US_MAX


def test_what_is_buffered_is_due_after_a_tenth_of_a_second(graph: Graph, machine: Machine) -> None:
    assert graph.flush_due() is None
    graph.commit()
    machine.now += 40_000
    assert graph.flush_due() == pytest.approx(0.06)
    graph.set_meta("k", b"v")
    assert graph.flush_due() == pytest.approx(0.06)
    written = graph.write_behind()
    assert graph.flush_due() == 0
    graph.settle(written)
    assert graph.flush_due() is None
    assert graph.status().segments == 1


def test_on_buffered_tells_of_the_first_record_that_waits(graph: Graph) -> None:
    told: list[float | None] = []
    stop = graph.on_buffered(lambda: told.append(None))
    commit = graph.commit()
    graph.set_meta("k", b"v")
    graph.count(commit, (1,))
    assert len(told) == 1
    graph.write_behind()
    graph.discard(graph.commit())
    assert len(told) == 2, "what is written and not fsynced is due as well, and more may be buffered behind it"
    graph.flush()
    graph.commit(ref="main")
    assert len(told) == 3
    stop()
    graph.commit()
    assert len(told) == 3


@pytest.mark.parametrize("seed", range(5))
def test_nothing_waits_without_word_of_it(graph: Graph, seed: int) -> None:
    rng = random.Random(seed)
    told = False

    def note() -> None:
        nonlocal told
        told = True

    graph.on_buffered(note)
    writes: list[Callable[[], object]] = [
        graph.commit,
        graph.flush,
        lambda: graph.settle(graph.write_behind()),
        lambda: graph.commit(durability=Durability.CRITICAL),
        lambda: graph.commit(ref="main", durability=Durability.NORMAL),
        lambda: graph.commit(ref="main", changes={"large": rng.randbytes(150_000)}),
        lambda: graph.commit(changes={"large": rng.randbytes(300_000)}),
        lambda: graph.set_meta("k", rng.randbytes(4)),
        graph.compact,
    ]
    for _ in range(200):
        told = told and graph.flush_due() is not None
        rng.choice(writes)()
        assert told or graph.flush_due() is None
