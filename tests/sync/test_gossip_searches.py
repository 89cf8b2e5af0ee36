"""Searches between real graphs over queues in memory: heard of, given, fetched, and gone everywhere when closed."""

from __future__ import annotations

import random
from itertools import combinations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtgraph import CommitId, Graph, LocalError
from crdtgraph.planes import LEDGER
from crdtgraph.searches.searching import SEARCHES_MAX
from sync.protocol.alarms import AlarmKind
from sync.protocol.messages import Delta, Summary
from tests.sync.gossip_net import Net, edges, topologies
from tests.sync.replicas import replica

PLANE = "search/s"


class SearchNet(Net):
    """The same, where a search that ends is forgotten by the gossip of its node."""

    def __init__(self, *graphs: Graph, seed: int = 0) -> None:
        super().__init__(*graphs, seed=seed)
        for place, graph in enumerate(graphs):
            graph.on_search_end(lambda plane, place=place: self.nodes[place].end_search(plane))

    def check_searches(self) -> None:
        self.check_equal()
        assert len({tuple(graph.searches()) for graph in self.graphs}) == 1
        for name in self.graphs[0].searches():
            plane = f"search/{name}"
            assert len({graph.set_digest(plane) for graph in self.graphs}) == 1
            assert len({graph.digest(plane=plane) for graph in self.graphs}) == 1


def search_net(names: str, seed: int = 0) -> SearchNet:
    """Replicas with one root commit that all of them have."""
    world = SearchNet(*(replica(name) for name in names), seed=seed)
    for graph in world.graphs:
        graph.commit(message="root", author="all", time=1)
        graph.flush()
    return world


def root_of(graph: Graph) -> CommitId:
    return graph.roots()[0]


def say(graph: Graph, text: str, *, parent: CommitId | None = None) -> CommitId:
    made = graph.search("s").commit(parents=[parent or root_of(graph)], message=text)
    graph.flush_searches()
    return made


def test_a_search_is_heard_of_and_fetched_and_its_news_are_pushed() -> None:
    world = search_net("ab")
    world.connect(0, 1)
    world.rest()
    first = say(world.graphs[0], "first")
    world.rest()
    assert world.graphs[1].searches() == ["s"]
    search = world.graphs[1].search("s")
    assert first in search
    world.sent.clear()
    second = say(world.graphs[0], "second", parent=first)
    third = say(world.graphs[1], "third", parent=first)
    search.count(first, [3, 5])
    world.graphs[1].flush_searches()
    world.rest()
    assert [type(message) for _, _, message in world.sent] == [Delta] * 3
    assert set(world.graphs[0].search("s").children(first)) == {second, third}
    assert world.graphs[0].search("s").counters(first) == (3, 5)
    world.check_searches()


def test_a_search_in_which_nothing_was_said_is_not_told_of() -> None:
    world = search_net("ab")
    world.graphs[0].search("s")
    world.connect(0, 1)
    world.rest()
    world.round()
    assert world.graphs[1].searches() == []
    world.graphs[0].search("s").close()
    assert world.graphs[0].closed_searches() == []


def test_a_search_reaches_the_end_of_a_line() -> None:
    world = search_net("abc")
    world.connect(0, 1)
    world.connect(1, 2)
    world.rest()
    say(world.graphs[0], "x")
    world.rest()
    say(world.graphs[2], "y")
    world.rest()
    world.check_searches()
    assert len(world.graphs[1].search("s")) == 2


def test_closing_drops_it_everywhere_and_whoever_uses_it_is_told() -> None:
    world = search_net("abc")
    world.connect(0, 1)
    world.connect(1, 2)
    world.rest()
    made = say(world.graphs[0], "x")
    world.rest()
    users = [graph.search("s") for graph in world.graphs]
    users[2].close()
    world.graphs[2].flush()
    world.rest()
    for graph, user in zip(world.graphs, users, strict=True):
        assert graph.searches() == []
        assert list(graph.closed_searches()) == ["s"]
        assert not user.is_open
        with pytest.raises(LocalError, match="search 's' is closed"):
            user.count(made, [1])
        with pytest.raises(LocalError, match="was closed before"):
            graph.search("s")
    world.check_searches()


