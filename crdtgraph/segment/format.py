"""The frame of a segment: its limits, its header, what is signed, and how the payload is compressed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import pairwise

import zstandard

from crdtgraph.canonical import decode
from crdtgraph.errors import RemoteError
from crdtgraph.ids import INCARNATION_BYTES, SegmentKey, writer_id
from crdtgraph.records import NAME_BYTES_MAX, RECORD_BYTES_MAX
from crdtgraph.signing import PUBLIC_KEY_BYTES

SEGMENT_VERSION = 1
PART_VERSION = 2
"""Of a segment that is one of the parts of a compaction, which only searches have."""
SEARCH_PREFIX = "search/"
"""How the names of planes begin whose segments may be parts."""
RECORDS_MAX = 1_000
"""Folding a full segment takes about 5 ms, which is as long as an event loop should be held."""
PAYLOAD_BYTES_MAX = 256 << 10
LONE_PAYLOAD_BYTES_MAX = RECORD_BYTES_MAX + 4_096
"""A record larger than a segment travels alone."""
SEGMENT_BYTES_MAX = LONE_PAYLOAD_BYTES_MAX + 64 * 1_024
RECORD_OVERHEAD_BYTES = 48
"""What a record can take in the payload beyond its canonical bytes: a link, numbers, a stamp, an external parent."""
ZSTD_LEVEL = 3
SUPERSEDES_MAX = 4_096
"""Segments, or runs of them, that one segment may supersede."""
PARTS_MAX = 1 << 16
"""Parts of one compaction, 65 million records."""

_DOMAIN = b"crdtgraph segment\0"
_compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
_decompressor = zstandard.ZstdDecompressor()


class RemoteSegmentError(RemoteError):
    """A segment that breaks a rule; every replica refuses it alike."""


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of a compaction a segment is: the `number`th, from 0, of `total`, of which the first has seq `start`.

    `runs` are earlier seqs, as (first, length), that are superseded as soon as all parts are there, and not before.
    """

    start: int
    number: int
    total: int
    runs: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a segment before its payload is looked at."""

    plane: str
    public_key: bytes
    incarnation: bytes
    key: SegmentKey
    supersedes: tuple[int, ...]
    records: int
    payload_bytes: int
    part: Part | None = None


def read_header(data: bytes) -> Header:
    """Read and check a header; raises RemoteSegmentError."""
    fields = decode(data)
    if type(fields) is not list or not fields or type(fields[0]) is not int:
        raise RemoteSegmentError("a segment has no header")
    if fields[0] not in (SEGMENT_VERSION, PART_VERSION):
        raise RemoteSegmentError(
            f"segment version {fields[0]} is not {SEGMENT_VERSION} or {PART_VERSION}; a newer version wrote it"
        )
    kinds = (int, str, bytes, bytes, int, list, int, int) + (list,) * (fields[0] == PART_VERSION)
    if tuple(map(type, fields)) != kinds:
        raise RemoteSegmentError("the header of a segment has fields of the wrong types")
    version, plane, public_key, incarnation, seq, supersedes, records, payload_bytes = fields[:8]
    if len(public_key) != PUBLIC_KEY_BYTES or len(incarnation) != INCARNATION_BYTES:
        raise RemoteSegmentError("the key or the incarnation in a header has the wrong length")
    if not 0 <= seq < 1 << 32 or not 1 <= records <= RECORDS_MAX or not 0 < len(plane.encode()) <= NAME_BYTES_MAX:
        raise RemoteSegmentError(f"plane {plane[:40]!r}, seq {seq} or {records} records are out of bounds")
    limit = LONE_PAYLOAD_BYTES_MAX if records == 1 else PAYLOAD_BYTES_MAX
    if not 0 < payload_bytes <= limit:
        raise RemoteSegmentError(f"a segment of {payload_bytes} bytes and {records} records; the limit is {limit}")
    if len(supersedes) > SUPERSEDES_MAX or not set(map(type, supersedes)) <= {int}:
        raise RemoteSegmentError(f"a segment supersedes {len(supersedes)} others; at most {SUPERSEDES_MAX} can be")
    key = SegmentKey(writer_id(public_key, incarnation), seq)
    if version == PART_VERSION:
        part = _read_part(plane, seq, supersedes, fields[8])
        return Header(plane, public_key, incarnation, key, (), records, payload_bytes, part)
    if supersedes and plane.startswith(SEARCH_PREFIX):
        raise RemoteSegmentError(f"segment {seq} of plane {plane[:40]!r} supersedes others; in a search they are parts")
    if any(low >= high for low, high in pairwise([-1, *supersedes, seq])):
        raise RemoteSegmentError("superseded segments are earlier ones, in ascending order")
    return Header(plane, public_key, incarnation, key, tuple(supersedes), records, payload_bytes)


def _read_part(plane: str, seq: int, runs: list[int], place: list[int]) -> Part:
    if not plane.startswith(SEARCH_PREFIX):
        raise RemoteSegmentError(f"a segment of plane {plane[:40]!r} is a part; only those of searches are")
    if len(place) != 3 or set(map(type, place)) != {int}:
        raise RemoteSegmentError("the place of a part is three numbers")
    start, number, total = place
    if not 0 <= number < total <= PARTS_MAX or not 0 <= start <= seq - number or (number == 0) != (start == seq):
        raise RemoteSegmentError(f"segment {seq} cannot be part {number} of {total} from segment {start} on")
    if len(runs) % 2:
        raise RemoteSegmentError("superseded runs are pairs of a segment and a length")
    found = tuple(zip(runs[::2], runs[1::2], strict=True))
    end = -1
    for first, length in found:
        # With a gap between any two: there is one way only to write them down.
        if first <= end or length < 1 or first + length > start:
            raise RemoteSegmentError("superseded runs are of earlier segments, ascending, and do not touch")
        end = first + length
    return Part(start, number, total, found)


def signed_message(header: bytes, compressed: bytes) -> bytes:
    """What the writer signs: 32 bytes over header and compressed payload."""
    return hashlib.sha256(_DOMAIN + len(header).to_bytes(4, "big") + header + compressed).digest()


def compress(payload: bytes) -> bytes:
    """The zstd frame of a payload; it states the payload's size."""
    return _compressor.compress(payload)


def decompress(compressed: bytes, size: int) -> bytes:
    """The payload, which must have exactly `size` bytes; nothing larger is ever allocated."""
    try:
        if zstandard.frame_content_size(compressed) != size:
            raise RemoteSegmentError(f"a payload does not have the {size} bytes that its header claims")
        data = _decompressor.decompress(compressed, max_output_size=size, allow_extra_data=False)
    except zstandard.ZstdError as failure:
        raise RemoteSegmentError(f"a payload cannot be decompressed: {failure}") from None
    if len(data) != size:
        raise RemoteSegmentError(f"a payload has {len(data)} bytes and its header claims {size}")
    return data
