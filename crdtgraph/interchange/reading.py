"""The JSON lines of a replica read back, and everything in them verified, before anybody's store is touched.

Every segment goes through the same door as one from a peer: signature, canonical form, ids, its place among the
writer's. The records that stand behind it for people must be the ones in it, so that nobody is shown what is not
imported. In the end the whole must have the digests that its header names. What comes out is a graph in memory, which
can be compared with a store or given to it (`crdtgraph.union`).
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn, TypeVar

from crdtgraph.errors import LocalError, RemoteError
from crdtgraph.graph import Graph
from crdtgraph.ids import SegmentKey
from crdtgraph.interchange.rows import Row, record_rows, segment_row, text_of
from crdtgraph.interchange.writing import COMPACTED_RUN_MAX, FORMAT, VERSION, plane_rows
from crdtgraph.opening import open as open_graph
from crdtgraph.segment import unpack
from crdtgraph.update import Item, Update

LINE_BYTES_MAX = 64 << 20
"""A commit of 4 MiB takes at most six times as much where every character needs an escape, and base64 less."""

_Kind = TypeVar("_Kind", str, int, bool)


class RemoteLinesError(RemoteError):
    """A file that is no export, or not one as it was written; the message begins with the number of the line."""


def read_lines(
    lines: Iterable[bytes], *, cluster: str | None = None, progress: Callable[[int], object] | None = None
) -> Graph:
    """The graph that an export holds, in memory and verified; the caller closes it.

    Args:
        lines: as a file that is open for reading bytes gives them, none longer than LINE_BYTES_MAX.
        cluster: whose export it has to be.
        progress: called after each line with its bytes.

    Raises RemoteLinesError for anything that `export_lines` would not have written, and LocalError for the export of
    another cluster. Costs about 35 us a commit, and memory for all segments.
    """
    reader = _LineReader(cluster)
    try:
        for line in lines:
            reader.take(line)
            if progress is not None:
                progress(len(line))
        return reader.finish()
    except BaseException:
        reader.close()
        raise


class _LineReader:
    """Takes one line after the other; `graph` is what they say so far."""

    def __init__(self, cluster: str | None) -> None:
        self.graph: Graph | None = None
        self._wanted_cluster = cluster
        self._number = 0
        self._planes: object = None
        self._with_records = True
        self._expected: Iterator[Row] = iter(())
        self._segment_line = 0
        self._counts = {"segments": 0, "records": 0, "compacted": 0}
        self._ended = False

    def close(self) -> None:
        if self.graph is not None:
            self.graph.close()

    def take(self, line: bytes) -> None:
        """Read the next line."""
        self._number += 1
        if len(line) > LINE_BYTES_MAX:
            self._fail(f"is longer than {LINE_BYTES_MAX} bytes")
        if self._ended:
            self._fail("stands behind the footer")
        text = self._decoded(line.removesuffix(b"\n"))
        expected = next(self._expected, None)
        if expected is not None:
            self._counts["records"] += 1
            if text != text_of(expected):
                self._compare(self._row(text), expected)
            return
        row = self._row(text)
        kind = row.get("type")
        if self.graph is None:
            self._read_header(row)
        elif kind == "segment":
            self._read_segment(self.graph, row)
        elif kind == "compacted":
            self._read_compacted(self.graph, row)
        elif kind == "footer":
            self._read_footer(self.graph, row)
        else:
            self._fail(f"has type {kind!r:.40} where a segment, compacted places or the footer belong")

    def finish(self) -> Graph:
        """The graph, once all lines were taken."""
        self._number += 1
        if self.graph is None:
            self._fail("is missing: the file is empty")
        if not self._ended:
            self._fail("is missing: the file was cut off before its footer")
        return self.graph

    # The kinds of lines

    def _read_header(self, row: Row) -> None:
        if row.get("type") != "header" or row.get("format") != FORMAT:
            self._fail(f"is not the header of a {FORMAT} file", "export one: crdtgraph export jsonl FILE")
        version = self._field(row, "version", int)
        if version != VERSION:
            self._fail(
                f"says version {version}; this software reads {VERSION}", "a newer version of crdtgraph reads it"
            )
        cluster = self._field(row, "cluster", str)
        if self._wanted_cluster is not None and cluster != self._wanted_cluster:
            raise LocalError(
                f"the file is of cluster {cluster!r}, the store of {self._wanted_cluster!r}",
                hint=f"import it into a store of its own: crdtgraph init --cluster {cluster} --store PATH",
            )
        self._with_records = self._field(row, "with_records", bool)
        self._planes = row.get("planes")
        try:
            self.graph = open_graph("memory:", cluster=cluster)
        except LocalError as failure:
            self._fail(str(failure))

    def _read_segment(self, graph: Graph, row: Row) -> None:
        plane, is_beside = self._field(row, "plane", str), self._field(row, "beside", bool)
        try:
            data = base64.b64decode(self._field(row, "bytes", str), validate=True)
        except (binascii.Error, ValueError) as failure:
            self._fail(f"holds bytes that are not base64: {failure}")
        try:
            segment = unpack(data)
            if is_beside:
                is_new = bool(graph.adopt(plane, [data]))
            else:
                update = Update((Item(segment.key, data),))
                is_new = graph.receive(plane, update.encode()).segments == (segment.key,)
        except RemoteError as failure:
            self._fail(str(failure), failure.hint)
        if not is_new:
            self._fail(f"holds segment {segment.key.text}, which stands in an earlier line or was superseded by one")
        self._compare(row, segment_row(plane, segment, data, beside=is_beside))
        self._counts["segments"] += 1
        self._segment_line = self._number
        self._expected = record_rows(segment) if self._with_records else iter(())

    def _read_compacted(self, graph: Graph, row: Row) -> None:
        plane, writer = self._field(row, "plane", str), self._field(row, "writer", str)
        first, count = self._field(row, "first", int), self._field(row, "count", int)
        if not 0 < count <= COMPACTED_RUN_MAX:
            self._fail(f"counts {count} compacted places; 1 to {COMPACTED_RUN_MAX} can stand in a line")
        try:
            key = SegmentKey.parse(f"{writer}-{first:x}")
            items = tuple(Item(key._replace(seq=seq), None) for seq in range(first, first + count))
            received = graph.receive(plane, Update(items).encode())
        except (RemoteError, ValueError) as failure:
            self._fail(str(failure))
        if len(received.segments) != count:
            self._fail(f"names places of writer {writer} that an earlier line has")
        self._counts["compacted"] += 1

    def _read_footer(self, graph: Graph, row: Row) -> None:
        for name, counted in self._counts.items():
            claimed = self._field(row, name, int)
            if claimed != counted:
                self._fail(f"claims {claimed} lines of {name}, and {counted} came before it")
        if row.get("planes") != self._planes:
            self._fail("names other planes or digests than the header")
        found = plane_rows(graph)
        if found != self._planes:
            self._fail(f"and the header name other planes than the file has: {json.dumps(found)}")
        self._ended = True

    # Looking at one line

    def _decoded(self, line: bytes) -> str:
        try:
            return line.decode()
        except UnicodeDecodeError as failure:
            column = len(line[: failure.start].decode()) + 1
            self._fail(f"is not UTF-8 at column {column}")

    def _row(self, text: str) -> Row:
        try:
            row = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_refuse_constant)
        except json.JSONDecodeError as failure:
            self._fail(f"is not JSON at column {failure.colno}: {failure.msg}")
        except (ValueError, RecursionError) as failure:
            self._fail(f"is not JSON as it should be: {failure}")
        if not isinstance(row, dict):
            self._fail("is not a JSON object")
        return row

    def _field(self, row: Row, name: str, kind: type[_Kind]) -> _Kind:
        value = row.get(name)
        if type(value) is not kind:
            self._fail(f"has no {name} that is a {_NAMES[kind]}")
        return value

    def _compare(self, found: Row, expected: Row) -> None:
        if found == expected:
            return
        if found.get("type") != expected["type"]:
            self._fail(
                f"has type {found.get('type')!r:.40} where a {expected['type']} of the segment in line "
                f"{self._segment_line} belongs"
            )
        names = [name for name in {**expected, **found} if found.get(name) != expected.get(name) or name not in found]
        where = f"line {self._segment_line}" if expected["type"] != "segment" else "its bytes"
        self._fail(
            f"says something else than the segment in {where}: {', '.join(map(repr, names))}",
            "records are changed by new records, never in a file",
        )

    def _fail(self, what: str, hint: str = "") -> NoReturn:
        raise RemoteLinesError(
            f"line {self._number} {what}", hint or "export it again, or mend that line; nothing was changed"
        )


_NAMES: dict[type, str] = {str: "text", int: "number", bool: "true or false"}


def _without_repetition(pairs: list[tuple[str, object]]) -> Row:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return row


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
