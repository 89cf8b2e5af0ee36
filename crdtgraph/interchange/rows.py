"""What a line of the interchange format says: a segment, its records, a place that was compacted.

Each is one JSON object whose `type` says which. docs/interchange.md lists the fields. Ids, digests and keys are
lower-case hex; a time is an integer in microseconds since the Unix epoch.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Sequence

from crdtgraph.ids import Dot
from crdtgraph.records import REF_NAMESPACE, Assign, Commit, Reference, Value
from crdtgraph.segment import Segment

Row = dict[str, object]

_UNSEEN = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON allows as it is, and what a terminal obeys or a program takes for the end of a line."""


def text_of(row: Row) -> str:
    """The line of a row, without a line end; none of its characters is a control character."""
    text = json.dumps(row, ensure_ascii=False)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def segment_row(plane: str, segment: Segment, data: bytes, *, beside: bool) -> Row:
    """A segment: who wrote it, what it supersedes, and its signed bytes."""
    return {
        "type": "segment",
        "plane": plane,
        "key": segment.key.text,
        "replica": segment.replica_id.hex(),
        "supersedes": [key.text for key in segment.supersedes],
        "beside": beside,
        "records": len(segment),
        "bytes": base64.b64encode(data).decode(),
    }


def compacted_row(plane: str, writer: int, first: int, count: int) -> Row:
    """Places of one writer whose segments were compacted."""
    return {"type": "compacted", "plane": plane, "writer": f"{writer:x}", "first": first, "count": count}


def record_rows(segment: Segment) -> Iterator[Row]:
    """The records of a segment in the order in which it holds them: commits, assignments, counts, discards."""
    for position, stamp in enumerate(segment.stamps):
        commit = segment.commit(position)
        yield {"type": "commit", "id": segment.ids[position].hex(), **_commit(commit), "stamp_us": stamp}
    for assign in segment.assigns:
        yield _assign(assign)
    for count in segment.counts:
        yield {"type": "count", "commit": count.commit.hex(), "vector": list(count.vector), "stamp_us": count.stamp}
    for discard in segment.discards:
        yield {"type": "discard", "commit": discard.commit.hex(), "stamp_us": discard.stamp}


def value_row(value: Value) -> Row:
    """What a path is set to: `text` or `base64`, a `reference`, or `removed`."""
    if value is None:
        return {"removed": True}
    if isinstance(value, Reference):
        return {"size": value.size, "reference": {"scheme": value.scheme, "digest": value.digest.hex()}}
    try:
        return {"size": len(value), "text": value.decode()}
    except UnicodeDecodeError:
        return {"size": len(value), "base64": base64.b64encode(value).decode()}


def _commit(commit: Commit) -> Row:
    return {
        "parents": [parent.hex() for parent in commit.parents],
        "author": commit.author,
        "time_us": commit.time,
        "message": commit.message,
        "origin": commit.origin,
        "changes": [{"path": path, **value_row(value)} for path, value in commit.changes],
    }


def _assign(assign: Assign) -> Row:
    row: Row = {"type": "assign", "namespace": assign.namespace, "key": assign.key}
    if assign.namespace == REF_NAMESPACE:
        row["target"] = None if assign.value is None else assign.value.hex()
    else:
        row["value"] = value_row(assign.value)
    return {
        **row,
        "dot": _dots([assign.dot])[0],
        "supersedes": _dots(assign.supersedes),
        "stamp_us": assign.stamp,
    }


def _dots(dots: Sequence[Dot]) -> list[list[object]]:
    return [[f"{dot.writer:x}", dot.counter] for dot in dots]