def test_a_late_peer_does_not_bring_a_closed_search_back() -> None:
    world = search_net("abc")
    number = world.connect(0, 1)
    world.connect(1, 2)
    world.rest()
    say(world.graphs[0], "x")
    world.rest()
    world.cut(number)
    say(world.graphs[0], "cut off")
    world.graphs[2].search("s").close()
    world.graphs[2].flush()
    world.rest()
    assert world.graphs[0].searches() == ["s"]
    world.connect(0, 1)
    world.rest()
    world.round()
    assert [graph.searches() for graph in world.graphs] == [[], [], []]
    assert world.alarms == 0
    assert not any(PLANE in peer.views for node in world.nodes for peer in node.peers.values())


def test_a_restarted_replica_fetches_its_search_back_under_another_number() -> None:
    world = search_net("ab")
    world.connect(0, 1)
    world.rest()
    first = say(world.graphs[0], "x")
    lost = world.graphs[0].search("s").commit(parents=[first], message="never flushed")
    world.rest()
    back = SearchNet(replica("a2"), world.graphs[1])
    back.connect(0, 1)
    back.rest()
    assert first in back.graphs[0].search("s")
    assert lost not in back.graphs[0].search("s")
    say(back.graphs[0], "again", parent=first)
    back.rest()
    back.check_searches()


def test_there_is_room_for_so_many_searches_and_refusing_is_seen() -> None:
    world = search_net("ab")
    for number in range(SEARCHES_MAX):
        world.graphs[1].search(str(number))
    say(world.graphs[0], "x")
    world.connect(0, 1)
    world.rest()
    assert "s" not in world.graphs[1].searches()
    assert list(world.nodes[1].hearsay.refused) == [PLANE]
    world.graphs[1].search("0").close()
    world.round()
    assert "s" in world.graphs[1].searches()
    assert not world.nodes[1].hearsay.refused
    assert len(world.graphs[1].search("s")) == 1


def test_a_search_that_ends_in_the_middle_of_an_exchange_ends_it() -> None:
    for seed in range(60):
        world = search_net("ab", seed)
        rng = random.Random(seed)
        world.window = rng.choice([1, 2, 4])
        for number in range(6):
            say(world.graphs[0], f"a{number}")
            say(world.graphs[1], f"b{number}")
        world.connect(0, 1)
        for _ in range(rng.randrange(25)):
            world.step()
        closing = rng.choice(world.graphs)
        closing.search("s").close()
        for _ in range(rng.randrange(10)):
            world.step()
        closing.flush()
        world.rest()
        world.round()
        assert [graph.searches() for graph in world.graphs] == [[], []]
        assert world.alarms == 0
        assert not any(len(node.wants) for node in world.nodes)


def test_a_search_that_ends_between_two_steps_of_a_receipt() -> None:
    world = search_net("ab")
    for number in range(5):
        say(world.graphs[0], str(number))
    number = world.connect(0, 1)
    node = world.nodes[1]
    deltas = list(world.graphs[0].deltas(PLANE, {}))
    world.rest()
    closing = say(world.graphs[0], "one more")
    world.rest()
    assert closing in world.graphs[1].search("s")
    fresh = search_net("ab")
    other = fresh.connect(0, 1)
    fresh.rest()
    fresh.graphs[1].hear_of(PLANE)
    steps = fresh.nodes[1].receive_steps(other, Delta(PLANE, dict(deltas[0].base), deltas[0].update), 0.0)
    next(steps)
    fresh.graphs[1].search("s").close()
    assert list(steps) == []
    fresh.rest()
    assert fresh.graphs[1].searches() == []
    assert number in node.peers


def test_a_search_that_both_write_to_is_no_alarm() -> None:
    world = search_net("ab")
    world.connect(0, 1)
    rng = random.Random(3)
    for _ in range(60):
        say(rng.choice(world.graphs), str(rng.random()))
        for _ in range(rng.randrange(4)):
            world.step()
        if rng.random() < 0.2:
            world.nodes[0].compare_with_all()
    world.rest()
    world.check_searches()


def test_a_search_is_not_compared_while_the_ledgers_differ() -> None:
    world = search_net("ab")
    number = world.connect(0, 1)
    world.rest()
    base = world.graphs[0].commit(parents=[root_of(world.graphs[0])], message="only here so far")
    made = say(world.graphs[0], "on it", parent=base)
    # The search's news are there before the ledger's, which is not flushed yet.
    world.rest()
    world.round()
    there = world.graphs[1].search("s")
    assert made not in there
    assert len(world.graphs[1].pending(plane=PLANE)) == 1
    assert world.graphs[0].set_digest(PLANE) == world.graphs[1].set_digest(PLANE)
    assert world.alarms == 0
    world.graphs[0].flush()
    world.rest()
    assert made in there
    assert world.graphs[1].pending(plane=PLANE) == []
    world.round()
    world.check_searches()
    world.cut(number)


