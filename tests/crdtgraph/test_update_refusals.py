"""Yjs updates that do anything but add segments and delete superseded ones are refused."""

import tracemalloc

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdtgraph.ids import SegmentKey
from crdtgraph.update import (
    CLIENTS_MAX,
    CLOCK_MAX,
    Item,
    RemoteUpdateError,
    Update,
    decode_state_vector,
    decode_update,
    varint,
)
from tests.crdtgraph.test_update import GOLDEN, WRITER_MAX, document, key_text


def refused(data, match=None):
    with pytest.raises(RemoteUpdateError, match=match):
        decode_update(data)


def struct(writer=5, clock=0, *, key=None, info=0x28, root=b"segments", parent=1, count=1, kind=116, value=b"v"):
    key = key_text(writer, clock).encode() if key is None else key
    where = varint(parent) + varint(len(root)) + root + varint(len(key)) + key
    return bytes([info]) + where + varint(count) + bytes([kind]) + varint(len(value)) + value


def update_of(*structs, writer=5, clock=0, deletes=b"\0"):
    return varint(1) + varint(len(structs)) + varint(writer) + varint(clock) + b"".join(structs) + deletes


def test_the_update_that_the_wrong_ones_derive_from_is_good():
    doc, segments = document(5)
    segments["5-0"] = b"v"
    assert update_of(struct()) == doc.get_update()
    assert decode_update(update_of(struct())).items == (Item(SegmentKey(5, 0), b"v"),)


@pytest.mark.parametrize(
    "key", [b"", b"5", b"5-1", b"6-0", b"5-00", b"05-0", b"5-0 ", b"x", b"5--0", b"\xff", b"\xed\xa0\x80"]
)
def test_a_client_that_writes_a_key_not_its_own_is_refused(key):
    refused(update_of(struct(key=key)))


def test_keys_out_of_order_are_refused():
    refused(update_of(struct(clock=1), struct(clock=0)), "not its own")
    refused(update_of(struct(clock=0), struct(clock=0)), "not its own")
    refused(update_of(struct(clock=0), struct(clock=2)), "not its own")


@pytest.mark.parametrize("root", [b"", b"segment", b"segments ", b"Segments", b"other", b"\xff\xfe"])
def test_another_root_is_refused(root):
    refused(update_of(struct(root=root)))


@pytest.mark.parametrize("info", [info for info in range(256) if info != 0x28])
def test_a_struct_of_any_other_kind_is_refused(info):
    # Among them garbage (0), skips (10), all contents but "any", origins left and right, and a missing key.
    refused(update_of(struct(info=info)))


@pytest.mark.parametrize("parent", [0, 2, 127])
def test_a_nested_parent_is_refused(parent):
    refused(update_of(struct(parent=parent)), "outside")


@pytest.mark.parametrize("count", [0, 2, 1 << 40])
def test_a_value_of_several_items_is_refused(count):
    refused(update_of(struct(count=count)))


@pytest.mark.parametrize("kind", [kind for kind in range(256) if kind != 116])
def test_a_value_that_is_no_byte_string_is_refused(kind):
    refused(update_of(struct(kind=kind)), "not one byte string")


def test_a_deleted_item_longer_than_one_is_refused():
    good = bytes([0x21]) + b"\1\x08segments\x035-0"
    assert decode_update(update_of(good + b"\1")).items == (Item(SegmentKey(5, 0), None),)
    for length in (0, 2, CLOCK_MAX - 1, 1 << 40):
        refused(update_of(good + varint(length)))


def test_garbage_that_stands_for_thousands_of_items_is_refused():
    # Four bytes would make 65,535 items, a frame of them exhaust the memory; no plane's document ever has any.
    refused(update_of(*[b"\0\xff\xff\x03"] * 50), "kind 0")


