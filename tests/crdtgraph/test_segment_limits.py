"""What a segment holds at most, and what becomes of what it does not."""

import copy
import hashlib
import tracemalloc

import pytest
import zstandard

from crdtgraph.canonical import encode
from crdtgraph.errors import LocalError, RemoteError
from crdtgraph.records import (
    RECORD_BYTES_MAX,
    Commit,
    Discard,
)
from crdtgraph.segment import (
    LONE_PAYLOAD_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    RECORDS_MAX,
    SEGMENT_BYTES_MAX,
    pack,
    reading,
    unpack,
)
from tests.crdtgraph.test_segment import (
    ME,
    OUTSIDE,
    PAYLOAD,
    a_bit_of_all,
    craft,
    payload_of,
    records_of,
    refused,
    to_bytes,
)


def test_a_thousand_records_are_the_most():
    full = payload_of(records_of(discards=[Discard(OUTSIDE[0], n) for n in range(RECORDS_MAX)]))
    assert len(unpack(craft(full))) == RECORDS_MAX
    full[3].append([OUTSIDE[0], 0])
    refused(craft(full), "out of bounds")
    for claim in (1, RECORDS_MAX):
        refused(craft(full, records=claim), "claims")


def two_commits(bytes_in_all):
    commits = [Commit((), "a", 0, "x" * 100), Commit((), "a", 0, "")]
    slack = bytes_in_all - len(to_bytes(payload_of(records_of(commits))))
    # The head of a text of 64 KiB or more takes four bytes more than that of an empty one.
    commits[1] = Commit((), "a", 0, "y" * (slack - 4))
    return payload_of(records_of(commits))


def test_256_kib_are_the_most_for_several_records():
    payload = two_commits(PAYLOAD_BYTES_MAX)
    assert len(to_bytes(payload)) == PAYLOAD_BYTES_MAX
    assert len(unpack(craft(payload))) == 2
    payload[0][6][0] += "x"
    assert len(to_bytes(payload)) == PAYLOAD_BYTES_MAX + 1
    refused(craft(payload), "limit")


def test_pack_refuses_what_nobody_could_read_again():
    with pytest.raises(LocalError, match="at most"):
        two_commits(PAYLOAD_BYTES_MAX + 1)


def test_the_largest_record_travels_alone():
    commit = Commit((), "a", 0, "m", (("p", bytes(RECORD_BYTES_MAX - 60)),))
    assert RECORD_BYTES_MAX - 60 < len(commit.canonical()) <= RECORD_BYTES_MAX
    data = pack(records_of([commit]), plane="ledger", identity=ME, seq=0)
    assert unpack(data).ids == [commit.id]


def test_the_largest_record_travels_alone_even_when_it_does_not_compress():
    noise = hashlib.shake_256(b"noise").digest(RECORD_BYTES_MAX - 60)
    commit = Commit((), "a", 0, "m", (("p", noise),))
    data = pack(records_of([commit]), plane="ledger", identity=ME, seq=0)
    assert len(data) > RECORD_BYTES_MAX
    assert unpack(data).ids == [commit.id]


def test_a_lone_record_beyond_the_limit_is_refused():
    payload = payload_of(records_of([Commit((), "a", 0, "")]))
    payload[0][6] = ["x" * LONE_PAYLOAD_BYTES_MAX]
    refused(craft(payload), "limit")


def test_a_segment_beyond_the_limit_is_refused_before_it_is_read(monkeypatch):
    def fail(data):
        raise AssertionError("it was read")

    monkeypatch.setattr(reading, "decode", fail)
    refused(bytes(SEGMENT_BYTES_MAX + 1), "at most")


def peak_of(action):
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ZEROS = bytes(32 << 20)


BOMB = zstandard.ZstdCompressor().compress(ZEROS)


def frame_claiming(size):
    """The frame of 32 MiB with another content size in its head (four bytes behind magic, descriptor and window)."""
    assert BOMB[4] >> 5 == 0b100  # a content size of four bytes, several segments
    assert int.from_bytes(BOMB[6:10], "little") == len(ZEROS)
    return BOMB[:6] + size.to_bytes(4, "little") + BOMB[10:]


def test_a_bomb_is_not_unfolded():
    size = len(encode(PAYLOAD))
    for data in (
        craft(PAYLOAD, compressed=BOMB),  # the frame is honest, the header lies
        craft(PAYLOAD, compressed=BOMB, size=len(ZEROS)),  # both are honest, and it is too much
        craft(PAYLOAD, compressed=frame_claiming(size)),  # both lie
        craft(PAYLOAD, compressed=frame_claiming(PAYLOAD_BYTES_MAX), size=PAYLOAD_BYTES_MAX),
        craft(PAYLOAD, compressed=frame_claiming((1 << 32) - 1)),
    ):
        assert peak_of(lambda data=data: refused(data)) < 4 << 20


def test_a_frame_that_hides_its_size_is_refused():
    compressed = zstandard.ZstdCompressor(write_content_size=False).compress(encode(PAYLOAD))
    refused(craft(PAYLOAD, compressed=compressed), "claims")


def test_a_payload_other_than_its_one_frame_is_refused():
    good = zstandard.ZstdCompressor().compress(encode(PAYLOAD))
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    empty = zstandard.ZstdCompressor().compress(b"")
    for compressed in (b"", b"x", good[:-1], good + b"\0", good + good, skippable, skippable + good, good + skippable):
        refused(craft(PAYLOAD, compressed=compressed))
    refused(craft(PAYLOAD, compressed=empty + good))
    refused(craft(PAYLOAD, compressed=good, size=len(encode(PAYLOAD)) + 1))
    refused(craft(PAYLOAD, compressed=good, size=len(encode(PAYLOAD)) - 1))


def test_a_damaged_frame_raises_nothing_but_remote_errors():
    good = zstandard.ZstdCompressor().compress(encode(PAYLOAD))
    for at in range(len(good)):
        data = craft(PAYLOAD, compressed=good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1 :])
        try:
            unpack(data)
        except RemoteError:
            continue  # some flips give another valid payload: a hostile writer may sign what it likes


def test_taking_records_back_leaves_what_was_there():
    records = a_bit_of_all()
    before = copy.deepcopy(records)
    lengths = records.lengths()
    records.extend(a_bit_of_all())
    assert len(records) == 2 * len(before)
    records.truncate(lengths)
    assert records == before
