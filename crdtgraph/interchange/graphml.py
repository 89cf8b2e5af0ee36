"""The graph as GraphML, which Gephi, yEd, Cytoscape, igraph and networkx read.

networkx writes it; it keeps all of a graph in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from crdtgraph.canonical import INT64_MAX, INT64_MIN
from crdtgraph.interchange.labels import DrawnCommit, Progress, drawn_commits, moment
from crdtgraph.reader import Reader

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'


def graphml_lines(reader: Reader, *, progress: Progress | None = None) -> Iterator[str]:
    """The lines of a GraphML file, without line ends.

    A node is named by the commit's id and has `short`, `author`, `time` (ISO 8601), `time_us`, `subject`, `refs`
    (separated by blanks; "??" marks a conflict), `live`, and where something was counted `visits`, `value` and
    `counters`. An edge leads from a commit to a parent; its `parent` is 1 for the first. About 100 us a commit.
    """
    import networkx

    graph = networkx.DiGraph()
    for drawn in drawn_commits(reader, progress):
        graph.add_node(drawn.id.hex(), **_attributes(drawn))
        for place, parent in enumerate(drawn.parents, 1):
            graph.add_edge(drawn.id.hex(), parent.hex(), parent=place)
    yield _HEAD
    yield from networkx.generate_graphml(graph, named_key_ids=True)


def _attributes(drawn: DrawnCommit) -> dict[str, str | int | bool]:
    commit, counters = drawn.commit, drawn.counters
    counted = {name: total for name, total in zip(("visits", "value"), counters, strict=False) if _fits(total)}
    return {
        "short": drawn.short,
        "author": drawn.author,
        "time": moment(commit.time),
        "time_us": commit.time,
        "subject": drawn.subject,
        "refs": " ".join(drawn.refs),
        "live": drawn.is_live,
        **counted,
        **({"counters": " ".join(map(str, counters))} if counters else {}),
    }


def _fits(total: int) -> bool:
    # Totals are sums of 64-bit numbers and may be larger; a `long` of GraphML is not.
    return INT64_MIN <= total <= INT64_MAX
