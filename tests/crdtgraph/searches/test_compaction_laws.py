"""Compaction of searches changes no digest: whoever compacts, whenever, whatever is exchanged and comes again.

The same steps are taken in two worlds, one in which nobody ever compacts and one in which the three replicas do, at
random moments, a step at a time, and let go of what was discarded. What is live, the totals, the registers and the
digests are the same in both.
"""

from __future__ import annotations

from contextlib import ExitStack
from random import Random

import pytest
from hypothesis import given, settings
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
    "compact": 4,
    "advance": 12,
    "again": 5,
}
"""What happens, and how often."""


def drawn(random: Random) -> list[tuple[str, int, int, int]]:
    """Some steps: what, where, and two numbers."""
    # Drawn by weight and not by hypothesis, which likes short lists; what is rare here needs ten steps in a row.
    kinds = random.choices([*KINDS], [*KINDS.values()], k=random.randrange(20, 120))
    return [(kind, random.randrange(SIDES), random.randrange(1_000), random.randrange(1_000)) for kind in kinds]


class World:
    """Three replicas of one search."""

    def __init__(self, stack: ExitStack, *, compacts: bool) -> None:
        self.compacts = compacts
        self.graphs = [stack.enter_context(open_graph(number)) for number in range(SIDES)]
        self.sides = [graph.search("s") for graph in self.graphs]
        self.segments: list[bytes] = []
        for search in self.sides:
            plane = plane_of(search)
            plane.on_durable = lambda durable: self.segments.extend(
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
            search.commit(parents=sorted(parents), message=str(second % 7), author="mcts", time=0)
        elif kind == "count" and chosen is not None:
            search.count(chosen, ((1 << 62) if second % 9 == 0 else 1, second, -second)[: 1 + second % 3])
        elif kind == "discard" and chosen is not None:
            search.discard(chosen)
        elif kind == "raise":
            search.raise_to("best", first % 9, b"%d" % (second % 3))
        elif kind == "assign":
            search.assign("ab"[first % 2], b"%d" % second)
        elif kind == "flush":
            search.flush()
        elif kind == "send":
            send(search, self.sides[(where + 1 + first % (SIDES - 1)) % SIDES])
        elif kind == "compact" and self.compacts:
            for _ in plane_of(search).compact_steps():
                pass
        elif kind == "advance" and self.compacts:
            for _ in range(first % 4):
                plane_of(search).advance()
        elif kind == "again" and self.segments:
            self.deliver_again(where, self.segments[first % len(self.segments)])

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
    monkeypatch.setattr("crdtgraph.searchcompaction.SPARE_RECORDS", 3)
    monkeypatch.setattr("crdtgraph.searchcompaction.fits", lambda records, size: records <= 3)
    monkeypatch.setattr("crdtgraph.searchprojection.PRUNED_MIN", 0)
    monkeypatch.setattr("crdtgraph.searchprojection.NODES_AT_ONCE", 2)


@settings(max_examples=200, deadline=None)
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
