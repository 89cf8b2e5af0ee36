"""A computation beside other tasks gives way: they do all that they have to, and it gets its share all the same."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import trio
import trio.testing

from sync import Turns
from sync.turns import TURN_MOST

SLICE_S = 0.005


def work(seconds: float) -> None:
    """A slice of a computation."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


async def test_a_turn_lasts_until_nobody_has_anything_to_do() -> None:
    steps = 0

    async def chain() -> None:
        nonlocal steps
        for _ in range(50):
            await trio.lowlevel.checkpoint()
            steps += 1

    async with trio.open_nursery() as nursery:
        turns = Turns()
        nursery.start_soon(chain)
        work(0.05)
        await turns()
        assert steps == 50


async def test_what_comes_through_a_socket_is_dealt_with_in_one_turn() -> None:
    one, other = trio.testing.memory_stream_pair()
    heard = []

    async def hear() -> None:
        async for data in other:
            for _ in range(10):
                await trio.lowlevel.checkpoint()
            heard.append(data)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hear)
        turns = Turns()
        for number in range(20):
            await one.send_all(b"%d" % number)
            work(SLICE_S)
            await turns()
            assert b"".join(heard).endswith(b"%d" % number)
        nursery.cancel_scope.cancel()


async def test_tasks_that_never_rest_leave_a_computation_its_share() -> None:
    async def restless() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(restless)
        turns = Turns()
        lasted = []
        for _ in range(20):
            work(SLICE_S)
            began = trio.current_time()
            await turns()
            lasted.append(trio.current_time() - began)
        nursery.cancel_scope.cancel()
    assert TURN_MOST * SLICE_S <= median(lasted) < 2 * TURN_MOST * SLICE_S


def test_a_node_that_nobody_computes_beside_does_not_wait_for_the_tools_of_tests_to_load() -> None:
    code = "import sys, sync.node; sys.exit('trio.testing' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0
