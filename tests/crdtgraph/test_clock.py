"""Stamps of one writer ascend strictly whatever the wall clock and the peers do, and peers cannot drag it along."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.clock import DRIFT_US_MAX, HybridClock

START = 1_700_000_000_000_000
NOBODY = -1


class Wall:
    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def wall():
    return Wall()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("jump"), st.integers(-10 * DRIFT_US_MAX, 10 * DRIFT_US_MAX)),
        st.tuples(st.just("witness"), st.integers(-3 * DRIFT_US_MAX, 3 * DRIFT_US_MAX)),
        st.tuples(st.just("restore"), st.integers(-3 * DRIFT_US_MAX, 3 * DRIFT_US_MAX)),
        st.tuples(st.just("tick"), st.just(0)),
    ),
    max_size=40,
)


@given(steps)
def test_a_wall_clock_that_jumps_back_never_takes_a_stamp_back(steps):
    wall = Wall()
    clock = HybridClock(wall)
    latest = NOBODY
    for step, amount in steps:
        if step == "jump":
            wall.now += amount
        elif step == "witness":
            stamp = wall.now + amount
            if clock.witness(stamp):
                latest = max(latest, stamp)
        elif step == "restore":
            stamp = wall.now + amount
            clock.restore(stamp)
            latest = max(latest, stamp)
        else:
            stamp = clock.tick()
            assert stamp > latest
            assert stamp >= wall.now
            latest = stamp


def test_many_events_in_one_microsecond_have_different_stamps(wall):
    clock = HybridClock(wall)
    assert [clock.tick() for _ in range(3)] == [START, START + 1, START + 2]
    wall.now += 10
    assert clock.tick() == START + 10


def test_a_stamp_from_the_far_future_does_not_drag_us_along(wall):
    clock = HybridClock(wall)
    assert not clock.witness(START + DRIFT_US_MAX + 1)
    assert not clock.witness((1 << 63) - 1)
    assert clock.tick() == START


def test_a_stamp_within_the_drift_is_followed(wall):
    clock = HybridClock(wall)
    assert clock.witness(START + DRIFT_US_MAX)
    assert clock.tick() == START + DRIFT_US_MAX + 1


def test_many_small_pushes_from_peers_never_move_us_beyond_the_drift(wall):
    clock = HybridClock(wall)
    for push in range(0, 5 * DRIFT_US_MAX, DRIFT_US_MAX // 7):
        clock.witness(START + push)
    assert clock.last <= START + DRIFT_US_MAX


def test_an_old_stamp_changes_nothing(wall):
    clock = HybridClock(wall)
    first = clock.tick()
    assert clock.witness(first - 5)
    clock.restore(first - 5)
    assert clock.tick() == first + 1


def test_our_own_earlier_stamps_are_continued_however_far_ahead(wall):
    clock = HybridClock(wall)
    clock.restore(START + 100 * DRIFT_US_MAX)
    assert clock.tick() == START + 100 * DRIFT_US_MAX + 1
