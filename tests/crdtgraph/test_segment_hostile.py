"""A hostile writer with a good key: what no rule allows is refused, whoever signed it."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.canonical import decode, encode
from crdtgraph.errors import RemoteError
from crdtgraph.records import NAME_BYTES_MAX
from crdtgraph.segment import RECORDS_MAX, SUPERSEDES_MAX, pack, unpack
from tests.crdtgraph.test_segment import ME, OUTSIDE, PAYLOAD, a_bit_of_all, craft, refused, seal, to_bytes

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
