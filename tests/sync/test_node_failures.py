"""A node whose disk or code fails: what is tried again, what costs a connection, and what ends it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from crdtgraph import StoreError
from tests.sync.memory_network import memory_nodes, settle
from tests.sync.replicas import grow, replica


class BrokenStore(StoreError):
    pass


async def test_a_full_disk_is_reported_and_tried_again(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        node_a, _ = await start(a, "b:1"), await start(b)
        await settle()
        with monkeypatch.context() as patch:

            def full() -> None:
                raise StoreError("no space left")

            patch.setattr(a, "write_behind", full)
            a.commit(message="waits for space")
            await settle(30)
            assert node_a.store_failures >= 2
            assert len(b) == 0
        await settle(30)
        assert a.digest() == b.digest()


async def test_a_store_that_refuses_what_a_peer_gives_costs_only_the_connection(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_nodes() as (_, start):
        a, b = replica("a"), replica("b")
        node_a, node_b = await start(a), await start(b, "a:1")
        await settle()
        with monkeypatch.context() as patch:

            def full(*_: object) -> None:
                raise StoreError("no space left")

            patch.setattr(a, "receive_steps", full)
            grow(b, 1)
            await settle(2)
            assert node_a.store_failures >= 1
            assert "store" in node_b.status().peers[0].failure
        await settle(10)
        assert a.digest() == b.digest()


async def test_a_bug_is_not_swallowed(autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = replica("a"), replica("b")

    def buggy(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(a, "receive_steps", buggy)

    async def run() -> None:
        async with memory_nodes() as (_, start):
            await start(a)
            await start(b, "a:1")
            grow(b, 1)
            await settle(5)

    with pytest.raises(BaseExceptionGroup) as caught:
        await run()
    assert caught.group_contains(ZeroDivisionError, match="a bug")
