"""Searches of a running node: news within milliseconds and no disk, and the janitor."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import trio
import trio.testing

import crdtgraph
from crdtgraph import Graph, Host, LocalError
from crdtgraph.opening import attach
from crdtgraph.searches.searching import OTHERS_MAX, SEARCHES_MAX
from crdtgraph.store.memory import MemoryStore
from sync import Settings
from sync.protocol.searches import Hearsay, Janitor
from tests.crdtgraph.searches.graphs import CountingStore
from tests.sync.gossip_net import net
from tests.sync.memory_network import memory_nodes
from tests.sync.replicas import replica

START_US = 1_700_000_000_000_000
DAY_S = 86_400
WEEK_S = 7 * DAY_S


class Days:
    """A graph whose wall clock the test sets, and its janitor on a clock of its own."""

    def __init__(self, **chosen: float) -> None:
        self.now_us = START_US
        self.at_s = 0.0
        self.closed: list[str] = []
        host = Host(now_us=lambda: self.now_us, random_bytes=random.Random(1).randbytes)
        self.graph = crdtgraph.open("memory:", host=host)
        self.root = self.graph.commit(message="root")
        settings = Settings(**chosen)  # type: ignore[arg-type]
        self.janitor = Janitor(self.graph, settings, lambda: self.now_us, self.closed.extend)

    def say(self, name: str) -> None:
        self.graph.search(name).commit(parents=[self.root], message=f"{name} {self.now_us}")

    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * 1e6)
        self.at_s += seconds
        if self.janitor.deadline <= self.at_s:
            self.janitor.tick(self.at_s)


def test_a_search_expires_a_week_after_the_last_write() -> None:
    days = Days()
    days.say("old")
    days.say("busy")
    days.wait(WEEK_S - 100)
    days.say("busy")
    assert sorted(days.graph.searches()) == ["busy", "old"]
    days.wait(101)
    assert days.graph.searches() == ["busy"]
    assert days.closed == ["old"]
    assert list(days.graph.closed_searches()) == ["old"]
    assert days.janitor.closed == 1
    with pytest.raises(LocalError, match="was closed before"):
        days.say("old")


def test_so_many_are_closed_at_a_look_the_oldest_first() -> None:
    days = Days(search_janitor_batch=2, search_janitor_s=10.0, search_expiry_s=100.0)
    for name in ("c", "a", "b"):
        days.say(name)
        days.wait(1)
    days.wait(200)
    assert days.closed == ["c", "a"]
    days.wait(9)
    assert days.graph.searches() == ["b"]
    days.wait(1)
    assert days.closed == ["c", "a", "b"]


@pytest.mark.parametrize("of_a_peer", [False, True])
def test_one_in_which_nothing_was_said_is_forgotten_a_week_after_it_became_known(of_a_peer: bool) -> None:
    days = Days()
    days.wait(DAY_S)
    if of_a_peer:
        days.graph.hear_of("search/empty")
    else:
        search = days.graph.search("empty")
    assert days.janitor.expires_us("empty") == START_US + (DAY_S + WEEK_S) * 1_000_000
    days.wait(WEEK_S - 100)
    assert days.graph.searches() == ["empty"]
    days.wait(101)
    assert days.graph.searches() == []
    assert days.closed == ["empty"]
    # Others may have what was said in it: nobody is told that it is over.
    assert not days.graph.closed_searches()
    if not of_a_peer:
        with pytest.raises(LocalError, match="'empty' is closed") as caught:
            search.commit(parents=[days.root], message="x")
        assert "open it again" in caught.value.hint
    days.say("empty")
    assert days.graph.searches() == ["empty"]


def test_what_a_peer_tells_of_again_and_again_expires_all_the_same() -> None:
    days = Days()
    for _ in range(7):
        days.graph.hear_of("search/empty")
        days.wait(DAY_S)
    assert days.graph.searches() == []


def test_a_stamp_from_the_future_counts_from_when_it_was_seen() -> None:
    days = Days()
    days.now_us += 365 * DAY_S * 1_000_000
    days.say("ahead")
    days.graph.flush()
    days.now_us = START_US
    days.wait(1)
    assert days.janitor.expires_us("ahead") == START_US + 1_000_000 + WEEK_S * 1_000_000
    days.wait(WEEK_S)
    assert days.closed == ["ahead"]


def test_the_janitor_goes_by_what_peers_wrote_last() -> None:
    days = Days(search_expiry_s=100.0)
    days.say("s")
    days.graph.flush()
    other = crdtgraph.open("memory:", host=Host(lambda: days.now_us, random.Random(2).randbytes))
    for plane in days.graph.planes():
        other.hear_of(plane)
        for delta in days.graph.deltas(plane, {}):
            other.receive(plane, delta.update)
    days.wait(90)
    other.search("s").count(other.roots()[0], [1])
    other.flush()
    for delta in other.deltas("search/s", days.graph.state_vector("search/s")):
        days.graph.receive("search/s", delta.update)
    days.wait(60)
    assert days.graph.searches() == ["s"]
    days.wait(60)
    assert days.closed == ["s"]


def test_hearsay_knows_what_it_refused() -> None:
    graph = replica("a")
    hearsay = Hearsay(graph)
    assert hearsay.hear_of("ledger")
    assert not hearsay.hear_of("federation")
    assert not hearsay.hear_of("search/" + "x" * 122)
    assert not hearsay.hear_of("search/a\nb")
    assert not hearsay.hear_of("search/")
    assert hearsay.ignored == 4
    for number in range(OTHERS_MAX):
        assert hearsay.hear_of(f"search/{number}")
    assert not hearsay.hear_of("search/one more")
    assert list(hearsay.refused) == ["search/one more"]
    graph.search("7").close()
    assert not hearsay.hear_of("search/7")
    assert hearsay.hear_of("search/one more")
    assert not hearsay.refused
    assert hearsay.ignored == 5


async def test_news_of_a_search_is_with_a_peer_after_ten_milliseconds_and_no_disk_was_woken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    store, start_us = CountingStore(), START_US
    now: Callable[[], int] = lambda: int(autojump_clock.current_time() * 1e6) + start_us  # noqa: E731
    one = attach(store, cluster="test", author="a", host=Host(now, random.Random(1).randbytes))
    other = attach(MemoryStore(), cluster="test", author="b", host=Host(now, random.Random(2).randbytes))
    root = one.commit(message="root", ref="main")
    async with memory_nodes() as (_, start):
        a = await start(one)
        b = await start(other, "a:1")
        await trio.sleep(2)
        assert root in other
        first = one.search("s").commit(parents=[root], message="first")
        await trio.sleep(0.1)
        assert other.searches() == ["s"]
        await trio.sleep(5)
        writes, syncs = store.writes, store.syncs
        for number in range(20):
            made = one.search("s").commit(parents=[first], message=str(number))
            await trio.sleep(0.011)
            assert made in other.search("s")
        assert (store.writes, store.syncs) == (writes, syncs)
        other.search("s").close()
        await trio.sleep(0.5)
        assert one.searches() == []
        assert not a.gossip.alarms.total + b.gossip.alarms.total


async def test_a_node_closes_what_has_expired_and_says_so(autojump_clock: trio.testing.MockClock) -> None:
    now: Callable[[], int] = lambda: int(autojump_clock.current_time() * 1e6) + START_US  # noqa: E731
    graph = attach(MemoryStore(), cluster="test", host=Host(now, random.Random(1).randbytes))
    root = graph.commit(message="root")
    async with memory_nodes() as (_, start):
        settings = Settings(seed=1, search_expiry_s=3_600.0, search_janitor_s=60.0)
        node = await start(graph, settings=settings)
        search = graph.search("forgotten")
        search.commit(parents=[root], message="x")
        await trio.sleep(3_500)
        assert search.is_open
        await trio.sleep(200)
        assert not search.is_open
        assert node.searches.janitor.closed == 1


def test_a_node_that_refuses_a_search_still_exchanges_the_ledger() -> None:
    world = net("ab")
    world.connect(0, 1)
    for number in range(SEARCHES_MAX):
        world.graphs[1].search(str(number))
    root = world.graphs[0].commit(message="root")
    world.graphs[0].search("s").commit(parents=[root], message="x")
    world.graphs[0].flush()
    world.rest()
    world.check_equal()
    assert isinstance(world.graphs[1], Graph)
