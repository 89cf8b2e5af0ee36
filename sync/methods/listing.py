"""The method behind drawings: commits in the order of a drawing, with what a line shows of each.

A row is [id, parents, indirect ancestors, whether it is cut off, author, time, first line of the message, whether it
is live, counters] (`crdtgraph.listing.Row`), and with `prefixes` how many digits of its id are unique. Parts begin
small, so that the first lines come at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import cast

from crdtgraph import LEDGER
from crdtgraph.listing import drawn, prefix_digits, rows
from sync.methods.selecting import in_parts, selection
from sync.methods.target import REVS_MAX, Handler, Parts, Target
from sync.params import Params
from sync.protocol.messages import Plain

ROWS_FIRST = 64
ROWS_MAX = 1_024
"""Rows in a part, about 5 ms of work; each part is twice the one before."""


def _drawing(target: Target, params: Params) -> Parts:
    revs = params.optional_revs("revs", REVS_MAX)
    limit = params.optional_integer("limit", 0)
    plane = params.text("plane", LEDGER)
    prefixes = params.flag("prefixes")
    params.done()
    reader = target.reader
    nodes: set[int] | None = None
    if revs is not None:
        selected = yield from selection(target, revs, plane)
        if not selected.is_everything:
            nodes = yield from in_parts(selected.node_steps())
    order = islice(drawn(reader, nodes, plane=plane), limit)
    size = ROWS_FIRST
    while batch := list(islice(order, size)):
        part = cast("list[Plain]", list(map(list, rows(reader, batch, plane=plane))))
        if prefixes:
            digits = prefix_digits(reader, [reader.id_of(each.node, plane=plane) for each in batch], plane=plane)
            for plain, count in zip(part, digits, strict=True):
                assert isinstance(plain, list)
                plain.append(count)
        yield part
        size = min(2 * size, ROWS_MAX)
    return None


TABLE: Mapping[str, Handler] = {"drawing": _drawing}
