"""Compaction of searches changes no digest: whoever compacts, whenever, whatever is exchanged and comes again.

The same steps are taken in two worlds, one in which nobody ever compacts and one in which the three replicas do, at
random moments, a step at a time, and let go of what was discarded. What is live, the totals, the registers and the
digests are the same in both.
"""

from __future__ import annotations

from contextlib import ExitStack
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtgraph import CommitId, Search
from crdtgraph.segment import unpack
from tests.crdtgraph.searches.exchanging import ROOT, digest, open_graph, plane_of, send

SIDES = 3
KINDS = {
    "commit": 20,
    "count": 20,
    "discard": 8,
    "raise": 5,
    "assign": 5,
    "flush": 5,
    "send": 12,
    "send own": 0,
    "compact": 4,
    "advance": 12,
    "again": 5,
}
"""What happens, and how often."""


OUT_OF_ORDER = {**KINDS, "send": 6, "send own": 12}
PARTLY_HEARD = {
    "commit": 20,
    "discard": 5,
    "flush": 4,
    "send": 1,
    "send own": 16,
    "compact": 5,
    "advance": 4,
    "count": 1,
}


def drawn(random: Random, kinds_of: dict[str, int] = KINDS) -> list[tuple[str, int, int, int]]:
    """Some steps: what, where, and two numbers."""
    # Drawn by weight and not by hypothesis, which likes short lists; what is rare here needs ten steps in a row.
    kinds = random.choices([*kinds_of], [*kinds_of.values()], k=random.randrange(20, 120))
    return [(kind, random.randrange(SIDES), random.randrange(1_000), random.randrange(1_000)) for kind in kinds]


class World:
    """Three replicas of one search."""

    def __init__(self, stack: ExitStack, *, compacts: bool) -> None:
        self.compacts = compacts
        self.graphs = [stack.enter_context(open_graph(number)) for number in range(SIDES)]
        self.sides = [graph.search("s") for graph in self.graphs]
        self.segments: list[bytes] = []
        self.parents: dict[CommitId, tuple[CommitId, ...]] = {}
        self.counted: dict[CommitId, list[int]] = {}
        self.discarded: set[CommitId] = set()
        self.assigned: list[tuple[str, bytes | None, tuple[bytes, ...]]] = []
        """Key, value, and what was seen and replaced by it."""
        self.offered: list[tuple[int, bytes]] = []
        for search in self.sides:
            plane = plane_of(search)
            if not compacts:
                plane.advance = lambda: False
            plane.outgoing.on_durable = lambda durable: self.segments.extend(
                [item.value for item in durable.update.items if item.value is not None]
            )
            plane.has_parent(ROOT.id)

    def live(self, search: Search) -> list[CommitId]:
        projection = plane_of(search).projection
        found = [commit for commit in projection.ids if commit in search and projection.is_live(commit)]
        return sorted(found)

    def take(self, kind: str, where: int, first: int, second: int) -> None:
        search = self.sides[where]
        live = self.live(search)
        chosen = live[first % len(live)] if live else None
        if kind == "commit":
            parents = {ROOT.id if chosen is None or first % 5 == 0 else chosen}
            if live and second % 4 == 0:
                parents.add(live[second % len(live)])
            made = search.commit(parents=sorted(parents), message=str(second % 7), author="mcts", time=0)
            self.parents[made] = tuple(parents - {ROOT.id})
        elif kind == "count" and chosen is not None:
            vector = ((1 << 62) if second % 9 == 0 else 1, second, -second)[: 1 + second % 3]
            search.count(chosen, vector)
            total = self.counted.setdefault(chosen, [0, 0, 0])
            for place, value in enumerate(vector):
                total[place] += value
        elif kind == "discard" and chosen is not None:
            search.discard(chosen)
            self.discarded.add(chosen)
        elif kind == "raise":
            search.raise_to("best", first % 9, b"%d" % (second % 3))
            self.offered.append((first % 9, b"%d" % (second % 3)))
        elif kind == "assign":
            key, value = "ab"[first % 2], None if second % 5 == 0 else b"%d of %d" % (second, len(self.assigned))
            self.assigned.append((key, value, search.values(key)))
            search.assign(key, value)
        elif kind == "flush":
            search.flush()
        elif kind in ("send", "send own"):
            send(search, self.sides[(where + 1 + first % (SIDES - 1)) % SIDES], only_own=kind == "send own")
        elif kind == "compact" and self.compacts:
            for _ in plane_of(search).compact_steps():
                pass
        elif kind == "advance" and self.compacts:
            for _ in range(first % 4):
                plane_of(search).advance()
        elif kind == "again" and self.segments:
            self.deliver_again(where, self.segments[first % len(self.segments)])

    def survives(self, commit: CommitId) -> bool:
        """Whether nobody discarded a commit or one before it."""
        return commit not in self.discarded and all(map(self.survives, self.parents[commit]))

    def values(self, key: str) -> set[bytes]:
        """What was assigned to a register and replaced by nobody."""
        replaced = {value for _, _, seen in self.assigned for value in seen}
        return {value for each, value, _ in self.assigned if each == key and value is not None} - replaced

    def deliver_again(self, where: int, data: bytes) -> None:
        """A segment that a replica has had already, or has what supersedes it, comes once more."""
        plane, segment = plane_of(self.sides[where]), unpack(data)
        if plane.projection.knows(segment.key):
            plane.adopt(segment, data)

    def exchange(self) -> None:
        for _ in range(2):
            for source in self.sides:
                for target in self.sides:
                    if source is not target:
                        send(source, target)


