"""Hosts, dials and cuts, as a node sees them through its transport."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest
import trio

from crdtgraph.errors import LocalError, UnreachableError
from simulations.agenda import Agenda
from simulations.network import BACKLOG, Network, SimTransport
from simulations.trace import Trace
from simulations.wire import WireProperties
from sync.transport import Address

A, B = Address("a", 7000), Address("b", 7000)


def in_network(work: Callable[[Network, SimTransport, SimTransport], Awaitable[None]]) -> None:
    agenda = Agenda()

    async def main() -> None:
        network = Network(agenda, random.Random(0), Trace(), lambda *_: WireProperties(latency_s=0.1))
        with trio.fail_after(10_000):
            await work(network, network.add("a"), network.add("b"))

    trio.run(main, clock=agenda)


async def say(source: trio.abc.Stream, target: trio.abc.Stream, words: bytes) -> bool:
    """Whether words arrive within a minute."""
    await source.send_all(words)
    got = b""
    with trio.move_on_after(60):
        while got != words:
            got += await target.receive_some()
    return got == words


def test_a_dial_takes_a_round_trip_and_gives_a_stream() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        [listening] = await b.listen(B)
        ours = await a.dial(B)
        assert trio.current_time() == pytest.approx(0.2)
        theirs = await listening.accept()
        assert await say(ours, theirs, b"hello")
        assert await say(theirs, ours, b"hello yourself")

    in_network(work)


def test_nobody_listens() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        with pytest.raises(UnreachableError, match="connection refused"):
            await a.dial(B)
        [listening] = await b.listen(B)
        await listening.aclose()
        with pytest.raises(UnreachableError, match="connection refused"):
            await a.dial(B)

    in_network(work)


def test_a_port_is_taken_once_and_by_its_host() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        await b.listen(B)
        for transport, address in ((b, B), (a, B)):
            with pytest.raises(LocalError, match="cannot listen"):
                await transport.listen(address)

    in_network(work)


def test_a_full_backlog_refuses() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        await b.listen(B)
        for _ in range(BACKLOG):
            await a.dial(B)
        with pytest.raises(UnreachableError, match="refused"):
            await a.dial(B)

    in_network(work)


def test_a_machine_without_power_does_not_even_refuse() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        await b.listen(B)
        network.power_off("b")
        with pytest.raises(UnreachableError, match="timed out"):
            await a.dial(B)
        assert trio.current_time() >= 60
        network.power_on("b")
        with pytest.raises(UnreachableError, match="refused"):
            await a.dial(B)

    in_network(work)


@pytest.mark.parametrize("refuses, reason, seconds", [(True, "no route", 1), (False, "timed out", 60)])
def test_a_cut_stops_dials_in_both_directions(refuses: bool, reason: str, seconds: float) -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        await a.listen(A)
        await b.listen(B)
        network.cut("a", "b", refuses=refuses)
        for transport, address in ((a, B), (b, A)):
            before = trio.current_time()
            with pytest.raises(UnreachableError, match=reason):
                await transport.dial(address)
            assert trio.current_time() - before == pytest.approx(seconds, abs=1.5)
        network.heal("a", "b")
        await a.dial(B)

    in_network(work)


def test_an_asymmetric_cut_lets_words_through_one_way() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        [listening] = await b.listen(B)
        ours = await a.dial(B)
        theirs = await listening.accept()
        network.cut("a", "b")
        assert await say(theirs, ours, b"do you hear me?")
        assert not await say(ours, theirs, b"yes")

    in_network(work)


def test_a_partition_cuts_between_groups_alone_and_is_undone_alone() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        network.add("c")
        network.cut("c", "a")
        cuts = network.partition([["a", "b"], ["c"]])
        assert cuts == [("a", "c"), ("b", "c"), ("c", "a"), ("c", "b")]
        assert not network.wire("a", "b").is_cut
        for pair in cuts:
            network.heal(*pair)
        assert network.wire("c", "a").is_cut
        network.heal_all()
        assert not network.wire("c", "a").is_cut

    in_network(work)


def test_a_killed_process_has_its_connections_closed_for_it() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        [listening] = await b.listen(B)
        ours = await a.dial(B)
        await listening.accept()
        network.kill("b")
        assert await ours.receive_some() == b""
        assert network.streams("b") == []

    in_network(work)


def test_a_power_loss_leaves_a_half_open_connection_until_the_machine_is_back() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        [listening] = await b.listen(B)
        ours = await a.dial(B)
        await listening.accept()
        network.power_off("b")
        await ours.send_all(b"are you there?")
        with trio.move_on_after(600) as silence:
            await ours.receive_some()
        assert silence.cancelled_caught
        network.power_on("b")
        await ours.send_all(b"hello?")
        with pytest.raises(trio.BrokenResourceError):
            await ours.receive_some()

    in_network(work)


def test_a_dial_that_is_given_up_leaves_nothing_open() -> None:
    async def work(network: Network, a: SimTransport, b: SimTransport) -> None:
        [listening] = await b.listen(B)
        with trio.move_on_after(0.15):
            await a.dial(B)
        theirs = await listening.accept()
        assert await theirs.receive_some() == b""
        assert network.streams("a") == []

    in_network(work)
