"""What changed between two states, without making either of them.

Two commits share the state at the commit where their chains of first parents meet. So only paths that one of the chains
sets above that place can differ, and each of them has the value that its chain set last, or the one that it had below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crdtgraph.contents import Contents
from crdtgraph.projection import Projection
from crdtgraph.records import Value


@dataclass(frozen=True, slots=True)
class PathChange:
    """A path that is not the same in two states; None where it does not exist."""

    path: str
    before: Value
    after: Value


def difference(projection: Projection, contents: Contents, before: int | None, after: int) -> list[PathChange]:
    """What turns the state at node `before` (None: the empty state) into that at `after`, ordered by path.

    Reads the commits above the place where the chains of first parents meet, and below it as many as it takes to find
    what each path was set to before, at most to the root.
    """
    above_before, above_after, meet = chains_apart(projection, before, after)
    first = last_set(projection, contents, above_before)
    second = last_set(projection, contents, above_after)
    # A path that both chains set needs no look below; the value of any other is the same on the side that left it.
    wanted = first.keys() ^ second.keys()
    below = values_at(projection, contents, meet, set(wanted))
    changes = []
    for path in sorted(first.keys() | second.keys()):
        old = first[path] if path in first else below.get(path)
        new = second[path] if path in second else below.get(path)
        if old != new:
            changes.append(PathChange(path, old, new))
    return changes


def chains_apart(projection: Projection, before: int | None, after: int) -> tuple[list[int], list[int], int | None]:
    """Both chains down to where they meet, the latest first, and the node where they do."""
    dag = projection.dag
    left: list[int] = []
    right: list[int] = []
    at: int | None = before
    other: int | None = after
    while at != other:
        if other is None or (at is not None and dag.generation(at) >= dag.generation(other)):
            assert at is not None
            left.append(at)
            at = dag.first_parent(at)
        else:
            right.append(other)
            other = dag.first_parent(other)
    return left, right, at


def last_set(projection: Projection, contents: Contents, chain: list[int]) -> dict[str, Value]:
    """What each path that the chain sets was set to last."""
    found: dict[str, Value] = {}
    for changes in contents.changes(projection.locations[node] for node in chain):
        for path, value in changes:
            found.setdefault(path, value)
    return found


def values_at(projection: Projection, contents: Contents, node: int | None, wanted: set[str]) -> dict[str, Value]:
    """The values of some paths in the state at a node; those that it lacks are left out."""

    def locations() -> Iterator[int]:
        at = node
        while at is not None and wanted:
            yield projection.locations[at]
            at = projection.dag.first_parent(at)

    found: dict[str, Value] = {}
    for changes in contents.changes(locations()):
        for path, value in changes:
            if path in wanted:
                found[path] = value
                wanted.discard(path)
    return found
