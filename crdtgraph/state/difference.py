"""What changed between two states, without making either of them.

Two commits share the state at the commit where their chains of first parents meet. So only paths that one of the chains
sets above that place can differ, and each of them has the value that its chain set last, or the one that it had below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from crdtgraph.contents import Contents
from crdtgraph.projection import Projection
from crdtgraph.records import Value
from crdtgraph.state.states import Place, States


@dataclass(frozen=True, slots=True)
class PathChange:
    """A path that is not the same in two states; None where it does not exist."""

    path: str
    before: Value
    after: Value


def difference(states: States, before: Place | None, after: Place) -> list[PathChange]:
    """What turns the state at `before` (None: the empty state) into that at `after`, ordered by path.

    While the two are close: O(what the commits above the place where they meet change), and below it as far as it takes
    to find what these paths were. Farther apart what the store has of the two states is compared, page by page.
    """
    old: Mapping[str, Value]
    new: Mapping[str, Value]
    apart = states.apart(before, after) if before is not None else None
    if apart is not None:
        old, new = states.last_set(apart.left), states.last_set(apart.right)
        # A path that both chains set needs no look below; the value of any other is the same on the side that left it.
        below = states.values(apart.meet, sorted(old.keys() ^ new.keys()))
        old, new = {**below, **old}, {**below, **new}
        paths = old.keys() | new.keys()
    else:
        whole = states.at(*after)
        earlier = None if before is None else states.at(*before)
        old, new = ({} if earlier is None else earlier), whole
        paths = set(whole) if earlier is None else states.far_apart(earlier, whole)
    changes = []
    for path in sorted(paths):
        was, now = old.get(path), new.get(path)
        if was != now:
            changes.append(PathChange(path, was, now))
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
