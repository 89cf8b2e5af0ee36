"""One value, one encoding: what cbor2 writes is what we write, and nothing else is read."""

import math
import tracemalloc

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from crdtgraph.canonical import (
    DEPTH_MAX,
    INT64_MAX,
    INT64_MIN,
    RemoteEncodingError,
    blob,
    decode,
    encode,
    head,
    integer,
    integer_column,
    read_integer_column,
    repeated_text,
    text,
)

EDGES = sorted({edge + off for edge in (0, 23, 24, 255, 256, 65535, 65536, 1 << 32, 1 << 62) for off in (-1, 0, 1)})
int64s = st.one_of(st.sampled_from([e for e in EDGES if e >= 0]), st.integers(INT64_MIN, INT64_MAX))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)
leaves = st.one_of(st.none(), int64s, int64s.map(lambda n: -1 - n), st.binary(max_size=40), texts)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=5), max_leaves=20)


def typed(value):
    return [type(value).__name__, [typed(v) for v in value] if type(value) is list else value]


@given(int64s)
@example(INT64_MIN)
@example(INT64_MAX)
def test_integers_are_written_as_cbor2_writes_them(number):
    assert integer(number) == cbor2.dumps(number)
    assert integer(-1 - number) == cbor2.dumps(-1 - number)


def test_integers_at_every_change_of_length_are_written_as_cbor2_writes_them():
    for edge in EDGES:
        assert integer(edge) == cbor2.dumps(edge)
        assert integer(-edge) == cbor2.dumps(-edge)


@given(texts)
def test_texts_are_written_as_cbor2_writes_them(value):
    assert text(value) == repeated_text(value) == cbor2.dumps(value)


@given(st.binary(max_size=300))
def test_byte_strings_are_written_as_cbor2_writes_them(value):
    assert blob(value) == cbor2.dumps(value)


