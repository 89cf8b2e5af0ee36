"""Which commit set a path: what the merge policy `latest` goes by.

It is the last commit on the chain of first parents that changes the path. If that is a merge and another of its parents
has the same value, the merge only took it over, and whoever set it there is the one (of several such parents the
first counts). A removal sets a path, too. A value that a policy made (a sum, a merged text) was set by the merge.

Of two values the later is the one whose commit has the later time, then the greater rank (generation, time, id): all of
it stands in commits, so replicas agree. Times are those that the commits were given; a clock that is ahead wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from crdtgraph.contents import Contents
from crdtgraph.ids import CommitId
from crdtgraph.projection import Projection
from crdtgraph.records import Value

Moment = tuple[int, tuple[int, int, CommitId]]
"""When a value was set: the time of its commit and that commit's rank."""


class Head(NamedTuple):
    """A commit that is merged: its node, and the graph that it is in."""

    projection: Projection
    contents: Contents
    node: int


def moments(heads: Iterable[Head], values: Mapping[str, Value]) -> dict[str, Moment]:
    """When one of the heads set a path to this value last, for those paths that any of them ever set to it.

    O(first-parent chains down to where the paths were set), once for each merge that took one over.
    """
    found: dict[str, Moment] = {}
    for head in heads:
        projection, _, _ = head
        for path, (node, value) in _setters(head, set(values)).items():
            if value == values[path]:
                moment = projection.times[node], projection.rank(node)
                found[path] = max(found.get(path, moment), moment)
    return found


def _setters(head: Head, paths: set[str]) -> dict[str, tuple[int, Value]]:
    """The node that set each path, and the value; paths that none set are left out."""
    found: dict[str, tuple[int, Value]] = {}
    waiting = _by_node(_on_chain(head, paths))
    while waiting:
        node, values = waiting.popitem()
        for parent in head.projection.dag.parents(node)[1:]:
            if not values:
                break
            below = _on_chain(head._replace(node=parent), set(values))
            taken = {path: setter for path, setter in below.items() if setter[1] == values[path]}
            for path, (setter, value) in taken.items():
                waiting.setdefault(setter, {})[path] = value
                del values[path]
        found |= {path: (node, value) for path, value in values.items()}
    return found


def _on_chain(head: Head, wanted: set[str]) -> dict[str, tuple[int, Value]]:
    """The last node of the chain of first parents that sets each path, and to what."""
    projection, contents, _ = head
    found: dict[str, tuple[int, Value]] = {}
    at: int | None = head.node
    while at is not None and wanted:
        (changes,) = contents.changes([projection.locations[at]])
        for path, value in changes:
            if path in wanted:
                found[path] = at, value
                wanted.discard(path)
        at = projection.dag.first_parent(at)
    return found


def _by_node(setters: Mapping[str, tuple[int, Value]]) -> dict[int, dict[str, Value]]:
    grouped: dict[int, dict[str, Value]] = {}
    for path, (node, value) in setters.items():
        grouped.setdefault(node, {})[path] = value
    return grouped
