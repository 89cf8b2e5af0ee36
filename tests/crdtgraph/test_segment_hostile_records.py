"""A hostile writer with a good key: assignments, counts and discards with wrong fields."""

import pytest

from crdtgraph.canonical import INT64_MAX, INT64_MIN, encode
from crdtgraph.records import VECTOR_LENGTH_MAX
from crdtgraph.segment import unpack
from tests.crdtgraph.segment_columns import COLUMNS
from tests.crdtgraph.test_segment import OUTSIDE, craft, refused

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