def foreign_updates():
    def made(action, root="segments", kind=pycrdt.Map):
        doc, shared = document(5, root, kind)
        action(shared)
        return doc.get_update()

    def overwrite(segments):
        segments["5-0"] = b"first"
        segments["5-0"] = b"second"

    def overwrite_after_deletion(segments):
        segments["5-0"] = b"first"
        del segments["5-0"]
        segments["5-0"] = b"second"

    def several_in_a_row(segments):
        segments["5-0"] = b"first"
        segments["6-0"] = b"another's"

    def overwrite_anothers():
        theirs, segments = document(6)
        segments["6-0"] = b"theirs"
        ours, ours_segments = document(5)
        ours.apply_update(theirs.get_update())
        ours_segments["6-0"] = b"ours"
        return ours.get_update(b"\x01\x06\x01")

    def set_to(value):
        return made(lambda segments: segments.__setitem__("5-0", value))

    def skip():
        doc, segments = document(5)
        updates = []
        doc.observe(lambda event: updates.append(event.update))
        for seq in range(3):
            segments[key_text(5, seq)] = b"v"
        return pycrdt.merge_updates(updates[0], updates[2])

    return {
        "text": made(lambda text: text.insert(0, "hello"), "segments", pycrdt.Text),
        "array": made(lambda array: array.append(b"5-0"), "segments", pycrdt.Array),
        "xml": made(lambda xml: xml.children.append(pycrdt.XmlElement("p")), "segments", pycrdt.XmlFragment),
        "another root map": made(lambda other: other.__setitem__("5-0", b"v"), "other"),
        "overwriting": made(overwrite),
        "overwriting what was deleted": made(overwrite_after_deletion),
        "overwriting another's": overwrite_anothers(),
        "a key of another": made(several_in_a_row),
        "a nested map": set_to(pycrdt.Map({"a": b"b"})),
        "a nested array": set_to(pycrdt.Array([b"b"])),
        "a nested text": set_to(pycrdt.Text("b")),
        "a nested document": set_to(pycrdt.Doc()),
        "text value": set_to("text"),
        "number": set_to(1),
        "big number": set_to(1 << 40),
        "float": set_to(1.5),
        "true": set_to(True),
        "none": set_to(None),
        "list": set_to([b"v"]),
        "dict": set_to({"a": b"v"}),
        "a skip": skip(),
    }


FOREIGN = foreign_updates()


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN.keys())
def test_anything_else_that_pycrdt_can_write_is_refused(data):
    refused(data)


def test_each_truncation_is_noticed():
    for vector in GOLDEN:
        data = bytes.fromhex(vector["update"])
        for size in range(len(data)):
            refused(data[:size])


def test_bytes_behind_an_update_are_noticed():
    for vector in GOLDEN:
        refused(bytes.fromhex(vector["update"]) + b"\0", "left over")


@given(st.binary(max_size=80))
def test_random_bytes_raise_nothing_but_update_errors(data):
    try:
        update = decode_update(data)
    except RemoteUpdateError:
        return
    assert decode_update(update.encode()) == update