def seen(world: World, where: int) -> tuple[object, ...]:
    search = world.sides[where]
    live = world.live(search)
    counters = [search.counters(commit) for commit in live]
    return live, counters, search.greatest("best"), search.values("a"), search.values("b")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.searches.compaction.SPARE_RECORDS", 3)
    monkeypatch.setattr("crdtgraph.searches.compaction.fits", lambda records, size: records <= 3)
    monkeypatch.setattr("crdtgraph.searches.projection.PRUNED_MIN", 0)
    monkeypatch.setattr("crdtgraph.searches.projection.NODES_AT_ONCE", 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32))
def test_compaction_changes_nothing_that_can_be_seen(seed):
    random = Random(seed)
    with ExitStack() as stack:
        plain, compacted = World(stack, compacts=False), World(stack, compacts=True)
        for each in drawn(random):
            before = digest(compacted.sides[each[1]])
            plain.take(*each)
            compacted.take(*each)
            if each[0] in ("compact", "advance", "again"):
                assert digest(compacted.sides[each[1]]) == before
        for world in (plain, compacted):
            world.exchange()
        for where in range(SIDES):
            assert digest(compacted.sides[where]) == digest(plain.sides[where]) == digest(plain.sides[0])
            assert seen(compacted, where) == seen(plain, where)
        for search in compacted.sides:
            for _ in plane_of(search).compact_steps():
                pass
        compacted.exchange()
        again = [(where, data) for where in range(SIDES) for data in compacted.segments]
        random.shuffle(again)
        for where, data in again:
            compacted.deliver_again(where, data)
        late = stack.enter_context(open_graph(SIDES)).search("s")
        send(compacted.sides[0], late)
        for search in (*compacted.sides, late):
            assert digest(search) == digest(plain.sides[0])
            assert plane_of(search).set_digest() == plane_of(late).set_digest()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 32))
def test_nothing_is_lost_or_counted_twice_when_writers_are_heard_of_out_of_order(seed):
    # A replica that has a compaction and not yet the discard that it follows lacks what it would have otherwise, so
    # here the two worlds may part. What was said in all is known, and that is what everybody ends with.
    random = Random(seed)
    with ExitStack() as stack:
        world = World(stack, compacts=True)
        for each in drawn(random, OUT_OF_ORDER):
            world.take(*each)
        world.exchange()
        if random.random() < 0.5:
            for search in world.sides:
                for _ in plane_of(search).compact_steps():
                    pass
            world.exchange()
        late = stack.enter_context(open_graph(SIDES)).search("s")
        send(world.sides[random.randrange(SIDES)], late)
        for search in (*world.sides, late):
            assert digest(search) == digest(late)
            assert world.live(search) == sorted(filter(world.survives, world.parents))
            assert {key: set(search.values(key)) for key in "ab"} == {key: world.values(key) for key in "ab"}
            assert search.greatest("best") == max(world.offered, default=None)
            for commit in world.live(search):
                total = world.counted.get(commit, [])
                while total and not total[-1]:
                    del total[-1]
                assert search.counters(commit) == tuple(total)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1 << 32))
@example(10_277)
def test_whoever_has_the_same_segments_holds_the_same_whatever_is_lost_for_ever(seed):
    random = Random(seed)
    with ExitStack() as stack:
        world = World(stack, compacts=True)
        for each in drawn(random, PARTLY_HEARD):
            world.take(*each)
        for number, search in enumerate(world.sides, SIDES):
            # The others may die now, and what they have not told is gone.
            late = stack.enter_context(open_graph(number)).search("s")
            send(search, late)
            assert digest(search) == digest(late)
