"""Registers of a search are a fold, say what plain multi-value registers say, and keep only what is of use."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph import Search
from crdtgraph.exchange import deltas, receive_steps
from crdtgraph.ids import Dot, SegmentKey
from crdtgraph.projection import Projection
from crdtgraph.records import Assign
from crdtgraph.registers import Registers
from crdtgraph.searches.projection import SearchProjection
from crdtgraph.searches.registers import VALUE_NAMESPACE, SearchRegisters
from crdtgraph.segment import Part, Records, Segment, pack, unpack
from crdtgraph.signing import Identity
from tests.crdtgraph.searches.exchanging import digest, open_graph, plane_of, send

dots = st.builds(Dot, st.integers(1, 3), st.integers(0, 3))
# Few dots and few values, so that dots are forged: one with several values, or that names itself or what comes later.
forged = st.builds(
    Assign,
    st.sampled_from((VALUE_NAMESPACE, "other")),
    st.sampled_from(("a", "b")),
    st.sampled_from((None, b"", b"x", b"y")),
    dots,
    st.frozensets(dots, max_size=3).map(lambda found: tuple(sorted(found))),
    st.integers(0, 2),
)
ONE, OTHER = Identity(b"w" * 32, b"i" * 16), Identity(b"x" * 32, b"i" * 16)


def folded(found: list[Assign]) -> SearchRegisters:
    registers = SearchRegisters()
    for assign in found:
        registers.apply(assign)
    return registers


def shown(registers: Registers) -> set[Assign]:
    """What they hold; what it supersedes is no part of what a register says."""
    return {assign._replace(supersedes=()) for assign in registers}


def expected(found: list[Assign]) -> set[Assign]:
    """The definition: none of its writer's is later, and none names it or a later one of its writer."""

    def is_live(assign: Assign) -> bool:
        others = [each for each in found if each[:2] == assign[:2]]
        writer, counter = assign.dot
        later = any(each.dot.writer == writer and each.dot.counter > counter for each in others)
        return not later and not any(
            dot.writer == writer and dot.counter >= counter for each in others for dot in each.supersedes
        )

    return {assign._replace(supersedes=()) for assign in found if is_live(assign)}


