"""Registers are a fold: any order, any repetition, and forged dots end at the same values and the same digest."""

import hashlib

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.ids import Dot
from crdtgraph.records import Assign
from crdtgraph.registers import Registers

dots = st.builds(Dot, st.integers(1, 3), st.integers(0, 3))
# Few dots and few values, so that dots are forged: one dot with two values, stamps or lists of what it supersedes.
assigns = st.builds(
    Assign,
    st.sampled_from(("ref", "meta")),
    st.sampled_from(("a", "b")),
    st.sampled_from((None, b"", b"x", b"y")),
    dots,
    st.frozensets(dots, max_size=3).map(lambda found: tuple(sorted(found))),
    st.integers(0, 2),
)


def folded(found):
    registers = Registers()
    for assign in found:
        registers.apply(assign)
    return registers


def shown(registers):
    # What a dot supersedes is no part of what a register says.
    return [assign._replace(supersedes=()) for assign in registers]


def expected(found):
    """The definition: what no assignment of the same register supersedes."""
    gone = {(a.namespace, a.key, dot) for a in found for dot in a.supersedes}
    return {a._replace(supersedes=()) for a in found if (a.namespace, a.key, a.dot) not in gone}


def sum_of(live):
    items = [cbor2.dumps([a.namespace, a.key, a.value, list(a.dot), a.stamp]) for a in live]
    return sum(int.from_bytes(hashlib.sha256(b"crdtgraph assign\0" + i).digest(), "big") for i in items) % (1 << 256)


@given(st.lists(assigns, max_size=10), st.randoms(use_true_random=False))
def test_any_order_and_any_repetition_give_the_same_registers(found, random):
    first = folded(found)
    shuffled = found + random.sample(found, len(found) // 2)
    random.shuffle(shuffled)
    second = folded(shuffled)
    assert shown(first) == shown(second)
    assert first.sum == second.sum == sum_of(expected(found))
    assert set(shown(first)) == expected(found)
    for namespace in ("ref", "meta"):
        assert first.keys(namespace) == second.keys(namespace)
    assert first.namespaces() == second.namespaces() == sorted({a.namespace for a in expected(found)})


@given(st.lists(assigns, max_size=8))
def test_the_digest_follows_every_step(found):
    registers = Registers()
    for place, assign in enumerate(found, 1):
        registers.apply(assign)
        assert registers.sum == sum_of(expected(found[:place]))


def test_concurrent_assignments_stand_side_by_side_until_one_supersedes_them():
    one = Assign("ref", "main", b"1", Dot(1, 0), (), 1)
    two = Assign("ref", "main", b"2", Dot(2, 0), (), 1)
    merge = Assign("ref", "main", b"3", Dot(1, 1), (Dot(1, 0), Dot(2, 0)), 2)
    registers = folded([two, one])
    assert registers.live("ref", "main") == [one, two]
    registers.apply(merge)
    assert registers.live("ref", "main") == [merge]
    registers.apply(one)
    assert registers.live("ref", "main") == [merge]


def test_a_removal_does_not_take_a_concurrent_assignment_with_it():
    old = Assign("meta", "k", b"old", Dot(1, 0), (), 1)
    removal = Assign("meta", "k", None, Dot(1, 1), (Dot(1, 0),), 2)
    other = Assign("meta", "k", b"new", Dot(2, 0), (Dot(1, 0),), 2)
    registers = folded([old, removal])
    assert registers.keys("meta") == []
    assert registers.live("meta", "k") == [removal]
    registers.apply(other)
    assert registers.keys("meta") == ["k"]


def test_superseding_works_within_one_register_only():
    here = Assign("meta", "k", b"1", Dot(1, 0), (), 1)
    for namespace, key in (("meta", "other"), ("ref", "k")):
        registers = folded([here, Assign(namespace, key, b"2", Dot(1, 1), (Dot(1, 0),), 2)])
        assert registers.live("meta", "k") == [here]


@pytest.mark.parametrize("value, stamp", [(b"other", 1), (None, 1), (b"", 1), (b"value", 2)])
def test_a_forged_dot_leaves_no_order_of_arrival_behind(value, stamp):
    # The stamp counts, too: readers of metadata take the latest.
    one = Assign("meta", "k", b"value", Dot(1, 0), (), 1)
    other = one._replace(value=value, stamp=stamp)
    ahead, behind = folded([one, other]), folded([other, one])
    assert ahead.live("meta", "k") == behind.live("meta", "k")
    assert ahead.sum == behind.sum not in (folded([one]).sum, folded([other]).sum)
    assert len(ahead.live("meta", "k")) == 2


def test_none_and_empty_bytes_of_one_dot_are_in_one_order():
    one = Assign("meta", "k", None, Dot(1, 0), (), 1)
    other = one._replace(value=b"")
    assert folded([one, other]).live("meta", "k") == folded([other, one]).live("meta", "k") == [one, other]


@pytest.mark.timeout(10)
def test_a_long_list_of_superseded_dots_takes_time_in_proportion():
    live = [Assign("meta", "k", b"", Dot(1, n), (), 0) for n in range(20_000)]
    registers = folded(live)
    registers.apply(Assign("meta", "k", b"v", Dot(2, 0), tuple(Dot(3, n) for n in range(20_000)), 0))
    assert len(registers.live("meta", "k")) == 20_001
    registers.apply(Assign("meta", "k", b"v", Dot(2, 1), tuple(assign.dot for assign in live), 0))
    assert len(registers.live("meta", "k")) == 2
