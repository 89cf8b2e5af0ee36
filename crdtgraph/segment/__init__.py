"""A segment: a signed batch of one writer's records, the unit that is stored, sent and verified.

One map entry per commit costs a Yjs document 430 to 540 bytes and 7 us; a thousand commits in one entry cost 0.06 us
each. So records travel in segments of at most 1,000 records and 256 KiB (before compression).

Layout, all of it canonical CBOR (see canonical.py):

    segment = [header, payload, signature]          three byte strings
    header  = [1, plane, public key, incarnation, seq, superseded seqs, records, payload bytes before compression]
    payload = zstd of [commits, assigns, counts, discards]
    commits = [parent counts, parent links, external parents, authors, author numbers, time steps, messages,
               change counts, paths, values, origins, stamp steps]

Counts, links, numbers and steps are integer columns (`canonical.integer_column`), the rest arrays. A step is the
difference to the number before, in 64 bits that wrap around.

Commits are stored by column: texts of one kind lie together and a parent inside the segment is one small number
(how many commits back; -1, -2, ... name the external parents), so a commit of a real history takes 45 to 60
bytes on the wire. Ids are not stored: a reader builds every commit's canonical bytes and hashes them, which is also
how it knows that they are right.

Whether a segment is valid depends on its bytes alone, never on a clock or on what else is known: all replicas refuse
the same ones. The order of checks: length, signature, declared size, decompression, canonical form, types.
"""

from crdtgraph.segment.format import (
    LONE_PAYLOAD_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    RECORD_OVERHEAD_BYTES,
    RECORDS_MAX,
    SEGMENT_BYTES_MAX,
    SEGMENT_VERSION,
    SUPERSEDES_MAX,
    ZSTD_LEVEL,
    Header,
    Part,
    RemoteSegmentError,
    read_header,
    signed_message,
)
from crdtgraph.segment.packing import Records, pack
from crdtgraph.segment.reading import Segment, unpack

__all__ = [
    "LONE_PAYLOAD_BYTES_MAX",
    "PAYLOAD_BYTES_MAX",
    "RECORDS_MAX",
    "RECORD_OVERHEAD_BYTES",
    "SEGMENT_BYTES_MAX",
    "SEGMENT_VERSION",
    "SUPERSEDES_MAX",
    "ZSTD_LEVEL",
    "Header",
    "Part",
    "Records",
    "RemoteSegmentError",
    "Segment",
    "pack",
    "read_header",
    "signed_message",
    "unpack",
]
