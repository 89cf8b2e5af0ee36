from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph import LocalError
from sync.fleet.allotment import LEASE_MIN, check_places, lease, spread
from sync.fleet.plan import Place


@pytest.mark.parametrize(
    "workers, rooms, each, expected",
    [
        (3, {"a": 2.0, "b": 2.0, "c": 2.0}, 1.0, {"a": 1, "b": 1, "c": 1}),
        (4, {"a": 4.0, "b": 2.0}, 1.0, {"a": 3, "b": 1}),
        (5, {"a": 1.0, "b": 2.0}, 1.0, {"a": 1, "b": 2}),
        (3, {"a": 1.0}, 0.5, {"a": 2}),
        (2, {"a": 0.0, "b": 4.0}, 1.0, {"a": 0, "b": 2}),
        (1, {"b": 1.0, "a": 1.0}, 1.0, {"a": 1, "b": 0}),
        (4, {"a": 1.0, "b": 1.0}, 0.0, {"a": 2, "b": 2}),
        (0, {"a": 1.0}, 1.0, {"a": 0}),
        (2, {}, 1.0, {}),
    ],
)
def test_workers_go_where_there_is_room(
    workers: int, rooms: dict[str, float], each: float, expected: dict[str, int]
) -> None:
    assert spread(workers, rooms, each) == expected


@given(
    st.integers(0, 40),
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 16).map(float), max_size=8),
    st.sampled_from([0.25, 0.5, 1.0, 2.0]),
)
def test_nobody_gets_more_than_fits_and_all_that_fit_are_placed(
    workers: int, rooms: dict[str, float], each: float
) -> None:
    given_out = spread(workers, rooms, each)
    assert given_out.keys() == rooms.keys()
    assert all(count * each <= rooms[node] for node, count in given_out.items())
    fitting = sum(int(room / each) for room in rooms.values())
    assert sum(given_out.values()) == min(workers, fitting)


@given(st.integers(1, 100_000), st.integers(1, 64))
def test_leases_use_the_budget_up_and_grow_shorter(budget: int, nodes: int) -> None:
    left, sizes = budget, []
    while left:
        sizes.append(lease(left, nodes))
        left -= sizes[-1]
    assert sum(sizes) == budget
    assert sizes == sorted(sizes, reverse=True)
    assert all(size >= LEASE_MIN for size in sizes[:-1])


def test_workers_that_do_not_fit_are_refused() -> None:
    here = {"a": Place("10.0.0.1", 2.0), "b": Place("10.0.0.1", 1.5)}
    check_places(here, workers=3, cpus_per_worker=1.0, beyond_loopback=False)
    with pytest.raises(LocalError, match="4 workers of 1 CPUs do not fit the cluster, which has room for 3"):
        check_places(here, workers=4, cpus_per_worker=1.0, beyond_loopback=False)
    check_places(here, workers=400, cpus_per_worker=0.0, beyond_loopback=False)


def test_several_machines_have_to_be_allowed() -> None:
    places = {"a": Place("10.0.0.1", 2.0), "b": Place("10.0.0.2", 2.0)}
    with pytest.raises(LocalError, match=r"on 2 machines \(10\.0\.0\.1, 10\.0\.0\.2\)") as caught:
        check_places(places, workers=1, cpus_per_worker=1.0, beyond_loopback=False)
    assert "beyond_loopback=True" in caught.value.hint
    check_places(places, workers=1, cpus_per_worker=1.0, beyond_loopback=True)
