"""A hostile writer with a good key: what no rule allows is refused, whoever signed it."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.canonical import INT64_MAX, INT64_MIN, decode, encode, integer_column
from crdtgraph.errors import RemoteError
from crdtgraph.records import (
    NAME_BYTES_MAX,
    PARENTS_MAX,
    VECTOR_LENGTH_MAX,
    Commit,
)
from crdtgraph.segment import (
    RECORDS_MAX,
    SUPERSEDES_MAX,
    pack,
    unpack,
)
from tests.crdtgraph.test_segment import (
    INTEGER_COLUMNS,
    ME,
    OUTSIDE,
    PAYLOAD,
    a_bit_of_all,
    a_chain,
    craft,
    payload_of,
    records_of,
    refused,
    seal,
    to_bytes,
)

HEADERS = {
    **{f"version {v!r}": {"version": v} for v in (0, 2, -1, None, True, "1", b"1", 1.0, [], (1 << 64) - 1)},
    **{f"plane {v!r}": {"plane": v} for v in ("", b"ledger", None, 1, [])},
    "long plane": {"plane": "x" * (NAME_BYTES_MAX + 1)},
    "long plane in bytes": {"plane": "é" * (NAME_BYTES_MAX // 2 + 1)},
    **{f"key {v!r:.9}": {"key": v} for v in (b"", ME.public_key[:-1], ME.public_key + b"\0", "x" * 32, None, 1)},
    **{f"incarnation {v!r:.9}": {"incarnation": v} for v in (b"", bytes(15), bytes(17), "x" * 16, None)},
    **{f"seq {v!r}": {"seq": v} for v in (-1, 1 << 32, (1 << 64) - 1, None, True, "0", 0.0)},
    **{f"supersedes {v!r}": {"supersedes": v} for v in (None, 0, b"", ["0"], [None], [True], [[0]], [0.0])},
    **{f"supersedes {v!r}, seq 3": {"supersedes": v} for v in ([3], [4], [-1], [1, 1], [2, 1], [0, 3], [-1, 0])},
    "supersedes too many": {"supersedes": list(range(SUPERSEDES_MAX + 1)), "seq": SUPERSEDES_MAX + 1},
    **{f"records {v!r}": {"records": v} for v in (0, -1, 1, 6, 8, RECORDS_MAX + 1, None, True, "7", 7.0)},
    **{f"size {v!r}": {"size": v} for v in (0, -1, 1, None, True, "9", 9.0, (1 << 64) - 1)},
}


@pytest.mark.parametrize("fields", HEADERS.values(), ids=HEADERS.keys())
def test_a_signed_header_with_a_wrong_field_is_refused(fields):
    refused(craft(PAYLOAD, **fields))


def test_the_segment_that_the_wrong_ones_derive_from_is_good():
    assert unpack(craft(PAYLOAD)).records() == a_bit_of_all()
    most = craft(PAYLOAD, supersedes=list(range(SUPERSEDES_MAX)), seq=SUPERSEDES_MAX)
    assert len(unpack(most).supersedes) == SUPERSEDES_MAX


@pytest.mark.parametrize("place", range(8))
def test_a_signed_header_with_a_field_less_or_more_is_refused(place):
    header, compressed, _ = decode(craft(PAYLOAD))
    fields = decode(header)
    refused(seal(encode(fields[:place] + fields[place + 1 :]), compressed))
    refused(seal(encode([*fields[:place], 0, *fields[place:]]), compressed))


@pytest.mark.parametrize(
    "header", [b"", b"\xf6", b"\x80", b"\x01", b"\xa0", b"\x81\x01", b"\x88" + b"\xf6" * 8, b"\xff"]
)
def test_a_signed_header_that_is_no_header_is_refused(header):
    refused(seal(header, decode(craft(PAYLOAD))[1]))


def test_a_signed_header_in_another_spelling_is_refused():
    header, compressed, _ = decode(craft(PAYLOAD))
    assert header[:2] == b"\x88\x01"
    refused(seal(b"\x88\x18\x01" + header[2:], compressed), "canonical")
    refused(seal(b"\x98\x08" + header[1:], compressed), "canonical")
    refused(seal(header + b"\0", compressed))


def test_a_signed_payload_in_another_spelling_is_refused():
    raw = to_bytes(PAYLOAD)
    assert raw[0] == 0x84
    for other in (b"\x98\x04" + raw[1:], b"\x9f" + raw[1:] + b"\xff", raw + b"\0", b"\xd9\xd9\xf7" + raw):
        refused(craft(other, records=7))
    assert unpack(craft(raw, records=7)).records() == a_bit_of_all()


def test_a_signed_payload_that_grows_when_it_is_written_again_is_refused():
    bomb = b"\x84\xd8\x1c\x94" + b"\0" * 20
    for level in range(3):
        bomb += b"\xd8\x1c\x94" + (b"\xd8\x1d" + bytes([level])) * 20
    refused(craft(bomb, records=1), "tag")


def test_a_number_too_long_to_print_is_refused_like_any_other():
    # Python refuses to print integers of more than 4,300 digits, with a ValueError.
    huge = b"\xc2\x59\x10\x00" + b"\xff" * 4096
    for raw in (huge, encode([*PAYLOAD[:3], 0])[:-1] + b"\x81\x82" + encode(OUTSIDE[0]) + huge):
        refused(craft(raw, records=7))
    refused(seal(b"\x88" + huge + bytes(7), decode(craft(PAYLOAD))[1]))


@pytest.mark.parametrize(
    "payload", [None, 0, b"", "", [], PAYLOAD[:3], [*PAYLOAD, []], [1, 2, 3, 4], [[]] * 4, [{}] * 4]
)
def test_a_signed_payload_of_another_shape_is_refused(payload):
    refused(craft(encode(payload), records=7))


COLUMNS = ("parent counts", "links", "externals", "authors", "numbers", "time steps", "messages")


COLUMNS += ("change counts", "paths", "values", "origins", "stamp steps")


KINDS = (int, int, bytes, str, int, int, str, int, str, object, str, int)


NO_KIND = (None, True, 1.5, [], [[]])


SHORTER_AND_LONGER = [(place, name) for place, name in enumerate(COLUMNS)]


LOOKED_UP = {"externals", "authors"}


def with_column(place, column):
    payload = copy.deepcopy(PAYLOAD)
    payload[0][place] = column
    return craft(payload, records=7)


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


ASSIGN = ["meta", "key", b"value", 5, [[1, 2], [1, 3], [2, 0]], 9]


ROWS = {
    "assign": {
        "namespace": (0, ("", None, 1, b"meta", "x" * 1025, "a\n", "\x1b[2J", "\x7f")),
        "key": (1, ("", None, 1, b"key", "é" * 513, "a\x00", "\t")),
        "value": (2, ("text", 1, True, [], 1.5)),
        "counter": (3, (-1, None, True, "5", 1.0, INT64_MAX + 1)),
        "supersedes": (
            4,
            (
                None,
                0,
                b"",
                "",
                [1, 2],
                [[1]],
                [[1, 2, 3]],
                [[]],
                [["1", 2]],
                [[1, True]],
                [[-1, 0]],
                [[0, -1]],
                [None],
                [[1, 2], [1, 2]],
                [[1, 3], [1, 2]],
                [[2, 0], [1, 9]],
                [[0, INT64_MAX + 1]],
            ),
        ),
        "stamp": (5, (-1, None, True, "9", 1.0, INT64_MAX + 1)),
    },
    "count": {
        "commit": (0, (None, b"", bytes(31), bytes(33), "x" * 32, 0)),
        "vector": (
            1,
            (
                None,
                0,
                b"\x01",
                [],
                [None],
                [True],
                [1.0],
                ["1"],
                [[1]],
                [1] * (VECTOR_LENGTH_MAX + 1),
                [INT64_MAX + 1],
                [INT64_MIN - 1],
                [0, (1 << 64) - 1],
            ),
        ),
        "stamp": (2, (-1, None, False, "9", 1.0, INT64_MAX + 1)),
    },
    "discard": {
        "commit": (0, (None, b"", bytes(31), bytes(33), "x" * 32, 0)),
        "stamp": (1, (-1, None, True, "9", 1.0, INT64_MAX + 1)),
    },
}


GOOD_ROWS = {"assign": ASSIGN, "count": [OUTSIDE[0], [1, 2], 9], "discard": [OUTSIDE[0], 9]}


KIND_PLACES = {"assign": 1, "count": 2, "discard": 3}


def with_row(kind, row):
    payload = [[[] for _ in COLUMNS], [], [], []]
    payload[KIND_PLACES[kind]] = [row]
    return craft(payload, records=1)


@pytest.mark.parametrize("kind, field", [(kind, field) for kind, fields in ROWS.items() for field in fields])
def test_a_record_with_a_wrong_field_is_refused(kind, field):
    good = GOOD_ROWS[kind]
    assert len(unpack(with_row(kind, good))) == 1
    place, wrong = ROWS[kind][field]
    for value in wrong:
        refused(with_row(kind, [*good[:place], value, *good[place + 1 :]]))


@pytest.mark.parametrize("kind", GOOD_ROWS)
def test_a_record_of_another_shape_is_refused(kind):
    good = GOOD_ROWS[kind]
    for row in (None, 0, b"", "", [], good[:-1], [*good, 0], [good]):
        refused(with_row(kind, row))
    for rows in (None, 0, b"", "x", True, {}):
        payload = [[[] for _ in COLUMNS], [], [], []]
        payload[KIND_PLACES[kind]] = rows
        refused(craft(encode(payload), records=1))


@pytest.mark.parametrize("value", [b"", bytes(31), bytes(33), b"main"])
def test_a_ref_that_points_at_something_else_than_a_commit_is_refused(value):
    refused(with_row("assign", ["ref", "main", value, 0, [], 0]), "commit id")
    assert unpack(with_row("assign", ["meta", "main", value, 0, [], 0])).assigns[0].value == value


nonsense = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.floats(),
        st.integers(-3, 3),
        st.integers(-(1 << 64), (1 << 64) - 1),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
        st.binary(max_size=3),
        st.just(OUTSIDE[0]),
    ),
    lambda inner: st.lists(inner, max_size=6),
    max_leaves=12,
)


@st.composite
def misshapen(draw):
    """The good payload with one to three of its parts, at any depth, replaced by nonsense."""
    payload = copy.deepcopy(PAYLOAD)
    for _ in range(draw(st.integers(1, 3))):
        part = payload
        while True:
            at = draw(st.integers(0, len(part) - 1))
            if type(part[at]) is list and part[at] and draw(st.booleans()):
                part = part[at]
                continue
            part[at] = draw(nonsense)
            break
    return payload


@given(misshapen(), st.sampled_from((1, 6, 7, 8)))
@settings(max_examples=400, deadline=None)
def test_nonsense_anywhere_in_a_signed_payload_raises_nothing_but_remote_errors(payload, records):
    try:
        found = unpack(craft(encode(payload), records=records))
    except RemoteError:
        return
    again = pack(found.records(), plane="ledger", identity=ME, seq=3)
    assert unpack(again).records() == found.records()
    assert found.ids == [commit.id for commit in found.records().commits]