def test_equal_sets_of_a_search_with_another_meaning_are_an_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    world = search_net("ab")
    world.connect(0, 1)
    say(world.graphs[0], "x")
    world.rest()
    digest = Graph.digest

    def wrong(graph: Graph, *, plane: str = LEDGER) -> bytes:
        return bytes(32) if graph is world.graphs[0] and plane == PLANE else digest(graph, plane=plane)

    monkeypatch.setattr(Graph, "digest", wrong)
    world.round()
    standing = [alarm for node in world.nodes for alarm in node.alarms.standing]
    assert {alarm.kind for alarm in standing} == {AlarmKind.PROJECTION}
    assert {alarm.plane for alarm in standing} == {PLANE}
    world.graphs[0].search("s").close()
    assert world.nodes[0].alarms.standing == ()


def test_equal_searches_say_nothing_but_summaries() -> None:
    world = search_net("ab")
    number = world.connect(0, 1)
    say(world.graphs[0], "x")
    world.rest()
    world.cut(number)
    world.sent.clear()
    world.connect(0, 1)
    world.rest()
    summaries = [message for _, _, message in world.sent if isinstance(message, Summary)]
    assert len(summaries) == 2
    assert all([each.plane for each in message.planes] == [LEDGER, PLANE] for message in summaries)


@settings(max_examples=40, deadline=None)
@given(topologies, st.integers(2, 4), st.integers(0, 1 << 32))
@example("ring", 4, 7)
def test_searches_of_any_topology_with_cuts_promotions_and_closings_agree(topology: str, size: int, seed: int) -> None:
    world = search_net("abcd"[:size], seed)
    rng = random.Random(seed)
    world.window = rng.choice([1, 2, 10])
    live = {edge: world.connect(*edge) for edge in edges(topology, size)}
    closed: set[str] = set()
    for _ in range(rng.randrange(10, 40)):
        for _ in range(rng.randrange(12)):
            world.step()
        graph = rng.choice(world.graphs)
        name = rng.choice("st")
        action = rng.random()
        if action < 0.7:
            act(graph, name, rng)
        elif action < 0.9:
            edge = rng.choice(list(edges(topology, size)))
            if edge in live:
                world.cut(live.pop(edge))
            else:
                live[edge] = world.connect(*edge)
        elif action < 0.92 and name in graph.searches() and graph.state_vector(f"search/{name}"):
            graph.search(name).close()
            closed.add(name)
        else:
            graph.flush()
    for edge in edges(topology, size):
        if edge not in live:
            world.connect(*edge)
    for graph in world.graphs:
        graph.flush()
    world.rest()
    world.round()
    world.round()
    world.check_searches()
    assert not closed & set(world.graphs[0].searches())
    for a, b in combinations(world.graphs, 2):
        for name in a.searches():
            one, two = a.search(name), b.search(name)
            assert set(one.heads()) - set(b.topological()) == set(two.heads()) - set(a.topological())


def act(graph: Graph, name: str, rng: random.Random) -> None:
    """One operation of a program that searches."""
    if graph.is_closed_search(name):
        return
    search = graph.search(name)
    known = list(dict.fromkeys([*graph.topological(), *graph.topological(plane=search.plane)]))
    commit = rng.choice(known[-6:])
    kind = rng.randrange(6)
    if kind <= 1:
        search.commit(parents=rng.sample(known[-6:], min(len(known), rng.choice([1, 1, 2]))), message=str(rng.random()))
    elif kind == 2:
        search.count(commit, [1, rng.randrange(-9, 9)])
    elif kind == 3 and commit in search:
        search.discard(commit)
    elif kind == 4 and commit in search:
        search.promote(commit)
    elif kind == 5:
        graph.commit(parents=[rng.choice(graph.topological()[-4:])], message=str(rng.random()))
    if rng.random() < 0.6:
        graph.flush_searches()
    if rng.random() < 0.3:
        graph.flush()
