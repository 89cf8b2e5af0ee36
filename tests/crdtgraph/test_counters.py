"""Counters are sums: any order, any grouping, and what is taken back leaves no trace."""

import hashlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.counters import Counters
from crdtgraph.ids import CommitId

IDS = [CommitId(bytes([n]) * 32) for n in range(3)]
LIVE = set(IDS[:2])
numbers = st.one_of(st.integers(-2, 2), st.integers(-(1 << 63), (1 << 63) - 1))
counts = st.lists(st.tuples(st.sampled_from(IDS), st.lists(numbers, min_size=1, max_size=4).map(tuple)), max_size=8)


def folded(found):
    counters = Counters()
    for commit, vector in found:
        counters.add(commit, vector, live=commit in LIVE)
    return counters


def totals_of(found):
    """The definition: place by place, without zeros at the end."""
    totals = {}
    for commit, vector in found:
        total = totals.setdefault(commit, [0] * 4)
        for place, number in enumerate(vector):
            total[place] += number
    for commit, total in list(totals.items()):
        while total and total[-1] == 0:
            del total[-1]
        if not total:
            del totals[commit]
    return {commit: tuple(total) for commit, total in totals.items()}


def sum_of(totals, live=LIVE):
    items = [cbor2.dumps([commit, list(total)]) for commit, total in totals.items() if commit in live]
    return sum(int.from_bytes(hashlib.sha256(b"crdtgraph count\0" + i).digest(), "big") for i in items) % (1 << 256)


@given(counts, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_totals_and_digest(found, random):
    first = folded(found)
    shuffled = list(found)
    random.shuffle(shuffled)
    second = folded(shuffled)
    assert dict(first) == dict(second) == totals_of(found)
    assert list(first) == sorted(first)
    assert first.sum == second.sum == sum_of(totals_of(found))
    assert all(first.get(commit) == totals_of(found).get(commit, ()) for commit in IDS)


@given(counts, counts, st.randoms(use_true_random=False))
def test_what_is_taken_back_leaves_no_trace(kept, superseded, random):
    steps = [(1, c) for c in kept] + [(1, c) for c in superseded] + [(-1, c) for c in superseded]
    random.shuffle(steps)
    counters = Counters()
    for sign, (commit, vector) in steps:
        counters.add(commit, vector, live=commit in LIVE, sign=sign)
    assert dict(counters) == totals_of(kept)
    assert counters.sum == sum_of(totals_of(kept))


@given(counts, st.data())
def test_a_commit_that_is_discarded_at_any_moment_drops_out_of_the_digest(found, data):
    at = data.draw(st.integers(0, len(found)))
    counters = Counters()
    live = {IDS[0]}
    for place, (commit, vector) in enumerate([*found, (IDS[2], (0,))]):
        if place == at:
            counters.enter(IDS[0])
            counters.leave(IDS[0])
            counters.leave(IDS[0])
            live.clear()
            # Until now it counted; from now on adding to it must not bring it back.
        counters.add(commit, vector, live=commit in live)
    assert counters.sum == 0
    assert dict(counters) == totals_of(found)


@given(counts)
def test_a_commit_that_becomes_live_later_counts_from_then_on(found):
    counters = Counters()
    for commit, vector in found:
        counters.add(commit, vector, live=False)
    assert counters.sum == 0
    for commit in LIVE:
        counters.enter(commit)
    assert counters.sum == sum_of(totals_of(found))


def test_totals_do_not_overflow():
    edge = (1 << 63) - 1
    counters = folded([(IDS[0], (edge, -edge - 1))] * 3)
    assert counters.get(IDS[0]) == (3 * edge, -3 * edge - 3)
    assert counters.sum == sum_of({IDS[0]: (3 * edge, -3 * edge - 3)})


def test_zeros_count_for_nothing():
    counters = folded([(IDS[0], (0, 0)), (IDS[1], (5, 0, 0))])
    assert dict(counters) == {IDS[1]: (5,)}
    assert counters.sum == folded([(IDS[1], (5,))]).sum
    counters.add(IDS[1], (-5,), live=True)
    assert dict(counters) == {}
    assert counters.sum == 0


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sampled_from(IDS), st.lists(numbers, min_size=1, max_size=4).map(tuple)),
        st.tuples(st.just("discard"), st.sampled_from(IDS), st.just(())),
        st.tuples(st.just("read"), st.just(IDS[0]), st.just(())),
    ),
    max_size=16,
)


@given(steps, st.integers(0, 2))
def test_the_sum_is_right_whenever_it_is_read_and_however_few_may_wait(found, unsettled_max):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crdtgraph.counters.UNSETTLED_MAX", unsettled_max)
        counters, live, added = Counters(), set(IDS), []
        for kind, commit, vector in found:
            if kind == "add":
                counters.add(commit, vector, live=commit in live)
                added.append((commit, vector))
            elif kind == "discard" and commit in live:
                counters.leave(commit)
                live.discard(commit)
            elif kind == "read":
                totals = {each: total for each, total in totals_of(added).items() if each in live}
                assert counters.sum == sum_of(totals, live)
            assert len(counters._unsettled) <= unsettled_max
        assert counters.sum == sum_of({each: total for each, total in totals_of(added).items() if each in live}, live)
