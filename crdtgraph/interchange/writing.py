"""A replica as JSON lines, without loss.

What makes the format lossless are the segments, byte for byte: dots and signatures are a writer's own, and nobody else
could make them again. The records after each segment say the same once more for people and for `jq`. A segment is
enough to be read by itself, so the whole is written in memory for one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crdtgraph.errors import LocalError
from crdtgraph.graph import Graph
from crdtgraph.ids import SegmentKey
from crdtgraph.interchange.rows import Row, compacted_row, record_rows, segment_row, text_of
from crdtgraph.planes import Plane
from crdtgraph.segment import Segment, unpack

FORMAT = "crdtgraph-jsonl"
VERSION = 1
COMPACTED_RUN_MAX = 4_096
"""Places in one line: what a file makes a reader do stays in proportion to its size."""

Progress = Callable[[int, int], object]
"""Called with the segments that are done and those that there are in all."""


def export_lines(graph: Graph, *, progress: Progress | None = None) -> Iterator[str]:
    """Every line of the export of a graph, without line ends, in an order that depends on what it holds alone.

    A graph that is open for writing is flushed first. Raises LocalError if it is changed while this goes on. Costs
    about 25 us a commit, and memory for one segment.
    """
    return map(text_of, export_rows(graph, progress=progress))


def export_rows(graph: Graph, *, with_records: bool = True, progress: Progress | None = None) -> Iterator[Row]:
    """What the lines of an export say, see `export_lines`; on request without the records behind each segment."""
    if not graph.read_only:
        graph.flush()
    planes = [graph._plane(name) for name in graph.stored_planes()]
    summaries = plane_rows(graph)
    yield {
        "type": "header",
        "format": FORMAT,
        "version": VERSION,
        "cluster": graph.cluster,
        "replica": graph.replica_id.hex(),
        "with_records": with_records,
        "planes": summaries,
    }
    total = sum(map(_segments, planes))
    segments = records = compacted = 0
    for plane in planes:
        for row, segment in _rows(plane):
            yield row
            if segment is None:
                compacted += 1
                continue
            if with_records:
                yield from record_rows(segment)
                records += len(segment)
            segments += 1
            if progress is not None:
                progress(segments, total)
    if summaries != plane_rows(graph):
        raise LocalError("the graph was changed while it was exported", hint="export a copy, or once nobody writes")
    yield {
        "type": "footer",
        "segments": segments,
        "records": records,
        "compacted": compacted,
        "planes": summaries,
    }


def plane_rows(graph: Graph) -> list[Row]:
    """What a header and a footer say of each plane: how much it holds, and its digests."""
    return [
        {
            "plane": plane.name,
            "segments": _segments(plane),
            "commits": len(plane.projection),
            "digest": plane.projection.digest().hex(),
            "set_digest": plane.set_digest().hex(),
        }
        for plane in map(graph._plane, graph.stored_planes())
    ]


def _segments(plane: Plane) -> int:
    return plane.segment_count() + sum(1 for _ in plane.beside.strays())


def _rows(plane: Plane) -> Iterator[tuple[Row, Segment | None]]:
    """The places of a document in order, and then what is kept beside it; a segment where there is one."""
    document = plane.document
    ends = [SegmentKey(writer, clock) for writer, clock in document.state_vector.items()]
    writer = reached = -1
    for key in sorted([*document.segment_keys(), *ends]):
        reached = reached if key.writer == writer else 0
        writer = key.writer
        for first in range(reached, key.seq, COMPACTED_RUN_MAX):
            yield compacted_row(plane.name, writer, first, min(COMPACTED_RUN_MAX, key.seq - first)), None
        reached = key.seq + 1
        data = document.get(key)
        if data is not None:
            yield _segment(plane.name, data, beside=False)
    for _, _, data in plane.beside.strays():
        yield _segment(plane.name, data, beside=True)


def _segment(plane: str, data: bytes, *, beside: bool) -> tuple[Row, Segment]:
    segment = unpack(data, check_signature=False)
    return segment_row(plane, segment, data, beside=beside), segment
