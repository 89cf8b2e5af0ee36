"""Frames: how messages are cut out of a stream of bytes, and how a damaged one is noticed.

    offset  size  field
         0     4  length of the payload, big-endian
         4     1  flags; bit 0: the payload is compressed with zstd
         5     3  header check: the low 24 bits of the CRC-32 of the five bytes before
         8     4  CRC-32 of the payload as it travels
        12     n  payload

The header has a check of its own, so that a damaged length is noticed at once and not after waiting for bytes
that never come. Any single changed byte of a frame is certain to be noticed (a CRC detects every error burst
no longer than itself; for the header's 24 bits a test tries them all). The checks are against damage, not
malice: contents are signed.

Nothing is allocated because a peer says so: memory grows with the bytes that came. The shape is h11's: bytes
go in by `feed`, payloads come out by `next_payload`, and after an error the parser refuses to go on.
"""

from __future__ import annotations

from struct import Struct
from zlib import crc32

import zstandard

from crdtgraph.errors import RemoteError
from sync.protocol.limits import COMPRESS_BYTES_MIN, FRAME_BYTES_MAX

HEADER_BYTES = 12
FLAG_ZSTD = 1
ZSTD_LEVEL = 1
"""The fastest: summaries and control answers shrink by half or more already."""

_HEADER_START = Struct(">IB")
_CHECKED_BYTES = _HEADER_START.size
_PAYLOAD_CRC = Struct(">I")
_CHECK_END = HEADER_BYTES - _PAYLOAD_CRC.size
_COMPACT_BYTES_MIN = 64 << 10

_compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
"""Of the thread that nodes run in. A compressor serves one thread at a time: zstd lets others run while it works."""


class RemoteFrameError(RemoteError):
    """The stream of bytes is damaged: no message can be read from it any more."""


def new_compressor() -> zstandard.ZstdCompressor:
    """A compressor for a thread of its own, to give to `encode_frame`."""
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL)


def encode_frame(payload: bytes, *, compress: bool = True, compressor: zstandard.ZstdCompressor = _compressor) -> bytes:
    """The frame around a payload of at most `FRAME_BYTES_MAX` bytes.

    Args:
        payload: 1 to `FRAME_BYTES_MAX` bytes.
        compress: whether to try zstd on a payload above `COMPRESS_BYTES_MIN`; False for what is compressed
            already.
        compressor: one of the caller's own, when it may run in another thread than nodes.

    Raises:
        ValueError: the payload is empty or too long; a caller has to cut what it sends.
    """
    if not 0 < len(payload) <= FRAME_BYTES_MAX:
        raise ValueError(f"a payload of {len(payload)} bytes fits no frame; 1 to {FRAME_BYTES_MAX} are possible")
    flags = 0
    if compress and len(payload) >= COMPRESS_BYTES_MIN:
        smaller = compressor.compress(payload)
        if len(smaller) < len(payload):
            payload, flags = smaller, FLAG_ZSTD
    start = _HEADER_START.pack(len(payload), flags)
    return b"".join((start, _header_check(start), _PAYLOAD_CRC.pack(crc32(payload)), payload))