@given(st.sampled_from(GOLDEN), st.data())
@settings(max_examples=400)
def test_changed_bytes_raise_nothing_but_update_errors(vector, data):
    good = bytearray(bytes.fromhex(vector["update"]))
    for _ in range(data.draw(st.integers(1, 3))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        update = decode_update(bytes(good))
    except RemoteUpdateError:
        return
    assert decode_update(update.encode()) == update


def deletes_of(*runs, writer=5):
    return b"\0" + varint(1) + varint(writer) + varint(len(runs)) + b"".join(varint(a) + varint(n) for a, n in runs)


@pytest.mark.parametrize(
    "runs",
    [
        [(0, 0)],
        [(5, 0)],
        [(0, 2), (1, 1)],
        [(0, 2), (0, 2)],
        [(4, 1), (0, 1)],
        [(1, CLOCK_MAX - 2), (3, 1)],
        [(1, CLOCK_MAX - 1)],
        [(CLOCK_MAX - 1, 1)],
        [(CLOCK_MAX - 1, 2)],
        [(CLOCK_MAX, 1)],
        [(0, CLOCK_MAX)],
        [(0, 1 << 40)],
    ],
)
def test_deleted_ranges_that_are_empty_overlap_or_reach_beyond_the_clock_are_refused(runs):
    # Overlapping ones would take a segment out of the digest twice, and be walked over again and again.
    refused(deletes_of(*runs))


def test_a_deleted_range_may_be_as_long_as_the_clock():
    assert decode_update(deletes_of((1, CLOCK_MAX - 2))).deletes == ((5, 1, CLOCK_MAX - 2),)
    assert decode_update(deletes_of((0, 2), (2, 1))).deletes == ((5, 0, 2), (5, 2, 1))


def test_a_client_that_stands_twice_is_refused():
    one = varint(1) + varint(5)
    refused(varint(2) + (one + varint(0) + struct(clock=0)) + (one + varint(1) + struct(clock=1)) + b"\0", "twice")
    refused(b"\0" + varint(2) + varint(5) + b"\1\0\1" + varint(5) + b"\1\3\1", "twice")
    with pytest.raises(RemoteUpdateError, match="twice"):
        decode_state_vector(b"\x02\x05\x01\x05\x02")


def test_a_clock_beyond_32_bits_is_refused():
    # The next clock has to fit, too: yrs would wrap around to 0.
    last = CLOCK_MAX - 2
    assert decode_update(update_of(struct(clock=last), clock=last)).items[0].key.seq == last
    refused(update_of(struct(clock=last), struct(clock=last + 1), clock=last), "beyond")
    refused(update_of(struct(clock=last + 1), clock=last + 1))


def test_a_writer_beyond_53_bits_is_refused():
    assert decode_update(update_of(struct(WRITER_MAX), writer=WRITER_MAX)).items[0].key.writer == WRITER_MAX
    refused(update_of(struct(WRITER_MAX + 1), writer=WRITER_MAX + 1), "beyond")
    refused(deletes_of((0, 1), writer=WRITER_MAX + 1), "beyond")


HUGE = [CLIENTS_MAX, CLOCK_MAX - 1, CLOCK_MAX, 1 << 40, (1 << 63) - 1, (1 << 64) - 1, (1 << 70) - 1]


CLAIMS = {
    "clients": lambda n: varint(n),
    "structs": lambda n: b"\1" + varint(n),
    "structs and one": lambda n: b"\1" + varint(n) + b"\5\0" + struct(),
    "writer": lambda n: b"\1\1" + varint(n | 1 << 53) + b"\0" + struct() + b"\0",
    "root": lambda n: b"\1\1\5\0\x28\1" + varint(n),
    "key": lambda n: b"\1\1\5\0\x28\1\x08segments" + varint(n),
    "value": lambda n: b"\1\1\5\0\x28\1\x08segments\x035-0\1\x74" + varint(n),
    "garbage": lambda n: b"\1\1\5\0\0" + varint(n) + b"\0",
    "deleted item": lambda n: b"\1\1\5\0\x21\1\x08segments\x035-0" + varint(n) + b"\0",
    "deleting clients": lambda n: b"\0" + varint(n),
    "deleted ranges": lambda n: b"\0\1\5" + varint(n),
    "deleted ranges and one": lambda n: b"\0\1\5" + varint(n) + b"\0\1",
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("number", HUGE)
@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claimed_count_costs_neither_memory_nor_time(claim, number):
    tracemalloc.start()
    try:
        refused(CLAIMS[claim](number))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.timeout(10)
def test_a_number_that_never_ends_is_refused_early():
    refused(b"\x80" * (4 << 20), "64 bits")
    refused(b"\xff" * 10)


@pytest.mark.timeout(10)
def test_writing_many_deleted_runs_takes_time_in_proportion():
    runs = tuple((writer, 0, 1) for writer in range(100_000))
    assert decode_update(Update((), runs).encode()).deletes == runs