@given(st.lists(forged, max_size=10), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_registers(found, random):
    shuffled = found + random.sample(found, len(found) // 2)
    random.shuffle(shuffled)
    first, second = folded(found), folded(shuffled)
    assert shown(first) == shown(second) == expected(found)
    assert first.sum == second.sum == folded(sorted(expected(found), key=repr)).sum
    assert first.count() == len({assign[:2] for assign in expected(found)})


@given(st.lists(forged, max_size=8))
def test_the_sum_is_over_what_is_live_and_has_a_value(found):
    registers = SearchRegisters()
    for place, assign in enumerate(found, 1):
        registers.apply(assign)
        plain = Registers()
        for live in sorted(expected(found[:place]), key=repr):
            if live.value is not None:
                plain.apply(live)
        assert registers.sum == plain.sum


@settings(deadline=None)
@given(st.integers(0, 1 << 32))
def test_writers_that_keep_to_the_rule_see_what_plain_registers_hold(seed):
    # Each replaces what it knows of, as `Search.assign` does, and hears of others in any order, its own in order.
    random = Random(seed)
    plain = [Registers() for _ in range(3)]
    compact = [SearchRegisters() for _ in range(3)]
    said: list[list[Assign]] = [[], [], []]
    heard = [[0, 0, 0] for _ in range(3)]
    for number in range(random.randrange(40)):
        here = random.randrange(3)
        if random.random() < 0.5:
            live = compact[here].live(VALUE_NAMESPACE, "a")
            named = tuple(sorted({assign.dot for assign in live}))
            value = None if random.random() < 0.2 else b"%d" % number
            assign = Assign(VALUE_NAMESPACE, "a", value, Dot(here, number), named, number)
            said[here].append(assign)
            for each in (plain[here], compact[here]):
                each.apply(assign)
        there = random.randrange(3)
        if there != here:
            count = random.randint(heard[here][there], len(said[there]))
            for assign in said[there][heard[here][there] : count]:
                for each in (plain[here], compact[here]):
                    each.apply(assign)
            heard[here][there] = count
    everything = [assign for each in said for assign in each]
    random.shuffle(everything)
    last, complete = folded(everything), Registers()
    for assign in everything:
        complete.apply(assign)
    assert shown(last) == shown(complete)


def written(identity: Identity, seq: int, assigns: list[Assign], part: Part | None = None) -> Segment:
    return unpack(pack(Records(assigns=assigns), plane="search/s", identity=identity, seq=seq, part=part))


def of(identity: Identity, number: int, value: bytes | None, *named: tuple[Identity, int]) -> Assign:
    replaced = tuple(sorted(Dot(each.writer, counter) for each, counter in named))
    return Assign(VALUE_NAMESPACE, "a", value, Dot(identity.writer, number), replaced, number)


def fold(segments: tuple[Segment, ...]) -> SearchProjection:
    projection = SearchProjection(Projection(), lambda _: 0)
    here: dict[SegmentKey, list[Segment]] = {}
    for segment in segments:
        projection.fold(segment, 0, lambda key: here[key])
        here.setdefault(segment.key, []).append(segment)
    return projection


def test_what_a_compaction_leaves_of_two_writers_is_the_same_in_all_orders() -> None:
    segments = (
        written(ONE, 0, [of(ONE, 0, b"first"), of(ONE, 1, b"second", (ONE, 0))]),
        written(OTHER, 0, [of(OTHER, 0, b"theirs")]),
        written(ONE, 1, [of(ONE, 2, b"third", (ONE, 1), (OTHER, 0))]),
        written(OTHER, 1, [of(OTHER, 4, b"last", (ONE, 2))]),
        # The first writer has seen the last value. All that is left of its own is that the other's first is replaced.
        written(ONE, 2, [of(ONE, 2, None, (ONE, 2), (OTHER, 0))], Part(2, 0, 1, ((0, 2),))),
        written(OTHER, 2, [of(OTHER, 4, b"last", (ONE, 2))], Part(2, 0, 1, ((0, 2),))),
    )
    found = {
        (projection.digest(), *shown(projection.registers))
        for projection in map(fold, itertools.permutations(segments))
    }
    assert found == {(fold(segments[4:]).digest(), of(OTHER, 4, b"last"))}
    # Nobody who hears of the first writer alone, or late, takes the other's first value for news.
    assert not shown(fold((segments[4], segments[1])).registers)


def test_a_register_of_which_nothing_is_left_is_the_same_in_all_orders() -> None:
    segments = (
        written(ONE, 0, [of(ONE, 0, b"first"), of(ONE, 1, b"second", (ONE, 0))]),
        written(ONE, 1, [of(ONE, 2, None, (ONE, 1))]),
        written(ONE, 2, [of(ONE, 1, b"second")], Part(2, 0, 2, ((0, 1),))),
        written(ONE, 4, [of(ONE, 5, b"x")._replace(key="b")], Part(4, 0, 1, ((0, 4),))),
    )
    found = {fold(order).digest() for order in itertools.permutations(segments)}
    assert found == {fold(segments[3:]).digest()}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crdtgraph.searches.compaction.SPARE_RECORDS", 30)


def exchange(*sides: Search) -> None:
    for source in sides:
        for target in sides:
            if source is not target:
                send(source, target)


def kept(search: Search) -> tuple[int, int]:
    """How much a replica keeps: bytes of segments, and numbers of what was replaced."""
    registers = plane_of(search).projection.registers
    assert isinstance(registers, SearchRegisters)
    assert not registers.superseded_dots()
    return plane_of(search).document.bytes, sum(map(len, registers._replaced.values()))


@pytest.mark.parametrize("value_bytes", [pytest.param(1, marks=pytest.mark.slow), 5_000])
def test_what_a_search_keeps_of_a_register_does_not_grow_with_its_assignments(small: None, value_bytes: int) -> None:
    with open_graph(0) as one, open_graph(1) as other, open_graph(2) as third:
        sides = one.search("s"), other.search("s")
        sizes = []
        for number in range(4_000):
            side = sides[number % 2]
            side.assign("line", bytes(value_bytes))
            side.raise_to("best", number)
            side.assign(f"key {number % 5}", b"%d" % number)
            if number % 7 == 0:
                exchange(*sides)
            if number % 500 == 499:
                exchange(*sides)
                for graph in (one, other):
                    for _ in graph.compact_steps():
                        pass
                exchange(*sides)
                sizes.append([kept(side) for side in sides])
        (early, _), (late, replaced) = sizes[0][0], sizes[-1][0]
        assert late < 1.1 * early
        assert replaced == 2 * 7
        # Of seven registers each writer has one assignment, and one of each pair is without a value.
        assert late < 3_000 + 2 * value_bytes
        newcomer = third.search("s")
        send(sides[0], newcomer)
        assert digest(newcomer) == digest(sides[0]) == digest(sides[1])
        assert kept(newcomer)[1] <= 2 * 7
        assert newcomer.values("line") == (bytes(value_bytes),)
        assert newcomer.greatest("best") == (3_999, b"")


def test_a_register_that_only_one_writer_used_and_removed_leaves_nothing(small: None) -> None:
    with open_graph(0) as graph, open_graph(1) as other:
        here, there = graph.search("s"), other.search("s")
        here.assign("stays", b"x")
        for number in range(200):
            here.assign(f"key {number}", b"x")
            if number % 3 == 0:
                send(here, there)
            here.assign(f"key {number}", None)
        # What is under way began before the last removals.
        for _ in itertools.chain(graph.compact_steps(), graph.compact_steps()):
            pass
        send(here, there)
        assert digest(here) == digest(there)
        for search in (here, there):
            assert plane_of(search).keys() == ["stays"]
            assert plane_of(search).projection.registers.count() == 1
            assert kept(search)[1] == 0
        assert kept(here)[0] < 400


@pytest.mark.parametrize("moment", range(8))
def test_a_crash_in_mid_compaction_costs_no_value_that_others_had(monkeypatch: pytest.MonkeyPatch, moment: int) -> None:
    monkeypatch.setattr("crdtgraph.searches.compaction.fits", lambda records, size: records <= 2)
    with open_graph(0) as one, open_graph(1) as other:
        here, there = one.search("s"), other.search("s")
        for number in range(9):
            here.assign(f"key {number}", b"x")
        here.assign("line", b"old")
        send(here, there)
        plane = plane_of(here)
        plane._work = plane._compact()
        for step in range(20):
            # It takes the place of what is being looked through, and may be in no segment when the process dies.
            if step == moment:
                here.assign("line", b"new")
            plane.advance()
        assert plane._work is None
        for delta in list(deltas(plane, plane_of(there).document.state_vector)):
            for _ in receive_steps(plane_of(there), delta.update):
                pass
        assert not plane_of(there).grounded._batches
        assert there.values("line") in ((b"old",), (b"new",))


def test_whoever_hears_of_a_compaction_first_or_of_what_it_drops_holds_the_same() -> None:
    with open_graph(0) as one, open_graph(1) as other, open_graph(2) as third, open_graph(3) as fourth:
        here, there, near, late = (graph.search("s") for graph in (one, other, third, fourth))
        there.assign("line", b"theirs")
        send(there, here)
        here.assign("line", b"ours")
        send(here, near, only_own=True)
        assert near.values("line") == (b"ours",)
        send(here, there)
        there.assign("line", b"last")
        send(there, here)
        for _ in plane_of(here).compact_steps():
            pass
        for search in (near, late):
            send(here, search, only_own=True)
            # What replaced ours is known to them by our word alone.
            assert search.values("line") == ()
        assert digest(near) == digest(late)
        assert kept(near) == kept(late)
        for search in (near, late):
            send(there, search)
            assert search.values("line") == (b"last",)
        assert digest(near) == digest(late) == digest(there)