class FrameParser:
    """Reads frames from bytes that arrive in any pieces.

        parser.feed(data)
        while (payload := parser.next_payload()) is not None: ...
        parser.feed_eof()   # when the stream has ended

    Holds at most one frame and the bytes of the last `feed`. Cost: O(bytes), whatever the pieces.
    """

    __slots__ = ("_buffer", "_decompressor", "_start", "_wanted", "frame_bytes_max")

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self._buffer = bytearray()
        self._decompressor: zstandard.ZstdDecompressor | None = None
        self._start = 0
        self._wanted = 0

    @property
    def in_frame(self) -> bool:
        """Whether a frame has begun and not ended."""
        return self.received > 0

    @property
    def received(self) -> int:
        """How many bytes there are of the frame that has begun."""
        return len(self._buffer) - self._start

    def feed(self, data: bytes | bytearray) -> None:
        """Take bytes as they came."""
        if self._start == len(self._buffer):
            self._buffer.clear()
            self._start = 0
        elif self._start >= _COMPACT_BYTES_MIN and self._start * 2 >= len(self._buffer):
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += data

    def next_payload(self) -> bytes | None:
        """The next whole payload, decompressed, or None when more bytes are needed.

        Raises:
            RemoteFrameError: the bytes are no frame. Every further call raises it again.
        """
        present = len(self._buffer) - self._start
        if present < self._wanted:
            return None
        if present < _CHECK_END:
            self._check_beginning(present)
            return None
        length, flags = self._check_header()
        self._wanted = HEADER_BYTES + length
        if present < self._wanted:
            return None
        payload_start = self._start + HEADER_BYTES
        (expected,) = _PAYLOAD_CRC.unpack_from(self._buffer, self._start + _CHECK_END)
        with memoryview(self._buffer) as view:
            payload = bytes(view[payload_start : payload_start + length])
        if crc32(payload) != expected:
            raise RemoteFrameError(f"a frame's payload of {length} bytes is damaged: its check sum differs")
        if flags & FLAG_ZSTD:
            if self._decompressor is None:
                # One each: parsers of several threads must not share it.
                self._decompressor = zstandard.ZstdDecompressor(max_window_size=FRAME_BYTES_MAX)
            payload = _decompress(self._decompressor, payload, self.frame_bytes_max)
        self._start = payload_start + length
        self._wanted = 0
        return payload

    def feed_eof(self) -> None:
        """The stream has ended.

        Raises:
            RemoteFrameError: it ended in the middle of a frame; says how many bytes are missing.
        """
        present = len(self._buffer) - self._start
        if present:
            missing = max(self._wanted, HEADER_BYTES) - present
            part = "frame" if self._wanted else "frame's header"
            raise RemoteFrameError(f"the stream ended in the middle of a {part}: {missing} bytes are missing")

    def _check_beginning(self, present: int) -> None:
        """What can be said of a header that is not all there yet."""
        if present >= _PAYLOAD_CRC.size:
            (length,) = _PAYLOAD_CRC.unpack_from(self._buffer, self._start)
            self._check_length(length)
        if present >= _CHECKED_BYTES:
            _check_flags(self._buffer[self._start + _CHECKED_BYTES - 1])

    def _check_header(self) -> tuple[int, int]:
        length, flags = _HEADER_START.unpack_from(self._buffer, self._start)
        self._check_length(length)
        _check_flags(flags)
        checked_end = self._start + _CHECKED_BYTES
        check = self._buffer[checked_end : self._start + _CHECK_END]
        if check != _header_check(self._buffer[self._start : checked_end]):
            raise RemoteFrameError(f"a frame's header is damaged: its check is {check.hex()}")
        return length, flags

    def _check_length(self, length: int) -> None:
        if not 0 < length <= self.frame_bytes_max:
            raise RemoteFrameError(
                f"a frame claims {length} bytes; 1 to {self.frame_bytes_max} are possible",
                hint="is this the address of a crdtgraph node?",
            )


def _header_check(start: bytes | bytearray) -> bytes:
    return crc32(start).to_bytes(4, "big")[1:]


def _check_flags(flags: int) -> None:
    if flags & ~FLAG_ZSTD:
        raise RemoteFrameError(f"a frame has unknown flags {flags:#04x}")


def _decompress(decompressor: zstandard.ZstdDecompressor, data: bytes, bytes_max: int) -> bytes:
    try:
        size = zstandard.frame_content_size(data)
        # Unknown (-1) is refused as well: without a size, memory would grow until the data ends.
        if not 0 < size <= bytes_max:
            raise RemoteFrameError(f"a compressed frame claims {size} bytes; 1 to {bytes_max} are possible")
        payload = decompressor.decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise RemoteFrameError(f"a compressed frame cannot be decompressed: {error}") from None
    if len(payload) != size:
        raise RemoteFrameError(f"a compressed frame claims {size} bytes and holds {len(payload)}")
    return payload
