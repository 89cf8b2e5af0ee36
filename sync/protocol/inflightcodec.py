"""In-flight counts to bytes and back: the payload of an `Ephemeral` of topic `TOPIC`.

    [version, search, writer, sequence, hops, age, commits, counts]

`commits` are ids side by side, 32 bytes each, in ascending order; `counts` are as many integers from 1 on. So equal
messages are equal bytes. What is read is checked field by field: whatever the bytes are, only `RemoteMessageError`
comes out. A later version may mean something else; it is passed by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crdtgraph.ids import WRITER_BITS, CommitId
from sync.protocol import fields
from sync.protocol.limits import INFLIGHT_COMMITS_MAX, INFLIGHT_COUNT_MAX, INFLIGHT_HOPS_MAX, PLANE_NAME_BYTES_MAX
from sync.protocol.packing import RemoteMessageError, pack, unpack

TOPIC = "crdtgraph/inflight"
VERSION = 1
SEQUENCE_MAX = 1 << 63
COMMIT_BYTES = 32
AGE_MS_MAX = 86_400_000


@dataclass(frozen=True, slots=True)
class InFlightState:
    """What one writer has in flight in one search: commit -> simulations. The state with the largest `sequence` counts.

    `hops` is how many nodes have passed it on, `age_ms` how long ago its writer said it, as far as the sender knows.
    """

    search: str
    writer: int
    sequence: int
    hops: int
    age_ms: int
    counts: Mapping[CommitId, int]


def encode_inflight(state: InFlightState) -> bytes:
    """The payload. Cost: O(n log n) in its commits."""
    commits = sorted(state.counts)
    counts = [state.counts[commit] for commit in commits]
    head = [VERSION, state.search, state.writer, state.sequence, state.hops, state.age_ms]
    return pack([*head, b"".join(commits), counts])


def decode_inflight(payload: bytes) -> InFlightState | None:
    """Read a payload; None for a later version's. Raises RemoteMessageError for what is none."""
    row = unpack(payload)
    try:
        match row:
            case [int() as version, *_] if type(version) is int and version > VERSION:
                return None
            case [int() as version, search, writer, sequence, hops, age_ms, commits, counts] if version is VERSION:
                return InFlightState(
                    fields.text(search, PLANE_NAME_BYTES_MAX),
                    fields.number(writer, 1 << WRITER_BITS),
                    fields.number(sequence, SEQUENCE_MAX),
                    fields.number(hops, INFLIGHT_HOPS_MAX + 1),
                    fields.number(age_ms, AGE_MS_MAX + 1),
                    _counts(commits, counts),
                )
    except fields.FieldError as error:
        raise RemoteMessageError(f"in-flight counts are malformed: {error}") from None
    raise RemoteMessageError(f"in-flight counts are malformed: {fields.shown(row)} is no state of version {VERSION}")


def _counts(commits: object, counts: object) -> dict[CommitId, int]:
    data = fields.blob(commits, INFLIGHT_COMMITS_MAX * COMMIT_BYTES)
    numbers = fields.list_of(counts, INFLIGHT_COMMITS_MAX)
    if len(data) != COMMIT_BYTES * len(numbers):
        raise fields.FieldError(f"{len(data)} bytes of commits for {len(numbers)} counts")
    table: dict[CommitId, int] = {}
    before = b""
    for place, each in enumerate(numbers):
        commit = data[COMMIT_BYTES * place : COMMIT_BYTES * (place + 1)]
        if commit <= before:
            raise fields.FieldError(f"commits that are not in ascending order at {commit.hex()}")
        count = fields.number(each, INFLIGHT_COUNT_MAX + 1)
        if not count:
            raise fields.FieldError(f"nothing in flight at {commit.hex()}, which should be left out")
        table[CommitId(commit)] = count
        before = commit
    return table
