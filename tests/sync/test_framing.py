"""Frames: cut anywhere, damaged anywhere, lying about their length."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from random import Random
from zlib import crc32

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.errors import RemoteError
from sync.protocol.framing import FLAG_ZSTD, HEADER_BYTES, FrameParser, RemoteFrameError, encode_frame, new_compressor
from sync.protocol.limits import COMPRESS_BYTES_MIN, FRAME_BYTES_MAX

PAYLOADS = [b"x", b"hello, world", bytes(range(256)) * 3, b"repeat " * 2000]


def parse(data: bytes) -> list[bytes]:
    parser = FrameParser()
    parser.feed(data)
    return list(iter(parser.next_payload, None))


def framed(payload: bytes, flags: int = 0, *, length: int | None = None) -> bytes:
    """A frame that may lie."""
    start = struct.pack(">IB", len(payload) if length is None else length, flags)
    return start + crc32(start).to_bytes(4, "big")[1:] + struct.pack(">I", crc32(payload)) + payload


def test_whole_frames_come_out_as_they_went_in() -> None:
    data = b"".join(encode_frame(payload) for payload in PAYLOADS)
    assert parse(data) == PAYLOADS


def test_byte_by_byte() -> None:
    parser = FrameParser()
    found = []
    for byte in b"".join(encode_frame(payload) for payload in PAYLOADS):
        parser.feed(bytes([byte]))
        while (payload := parser.next_payload()) is not None:
            found.append(payload)
    assert found == PAYLOADS
    parser.feed_eof()


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.lists(st.integers(1, 500), max_size=20))
def test_any_fragmentation(payloads: list[bytes], cuts: list[int]) -> None:
    data = b"".join(encode_frame(payload) for payload in payloads)
    parser = FrameParser()
    found = []
    for size in [*cuts, len(data)]:
        parser.feed(data[:size])
        data = data[size:]
        while (payload := parser.next_payload()) is not None:
            found.append(payload)
    assert found == payloads


def test_long_payloads_are_compressed_unless_told_otherwise() -> None:
    payload = b"a" * COMPRESS_BYTES_MIN
    assert len(encode_frame(payload)) < 100
    assert len(encode_frame(payload, compress=False)) == HEADER_BYTES + len(payload)
    assert len(encode_frame(payload[:-1])) == HEADER_BYTES + len(payload) - 1
    assert parse(encode_frame(payload)) == [payload]


def test_what_does_not_shrink_is_sent_as_it_is() -> None:
    payload = zstandard.compress(struct.pack(">5000I", *(crc32(bytes([n % 256, n // 256])) for n in range(5000))))
    assert len(encode_frame(payload)) == HEADER_BYTES + len(payload)


@pytest.mark.parametrize("payload", [b"truncated", b"repeat " * 2000])
def test_a_frame_truncated_at_every_offset_is_noticed_at_the_end(payload: bytes) -> None:
    frame = encode_frame(payload)
    for size in range(1, len(frame)):
        parser = FrameParser()
        parser.feed(frame[:size])
        assert parser.next_payload() is None
        assert parser.in_frame
        missing = (len(frame) if size >= 8 else HEADER_BYTES) - size
        with pytest.raises(RemoteFrameError, match=f"middle of a frame.*: {missing} bytes are missing"):
            parser.feed_eof()


def test_a_stream_may_end_between_frames() -> None:
    parser = FrameParser()
    parser.feed_eof()
    parser.feed(encode_frame(b"x"))
    assert parser.next_payload() == b"x"
    assert not parser.in_frame
    parser.feed_eof()


def test_trailing_bytes_belong_to_the_next_frame() -> None:
    parser = FrameParser()
    parser.feed(encode_frame(b"x") + b"\0\0")
    assert parser.next_payload() == b"x"
    assert parser.next_payload() is None
    with pytest.raises(RemoteFrameError):
        parser.feed_eof()


@pytest.mark.parametrize("payload", [b"changed", b"repeat " * 1000])
def test_a_changed_byte_anywhere_in_a_frame(payload: bytes) -> None:
    frame = encode_frame(payload)
    for place in range(len(frame)):
        for change in (1, 0x10, 0x80, 0xFF):
            damaged = bytearray(frame)
            damaged[place] ^= change
            parser = FrameParser()
            # More follows, so that a damaged length could not hide behind waiting.
            parser.feed(damaged + frame)
            with pytest.raises(RemoteFrameError):
                list(iter(parser.next_payload, None))


def test_a_changed_byte_of_the_header_is_noticed_without_the_payload() -> None:
    # The check is linear, so it is enough to try every change of one header.
    frame = encode_frame(b"p" * 40)
    for place in range(8):
        for change in range(1, 256):
            damaged = bytearray(frame[:8])
            damaged[place] ^= change
            parser = FrameParser()
            parser.feed(damaged)
            with pytest.raises(RemoteFrameError):
                parser.next_payload()


def test_a_frame_that_claims_4_gib_is_refused_after_four_bytes() -> None:
    parser = FrameParser()
    parser.feed(b"\xff\xff\xff")
    assert parser.next_payload() is None
    parser.feed(b"\xff")
    with pytest.raises(RemoteFrameError, match="claims 4294967295 bytes"):
        parser.next_payload()
    with pytest.raises(RemoteFrameError, match="claims 4294967295 bytes"):
        parser.next_payload()


def test_an_empty_frame_and_one_beyond_the_limit_are_refused() -> None:
    for length in (0, FRAME_BYTES_MAX + 1):
        with pytest.raises(RemoteFrameError, match=f"claims {length} bytes"):
            parse(framed(b"", length=length))
        with pytest.raises(ValueError, match="fits no frame"):
            encode_frame(bytes(length))


def test_the_limit_itself_is_possible() -> None:
    payload = bytes(FRAME_BYTES_MAX)
    assert parse(encode_frame(payload)) == [payload]
    assert parse(encode_frame(payload, compress=False)) == [payload]


def test_unknown_flags() -> None:
    for flags in range(2, 256):
        with pytest.raises(RemoteFrameError, match="unknown flags"):
            parse(framed(b"x", flags))


def test_a_decompression_bomb_is_refused_by_its_claim() -> None:
    bomb = zstandard.compress(bytes(FRAME_BYTES_MAX + 1))
    assert len(bomb) < 10_000
    with pytest.raises(RemoteFrameError, match="compressed frame claims"):
        parse(framed(bomb, FLAG_ZSTD))


def test_compressed_data_without_its_size_is_refused() -> None:
    bare = zstandard.ZstdCompressor(write_content_size=False).compress(b"a" * 5000)
    with pytest.raises(RemoteFrameError, match="compressed frame"):
        parse(framed(bare, FLAG_ZSTD))


@pytest.mark.parametrize(
    "data", [b"not zstd at all", zstandard.compress(b"a" * 5000)[:-1], zstandard.compress(b"a" * 5000) + b"more"]
)
def test_damaged_compressed_data(data: bytes) -> None:
    with pytest.raises(RemoteFrameError, match="compressed frame"):
        parse(framed(data, FLAG_ZSTD))


@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_raise_nothing_but_remote_errors(data: bytes, with_header: bool) -> None:
    parser = FrameParser()
    parser.feed(framed(data, FLAG_ZSTD) if with_header else data)
    try:
        while parser.next_payload() is not None:
            pass
        parser.feed_eof()
    except RemoteError:
        pass


def test_reading_in_small_pieces_is_not_quadratic() -> None:
    # 8 MiB in 4 KiB pieces: moving the buffer at each would copy 8 GiB.
    frames = encode_frame(bytes(1 << 20), compress=False) * 8
    parser = FrameParser()
    count = 0
    for start in range(0, len(frames), 4096):
        parser.feed(frames[start : start + 4096])
        count += parser.next_payload() is not None
    assert count == 8


def test_threads_with_parsers_and_compressors_of_their_own_do_not_disturb_each_other() -> None:
    payloads = [Random(number).randbytes(1_000_000) + bytes(1_000_000) for number in range(4)]

    def work(payload: bytes) -> bool:
        compressor, parser = new_compressor(), FrameParser()
        for _ in range(10):
            parser.feed(encode_frame(payload, compressor=compressor))
            if parser.next_payload() != payload:
                return False
        return True

    with ThreadPoolExecutor(len(payloads)) as pool:
        assert all(pool.map(work, payloads))
