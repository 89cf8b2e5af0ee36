"""A cluster that searches one tree, in virtual time and in one process: what `mcts-scale` measures.

Each writer is a real graph with a real search plane and a `SearchTree` on it. What they tell each other are the real
things as well: segments, signed, as updates of the plane, and states of simulations in flight. Only what is between
them is made up: a queue of events by time. A rollout takes some 10 ms, a writer gives away what is new every 10 ms,
as a node does, and each message is under way for `gossip_s` and a bit. So a run is a function of its seed.

Root parallelism is the other way of sharing the work (Chaslot, Winands, van den Herik, "Parallel Monte-Carlo Tree
Search", 2008): every writer has a tree of its own, and in the end the visits of the root's moves are added up.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from heapq import heappop, heappush
from itertools import count

import crdtgraph.exchange
from crdtgraph import Graph, Host
from crdtgraph.exchange import deltas, receive_steps
from crdtgraph.mcts import UCT, InFlight, SearchTree, Task
from crdtgraph.opening import attach
from crdtgraph.searches.plane import SearchPlane
from crdtgraph.store.memory import MemoryStore
from simulations.pgame import PGame
from simulations.seeds import child
from sync.protocol.inflightexchange import InFlightExchange
from sync.protocol.limits import DEFAULTS

ROLLOUT_S = 0.01
JITTER = 0.25
"""A rollout takes so much more or less, evenly, and the way between two writers up to so much more."""
FLUSH_S, INFLIGHT_EVERY_S = DEFAULTS.search_flush_s, DEFAULTS.inflight_every_s
SEARCH = "move"
SEGMENTS_KNOWN = 1 << 14


@dataclass(frozen=True, slots=True)
class Cluster:
    """How many writers there are, how long news is under way, and whether simulations in flight are told and count."""

    writers: int
    gossip_s: float = 0.0
    in_flight: bool = True


def apart(game: PGame, writers: int, rollouts: int, seed: int, *, c: float) -> int:
    """The move that root parallelism chooses: so many rollouts in all, by trees that know nothing of each other."""
    visits: Counter[int] = Counter()
    for number in range(writers):
        writer = _Writer(number, game, child(seed, f"tree {number}"), Cluster(1), c)
        writer.tree.run(rollouts // writers + (number < rollouts % writers))
        visits.update({node.action: node.visits for node in writer.tree.children()})
    return _most_visited(visits)


def search_together(game: PGame, cluster: Cluster, rollouts: int, seed: int, *, c: float) -> int:
    """The move that a cluster's tree has visited most after so many rollouts, all together."""
    world = World(game, cluster, rollouts, seed, c=c)
    world.run()
    return _most_visited(Counter({node.action: node.visits for node in world.writers[0].tree.children()}))


class _Writer:
    """One graph with one tree of the search."""

    def __init__(self, number: int, game: PGame, rng: random.Random, cluster: Cluster, c: float) -> None:
        self.number = number
        self.rng = rng
        self.graph = _graph(number)
        self.tree = SearchTree(
            self.graph,
            game,
            name=SEARCH,
            rng=rng,
            rule=UCT(c),
            in_flight=InFlight.WU_UCT if cluster.in_flight else InFlight.IGNORED,
            solve=False,
        )
        self.plane: SearchPlane = self.tree.search._home()
        self.task: Task | None = None
        self.exchange = InFlightExchange(self.graph.writer, INFLIGHT_EVERY_S, lambda _one, _other: True)
        self.flush_at = 0.0
        self.is_flush_due = False
        self.is_pull_due = False


