"""A recorded search: which states it read, in order, and what it learned in between.

A trace is two sorts of events. A *read* is a call of `graph.state(node)`. A *backup* says that a leaf was evaluated
and that its value was added to every node from there up to the root: replaying the backups gives back the visits and
the value that each node had at each moment, so that a policy under test may ask what it could have asked in the
search, about any node and not only about the one that is read.

Nodes are numbered in the order of their first read; a parent comes before its children. The file is gzip over a
header line of JSON and the columns one after another, as little-endian integers: small, and equal bytes for equal
searches.
"""

from __future__ import annotations

import gzip
import json
import sys
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from crdtgraph.errors import CorruptError

FORMAT = 1
VALUE_SCALE = 1_000_000
"""Values are kept in fixed point, as the counters of the graph keep rewards."""
NO_PARENT = -1


@dataclass(slots=True)
class Trace:
    """One search.

    `parents` and `sizes` (bytes of the state) are by node. An event is a node n >= 0 that is read, or -1 - n for a
    backup from n; `values` are those of the backups, in order, in [0, VALUE_SCALE] as the first player sees them.
    `players` is 1 or 2: with two, those at odd depths choose for the second one.
    """

    name: str
    players: int
    parents: array[int] = field(default_factory=lambda: array("i"))
    sizes: array[int] = field(default_factory=lambda: array("i"))
    events: array[int] = field(default_factory=lambda: array("i"))
    values: array[int] = field(default_factory=lambda: array("i"))

    def add_node(self, parent: int, size_bytes: int) -> int:
        """A node that was not read before; returns its number."""
        self.parents.append(parent)
        self.sizes.append(size_bytes)
        return len(self.parents) - 1

    def read(self, node: int) -> None:
        """The search asks for the state at `node`."""
        self.events.append(node)

    def backup(self, node: int, value: float) -> None:
        """The value of `node`, in [0, 1] as the first player sees it, is added to all nodes from there to the root."""
        self.events.append(-1 - node)
        self.values.append(round(value * VALUE_SCALE))

    def reads(self) -> list[int]:
        """The nodes that were read, in order."""
        return [event for event in self.events if event >= 0]

    @property
    def distinct_bytes(self) -> int:
        """The states of all nodes together."""
        return sum(self.sizes)


_COLUMNS = ("parents", "sizes", "events", "values")


def dump(trace: Trace) -> bytes:
    """The bytes of a trace; equal traces give equal bytes."""
    columns: list[array[int]] = [getattr(trace, name) for name in _COLUMNS]
    header = {
        "format": FORMAT,
        "name": trace.name,
        "players": trace.players,
        "lengths": [len(column) for column in columns],
    }
    return gzip.compress(
        json.dumps(header).encode() + b"\n" + b"".join(_little_endian(column).tobytes() for column in columns),
        compresslevel=9,
        mtime=0,
    )


def load(path: Path) -> Trace:
    """Read a trace from a file that `dump` gave the bytes of.

    Raises:
        CorruptError: the file is no trace, or was cut.
    """
    try:
        head, _, body = gzip.decompress(path.read_bytes()).partition(b"\n")
        header = json.loads(head)
        if header["format"] != FORMAT:
            raise ValueError(f"format {header['format']}")
        trace = Trace(header["name"], header["players"])
        start = 0
        for name, length in zip(_COLUMNS, header["lengths"], strict=True):
            column: array[int] = getattr(trace, name)
            end = start + length * column.itemsize
            column.frombytes(body[start:end])
            if len(column) != length:
                raise ValueError(f"{name} has {len(column)} of {length} numbers")
            setattr(trace, name, _little_endian(column))
            start = end
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise CorruptError(f"{path} is not a trace of a search: {error}", hint="record it again") from error
    return trace


def _little_endian(column: array[int]) -> array[int]:
    if sys.byteorder == "big":
        column = array("i", column)
        column.byteswap()
    return column
