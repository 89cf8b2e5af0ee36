"""A hostile writer with a good key: columns of commits that are too short, too long, or of something else."""

import pytest

from crdtgraph.canonical import INT64_MAX, INT64_MIN, integer_column
from crdtgraph.records import PARENTS_MAX, Commit
from crdtgraph.segment import pack, unpack
from tests.crdtgraph.segment_columns import COLUMNS, with_column
from tests.crdtgraph.test_segment import (
    INTEGER_COLUMNS,
    ME,
    OUTSIDE,
    PAYLOAD,
    a_chain,
    craft,
    payload_of,
    records_of,
    refused,
)

KINDS = (int, int, bytes, str, int, int, str, int, str, object, str, int)


NO_KIND = (None, True, 1.5, [], [[]])


SHORTER_AND_LONGER = [(place, name) for place, name in enumerate(COLUMNS)]


LOOKED_UP = {"externals", "authors"}


def test_every_column_is_under_test():
    assert len(PAYLOAD[0]) == len(COLUMNS)
    assert all(PAYLOAD[0])


@pytest.mark.parametrize("place, name", SHORTER_AND_LONGER)
def test_a_column_that_is_too_short_or_too_long_is_refused(place, name):
    column = PAYLOAD[0][place]
    for size in range(len(column)):
        refused(with_column(place, column[:size]))
    if name not in LOOKED_UP:
        refused(with_column(place, [*column, column[-1]]))


@pytest.mark.parametrize("place, kind", list(enumerate(KINDS)), ids=COLUMNS)
def test_a_column_with_anything_of_another_type_is_refused(place, kind):
    column = PAYLOAD[0][place]
    # What is no integer cannot stand in an integer column; the whole column is then an array, and that is refused.
    wrong = [v for v in (*NO_KIND, 0, b"x", "x") if type(v) is not kind and not (kind is int and type(v) is bool)]
    if kind is object:
        wrong = [True, 1.5, 0, "x", [], [[]], [b"s", b"", 1], ["s", b"", -1], ["s", b"", INT64_MAX + 1]]
    for at in range(len(column)):
        for value in wrong:
            refused(with_column(place, [*column[:at], value, *column[at + 1 :]]))


@pytest.mark.parametrize("place", range(12), ids=COLUMNS)
@pytest.mark.parametrize("column", [None, 0, b"", "", True, 1.5], ids=repr)
def test_a_column_that_is_no_array_is_refused(place, column):
    refused(with_column(place, column))


@pytest.mark.parametrize("place", range(13))
def test_a_column_less_or_more_is_refused(place):
    columns = PAYLOAD[0]
    refused(craft([[*columns[:place], [], *columns[place:]], *PAYLOAD[1:]], records=7))
    if place < 12:
        refused(craft([columns[:place] + columns[place + 1 :], *PAYLOAD[1:]], records=7))


PARENT_COUNTS, LINKS, EXTERNALS, AUTHORS, NUMBERS, TIME_STEPS, _, CHANGE_COUNTS, PATHS, _, _, STAMP_STEPS = range(12)


HUGE = (INT64_MAX, INT64_MIN, (1 << 64) - 1, -(1 << 64))


@pytest.mark.parametrize("link", [0, 3, 4, 1000, -3, -4, -1000, *HUGE])
def test_a_parent_link_that_points_nowhere_is_refused(link):
    links = PAYLOAD[0][LINKS]
    for at in range(len(links)):
        refused(with_column(LINKS, [*links[:at], link, *links[at + 1 :]]), "nowhere|external parents|byte string")


def test_a_commit_cannot_be_its_own_parent_or_that_of_an_earlier_one():
    payload = payload_of(records_of(a_chain(3)))
    assert payload[0][LINKS] == [1, 1]
    for links in ([0, 1], [1, 0], [2, 1], [1, 3]):
        payload[0][LINKS] = links
        refused(craft(payload), "nowhere")


@pytest.mark.parametrize("column", [PARENT_COUNTS, NUMBERS, CHANGE_COUNTS])
@pytest.mark.parametrize("number", [-1, 9, 1001, *HUGE])
def test_a_count_or_a_number_out_of_bounds_is_refused(column, number):
    values = PAYLOAD[0][column]
    for at in range(len(values)):
        refused(with_column(column, [*values[:at], number, *values[at + 1 :]]))


@pytest.mark.parametrize(
    "column, values",
    [
        (PARENT_COUNTS, [-1, 3, 4]),
        (PARENT_COUNTS, [7, -1, 0]),
        (CHANGE_COUNTS, [-1, 4, 0]),
        (CHANGE_COUNTS, [4, -1, 0]),
    ],
)
def test_counts_below_zero_do_not_make_up_for_others(column, values):
    assert sum(values) == sum(PAYLOAD[0][column])
    refused(with_column(column, values))


def test_a_parent_count_below_zero_does_not_let_two_commits_share_a_link():
    parents = (OUTSIDE[0], OUTSIDE[1])
    commits = [Commit(parents, "a", 0, ""), Commit((), "a", 1, ""), Commit((), "a", 2, "")]
    payload = payload_of(records_of(commits))
    assert payload[0][PARENT_COUNTS] == [2, 0, 0]
    payload[0][PARENT_COUNTS] = [2, -1, 1]
    refused(craft(payload))


def test_a_commit_of_too_many_parents_is_refused():
    payload = payload_of(records_of([Commit((OUTSIDE[0],) * PARENTS_MAX, "a", 0, "")]))
    assert len(unpack(craft(payload)).parents[0]) == PARENTS_MAX
    payload[0][PARENT_COUNTS] = [PARENTS_MAX + 1]
    payload[0][LINKS].append(-1)
    refused(craft(payload), "parents")


@pytest.mark.parametrize("external", [b"", bytes(31), bytes(33)])
def test_an_external_parent_that_is_no_id_is_refused(external):
    refused(with_column(EXTERNALS, [external, OUTSIDE[1]]))


def test_an_external_parent_that_stands_twice_is_refused():
    refused(with_column(EXTERNALS, [OUTSIDE[1], OUTSIDE[1]]))


@pytest.mark.parametrize("times", [(INT64_MIN, INT64_MAX, INT64_MIN), (INT64_MAX, -1, INT64_MIN), (0, INT64_MIN, 1)])
def test_a_step_between_the_ends_of_64_bits_wraps_around(times):
    records = records_of(Commit((), "a", time, "") for time in times)
    assert unpack(pack(records, plane="p", identity=ME, seq=0)).records() == records


@pytest.mark.parametrize("column", INTEGER_COLUMNS)
def test_an_integer_column_in_another_width_is_refused(column):
    narrow = integer_column(PAYLOAD[0][column])
    assert narrow[0] == 1
    wide = bytes([2]) + b"".join(value.to_bytes(2, "little", signed=True) for value in PAYLOAD[0][column])
    refused(with_column(column, wide), "wide")
    refused(with_column(column, narrow + b"\0"))
    refused(with_column(column, b"\3" + narrow[1:]), "column of integers")


def test_a_stamp_below_zero_is_refused():
    refused(with_column(STAMP_STEPS, [5, -6, 7]), "stamp")


@pytest.mark.parametrize(
    "paths", [["b", "a", "c"], ["a", "a", "c"], ["", "b", "c"], ["a", "b", ""], ["x" * 4097, "b", "c"]]
)
def test_paths_out_of_order_are_refused(paths):
    refused(with_column(PATHS, paths), "path")


def test_each_commit_starts_its_paths_anew():
    assert unpack(with_column(PATHS, ["x", "y", "a"])).changes(1)[0][0] == "a"
