"""`SimStream` against trio's own conformance checks, and what TCP does to its users."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from simulations.agenda import Agenda
from simulations.stream import SimStream, stream_pair
from simulations.wire import Wire, WireProperties

SLOW = WireProperties(latency_s=0.05, jitter_s=0.02, bytes_per_s=1e6, window_bytes=30_000, fragmentation=0.7)


def run_over_wires(
    work: Callable[[Wire, Wire, random.Random], Awaitable[None]],
    properties: WireProperties = SLOW,
    seed: int = 1,
    within_s: float = 100_000,
) -> None:
    agenda, rng = Agenda(), random.Random(seed)

    async def main() -> None:
        with trio.fail_after(within_s):
            await work(Wire(agenda, rng, properties), Wire(agenda, rng, properties), rng)

    trio.run(main, clock=agenda)


async def read_until_broken(stream: SimStream) -> bytes:
    got = b""
    try:
        while True:
            got += await stream.receive_some()
    except trio.BrokenResourceError:
        return got


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("properties", [SLOW, WireProperties(latency_s=0.0, window_bytes=1_000)])
def test_it_passes_the_checks_of_trio(properties: WireProperties, seed: int) -> None:
    async def work(forth: Wire, back: Wire, rng: random.Random) -> None:

        async def make() -> tuple[SimStream, SimStream]:
            return stream_pair(forth, back, rng)

        async def make_clogged() -> tuple[SimStream, SimStream]:
            pair = stream_pair(forth, back, rng)
            for stream in pair:
                await stream.send_all(bytes(properties.window_bytes))
            return pair

        await trio.testing.check_half_closeable_stream(make, make_clogged)

    # They wait until all tasks are blocked, which never is before the next deadline: so there may be none.
    run_over_wires(work, properties, seed, within_s=math.inf)


def test_nothing_is_lost_or_reordered_by_cuts_stalls_and_fragmentation() -> None:
    async def work(forth: Wire, back: Wire, rng: random.Random) -> None:
        left, right = stream_pair(forth, back, rng)
        data = random.Random(2).randbytes(300_000)
        got = bytearray()

        async def disturb() -> None:
            while True:
                await trio.sleep(rng.random() * 0.3)
                wire = rng.choice((forth, back))
                if rng.random() < 0.5:
                    wire.cut()
                    await trio.sleep(rng.random())
                    wire.heal()
                else:
                    right.incoming.hold()
                    await trio.sleep(rng.random())
                    right.incoming.release()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(left.send_all, data)
            nursery.start_soon(disturb)
            while len(got) < len(data):
                got += await right.receive_some()
            nursery.cancel_scope.cancel()
        assert got == data

    run_over_wires(work)


def test_a_cut_is_a_silence_and_then_everything_arrives() -> None:
    async def work(forth: Wire, back: Wire, rng: random.Random) -> None:
        left, right = stream_pair(forth, back, rng)
        await left.send_all(b"before")
        forth.cut()
        await left.send_all(b" and during")
        with trio.move_on_after(100) as silence:
            await right.receive_some()
        assert silence.cancelled_caught
        forth.heal()
        got = b""
        while len(got) < 17:
            got += await right.receive_some()
        assert got == b"before and during"

    run_over_wires(work)


def test_the_sender_stops_at_the_window_also_when_only_the_way_back_is_cut() -> None:
    async def work(forth: Wire, back: Wire, rng: random.Random) -> None:
        left, right = stream_pair(forth, back, rng)
        back.cut()
        got = 0
        with trio.move_on_after(100) as blocked:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(left.send_all, bytes(3 * SLOW.window_bytes))
                while True:
                    got += len(await right.receive_some())
        assert blocked.cancelled_caught
        assert SLOW.window_bytes // 2 <= got <= SLOW.window_bytes

    run_over_wires(work)


@pytest.mark.parametrize("seed", range(20))
def test_a_reset_gives_a_prefix_and_then_breaks(seed: int) -> None:
    async def work(forth: Wire, back: Wire, rng: random.Random) -> None:
        left, right = stream_pair(forth, back, rng)
        data = random.Random(3).randbytes(20_000)
        await left.send_all(data)
        left.reset()
        assert data.startswith(await read_until_broken(right))
        with pytest.raises(trio.BrokenResourceError):
            await left.receive_some()
        with pytest.raises(trio.BrokenResourceError):
            await right.send_all(b"x")

    run_over_wires(work, seed=seed)


def test_a_vanished_peer_is_silent_until_its_machine_is_back() -> None:
    async def work(forth: Wire, back: Wire, rng: random.Random) -> None:
        left, right = stream_pair(forth, back, rng)
        right.vanish()
        await left.send_all(b"are you there?")
        with trio.move_on_after(1_000) as silence:
            await left.receive_some()
        assert silence.cancelled_caught
        right.bury()
        await left.send_all(b"hello?")
        with pytest.raises(trio.BrokenResourceError):
            await left.receive_some()

    run_over_wires(work)


def test_closing_with_unread_bytes_resets() -> None:
    async def work(forth: Wire, back: Wire, rng: random.Random) -> None:
        left, right = stream_pair(forth, back, rng)
        await left.send_all(b"unread")
        await trio.sleep(1)
        await right.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await left.receive_some()

    run_over_wires(work)