class World:
    """One run. `rollouts` are made in all, by whoever is free first."""

    def __init__(self, game: PGame, cluster: Cluster, rollouts: int, seed: int, *, c: float) -> None:
        self.game = game
        self.cluster = cluster
        self.now = 0.0
        self.messages = 0
        self._left = rollouts
        self._rng = child(seed, "world")
        # One way always takes as long, so that no message overtakes another.
        self._ways = [
            [cluster.gossip_s * (1 + self._rng.uniform(0, JITTER)) for _ in range(cluster.writers)]
            for _ in range(cluster.writers)
        ]
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self.writers = [
            _Writer(number, game, child(seed, f"tree {number}"), cluster, c) for number in range(cluster.writers)
        ]
        for one in self.writers:
            for other in self.writers:
                if one is not other:
                    one.exchange.join(other.number, lambda: None)
            one.exchange.subscribe(SEARCH, partial(self._hear_flying, one))

    def run(self) -> None:
        """Search until all rollouts are made and everyone has heard of all."""
        for writer in self.writers:
            self._after(self._rng.uniform(0, ROLLOUT_S), partial(self._begin, writer))
        while self._events:
            self.now, _, call = heappop(self._events)
            call()
        for writer in self.writers:
            writer.tree.flush()

    # What a writer does

    def _begin(self, writer: _Writer) -> None:
        tree = writer.tree
        tree.flush()
        while self._left and writer.task is None:
            self._left -= 1
            for writer.task in tree.ask(1):
                took_s = ROLLOUT_S * self._rng.uniform(1 - JITTER, 1 + JITTER)
                self._after(took_s, partial(self._end, writer, writer.task))
        self._say_flying(writer)
        self._flush(writer)

    def _end(self, writer: _Writer, task: Task) -> None:
        writer.task = None
        writer.tree.tell([(task.id, self.game.evaluate(task.state, writer.rng))])
        self._begin(writer)

    # What it says

    def _flush(self, writer: _Writer) -> None:
        if self.cluster.writers == 1 or writer.is_flush_due:
            return
        writer.is_flush_due = True
        self._after(max(0.0, writer.flush_at - self.now), partial(self._flush_now, writer))

    def _flush_now(self, writer: _Writer) -> None:
        writer.is_flush_due = False
        writer.flush_at = self.now + FLUSH_S
        known = dict(writer.plane.document.state_vector)
        writer.tree.flush()
        writer.tree.search.flush()
        updates = [delta.update for delta in deltas(writer.plane, known) if delta.update and delta.base]
        for other in self.writers if updates else ():
            if other is not writer:
                self._send(writer, other, partial(self._receive, other, updates))

    def _say_flying(self, writer: _Writer) -> None:
        if self.cluster.writers > 1 and self.cluster.in_flight:
            writer.exchange.publish(SEARCH, writer.tree.inflight(), self.now)
            self._pull(writer)

    def _pull(self, writer: _Writer) -> None:
        exchange = writer.exchange
        if exchange.deadline <= self.now:
            exchange.tick(self.now)
        for other in self.writers:
            while (message := exchange.next_message(other.number, self.now)) is not None:
                self._send(writer, other, partial(self._receive_flying, other, writer.number, message.payload))
        if not writer.is_pull_due and exchange.deadline <= self.now + INFLIGHT_EVERY_S:
            writer.is_pull_due = True
            self._after(exchange.deadline - self.now, partial(self._pull_late, writer))

    def _pull_late(self, writer: _Writer) -> None:
        writer.is_pull_due = False
        self._pull(writer)

    # What it hears

    def _receive(self, writer: _Writer, updates: list[bytes]) -> None:
        for update in updates:
            for _ in receive_steps(writer.plane, update):
                pass

    def _receive_flying(self, writer: _Writer, source: int, payload: bytes) -> None:
        writer.exchange.receive(source, payload, self.now)

    def _hear_flying(self, writer: _Writer, source: int, counts: object) -> None:
        writer.tree.set_remote_inflight(f"{source:x}", counts)  # type: ignore[arg-type]

    def _send(self, source: _Writer, target: _Writer, call: Callable[[], None]) -> None:
        self.messages += 1
        self._after(self._ways[source.number][target.number], call)

    def _after(self, seconds: float, call: Callable[[], None]) -> None:
        heappush(self._events, (self.now + seconds, next(self._numbers), call))


@contextmanager
def segments_read_once() -> Iterator[None]:
    """Let all writers of a process read each update and segment once together: equal bytes are equal segments."""
    names = vars(crdtgraph.exchange)
    originals = {"unpack": names["unpack"], "decode_update": names["decode_update"]}
    names.update({name: lru_cache(SEGMENTS_KNOWN)(original) for name, original in originals.items()})
    try:
        yield
    finally:
        names.update(originals)


def _graph(number: int) -> Graph:
    ticks = count(1_700_000_000_000_000)
    rng = child(number, "graph")
    host = Host(now_us=lambda: next(ticks), random_bytes=rng.randbytes)
    return attach(MemoryStore(), host=host, author=f"w{number}")


def _most_visited(visits: Counter[int]) -> int:
    return min(visits, key=lambda action: (-visits[action], action))