@pytest.mark.parametrize("size", [0, 1, 22, 23, 24, 25, 254, 255, 256, 257, 65535, 65536, 70000])
def test_lengths_at_every_change_of_head_are_written_as_cbor2_writes_them(size):
    assert text("x" * size) == cbor2.dumps("x" * size)
    assert text("é" * (size // 2)) == cbor2.dumps("é" * (size // 2))
    assert blob(b"x" * size) == cbor2.dumps(b"x" * size)
    assert head(4, size) + b"\0" * size == cbor2.dumps([0] * size)


@given(st.sampled_from(EDGES[1:]), st.sampled_from((0, 1, 2, 3, 4)))
def test_heads_are_the_shortest(argument, major):
    assert head(major, argument)[0] >> 5 == major
    assert head(major, argument)[1:] == cbor2.dumps(argument)[1:]


def test_a_lone_surrogate_has_no_bytes():
    with pytest.raises(UnicodeEncodeError):
        text("\ud800")


@given(values)
def test_every_plain_value_reads_back(value):
    assert typed(decode(encode(value))) == typed(value)


NOT_CANONICAL = {
    "nothing": "",
    "cut head": "18",
    "cut text": "6261",
    "cut array": "8201",
    "trailing byte": "0000",
    "zero in two bytes": "1800",
    "23 in two bytes": "1817",
    "255 in three bytes": "1900ff",
    "65535 in five bytes": "1a0000ffff",
    "a small number in nine bytes": "1b00000000ffffffff",
    "negative in two bytes": "3800",
    "text length in two bytes": "780161",
    "bytes length in two bytes": "580161",
    "array length in two bytes": "980100",
    "array length in nine bytes": "9b000000000000000100",
    "indefinite array": "9f00ff",
    "indefinite text": "7f6161ff",
    "indefinite bytes": "5f4161ff",
    "indefinite map": "bfff",
    "break alone": "ff",
    "map": "a10102",
    "empty map": "a0",
    "map with its keys out of order": "a202010102",
    "map inside": "81a0",
    "bignum": "c249010000000000000000",
    "bignum of a small number": "c24101",
    "negative bignum": "c349010000000000000000",
    "date": "c074323031332d30332d32315432303a30343a30305a",
    "epoch": "c11a514b67b0",
    "decimal": "c48221196ab3",
    "bigfloat": "c5822003",
    "rational": "d81e820103",
    "regular expression": "d823612e",
    "mime message": "d824603a",
    "uuid": "d82550" + "00" * 16,
    "shared value": "d81c8101",
    "cycle": "d81c81d81d00",
    "string references": "d9010081616100",
    "set": "d9010280",
    "self-described": "d9d9f701",
    "unknown tag": "d8184101",
    "a tag of 64 bits": "dbffffffffffffffff00",
    "half float as double of another spelling": "fa3f800000",
    "reserved simple value": "f800",
    "reserved additional information": "1c",
    "text that is not utf-8": "61ff",
    "text with a surrogate": "63eda080",
    "text in overlong utf-8": "62c080",
    "array of 2^64 - 1": "9bffffffffffffffff",
    "array of 2^40": "9b0000010000000000",
    "bytes of 2^40": "5b0000010000000000",
    "text of 2^63": "7b8000000000000000",
    "map of 2^40": "bb0000010000000000",
    "too deep": "81" * (DEPTH_MAX + 1) + "00",
    "very deep": "81" * 100_000 + "00",
    "very deep tags": "c1" * 100_000 + "00",
}


@pytest.mark.parametrize("data", NOT_CANONICAL.values(), ids=NOT_CANONICAL.keys())
def test_what_is_not_canonical_is_refused(data):
    with pytest.raises(RemoteEncodingError):
        decode(bytes.fromhex(data))


@pytest.mark.parametrize("claim", ["9b0000010000000000", "9a7fffffff", "5b0000010000000000", "7b0000010000000000"])
def test_a_claimed_length_allocates_nothing(claim):
    tracemalloc.start()
    try:
        with pytest.raises(RemoteEncodingError):
            decode(bytes.fromhex(claim))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_values_that_share_each_other_cannot_grow_when_written_again():
    # [shared [0] * 20, shared [the first] * 20, ...]: 7 levels of it are 400 bytes, and a gigabyte without sharing.
    bomb = b"\x87\xd8\x1c\x94" + b"\0" * 20
    for level in range(6):
        bomb += b"\xd8\x1c\x94" + (b"\xd8\x1d" + bytes([level])) * 20
    with pytest.raises(RemoteEncodingError, match="tag"):
        decode(bomb)


def test_the_deepest_nesting_allowed_is_read():
    assert encode(decode(b"\x81" * DEPTH_MAX + b"\0")) == b"\x81" * DEPTH_MAX + b"\0"


@given(st.binary(max_size=60))
@settings(max_examples=300)
def test_random_bytes_raise_nothing_but_the_encoding_error(data):
    try:
        value = decode(data)
    except RemoteEncodingError:
        return
    assert encode(value) == data


@given(values, st.data())
@settings(max_examples=300)
def test_mutated_bytes_raise_nothing_but_the_encoding_error_or_mean_something_else(value, data):
    good = encode(value)
    at = data.draw(st.integers(0, len(good) - 1))
    kind = data.draw(st.sampled_from(("change", "insert", "delete", "truncate")))
    byte = bytes([data.draw(st.integers(0, 255))])
    bad = {
        "change": good[:at] + byte + good[at + 1 :],
        "insert": good[:at] + byte + good[at:],
        "delete": good[:at] + good[at + 1 :],
        "truncate": good[:at],
    }[kind]
    try:
        other = decode(bad)
    except RemoteEncodingError:
        return
    assert encode(other) == bad
    assert bad == good or typed(other) != typed(value) or (isinstance(other, float) and math.isnan(other))


@given(st.lists(st.integers(INT64_MIN, INT64_MAX) | st.integers(-300, 300), max_size=20))
def test_a_column_of_integers_reads_back_and_is_as_narrow_as_can_be(values):
    column = integer_column(values)
    assert read_integer_column(column) == values
    if values:
        bits = 1 + max((value if value >= 0 else -1 - value).bit_length() for value in values)
        assert column[0] == next(width for width in (1, 2, 4, 8) if 8 * width >= bits)
        assert column[1:] == b"".join(value.to_bytes(column[0], "little", signed=True) for value in values)


@given(st.binary(max_size=40))
def test_bytes_are_a_column_of_integers_only_if_they_are_written_so(data):
    try:
        values = read_integer_column(data)
    except RemoteEncodingError:
        return
    assert integer_column(values) == data


def test_an_integer_beyond_64_bits_fits_no_column():
    for value in (INT64_MAX + 1, INT64_MIN - 1):
        with pytest.raises(OverflowError, match="64 bits"):
            integer_column([0, value])
