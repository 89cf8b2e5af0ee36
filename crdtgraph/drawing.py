"""In which order a history is drawn, and which lines join what is shown.

The order is that of git's `--topo-order`: children before parents, and one line of history to its end before the next,
so that a drawing stays narrow. A commit is ready once all shown commits that have it as a parent stand above it; of
those that are ready the one that became so last comes next (Kahn's algorithm with a stack), so a merged branch stands
right below its merge. Where several lines begin, the one with the latest head comes first (see `crdtgraph.dates`). All
of it depends on the commits alone: every replica draws alike.

Of a selection that leaves commits out, a line leads to the nearest shown ancestors: directly to a parent, *indirectly*
through commits that are not shown; a commit with parents of which no ancestor is shown is *cut off*.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Set
from typing import NamedTuple

from crdtgraph.dates import newest_first_key
from crdtgraph.projection import Projection


class Drawn(NamedTuple):
    """A commit to draw, with what it is joined to.

    `direct` are its parents as far as they are shown, `indirect` the nearest shown ancestors beyond other parents, and
    `is_cut_off` says that there are parents of which no ancestor is shown.
    """

    node: int
    direct: tuple[int, ...]
    indirect: tuple[int, ...] = ()
    is_cut_off: bool = False


def drawing_order(projection: Projection, selected: Set[int] | None = None) -> Iterator[Drawn]:
    """All commits, or the selected ones, in the order of a drawing, with what each is joined to.

    The first one of all comes after one pass over the edges, about 30 ns each; of a selection after O(selected), and
    after a walk over what lies between its commits.
    """
    return _draw_all(projection) if selected is None else _draw_selected(projection, selected)


def _draw_all(projection: Projection) -> Iterator[Drawn]:
    dag = projection.dag
    starts, edges = dag.edge_starts, dag.edge_parents
    missing = array("I", bytes(4 * len(dag)))
    for parent in edges:
        missing[parent] += 1
    stack = sorted(dag.heads(), key=newest_first_key(projection), reverse=True)
    while stack:
        node = stack.pop()
        parents = tuple(edges[starts[node] : starts[node + 1]])
        for parent in parents:
            missing[parent] -= 1
            if not missing[parent]:
                stack.append(parent)
        yield Drawn(node, parents)


def _draw_selected(projection: Projection, selected: Set[int]) -> Iterator[Drawn]:
    joined = _joined(projection, selected)
    missing = dict.fromkeys(selected, 0)
    for each in joined.values():
        for below in (*each.direct, *each.indirect):
            missing[below] += 1
    heads = [node for node, count in missing.items() if not count]
    stack = sorted(heads, key=newest_first_key(projection), reverse=True)
    while stack:
        drawn = joined[stack.pop()]
        for below in (*drawn.direct, *drawn.indirect):
            missing[below] -= 1
            if not missing[below]:
                stack.append(below)
        yield drawn


def _joined(projection: Projection, selected: Set[int]) -> dict[int, Drawn]:
    """What each selected commit is joined to."""
    dag = projection.dag
    nearest: dict[int, frozenset[int]] = {}
    floor = min((dag.generation(node) for node in selected), default=0)
    found: dict[int, Drawn] = {}
    for node in selected:
        direct = []
        beyond: dict[int, None] = {}
        cut_off = False
        for parent in dag.parents(node):
            if parent in selected:
                direct.append(parent)
                continue
            shown = _nearest(projection, parent, selected, floor, nearest)
            cut_off = cut_off or not shown
            beyond.update(dict.fromkeys(sorted(shown, key=projection.rank, reverse=True)))
        indirect = tuple(each for each in beyond if each not in direct)
        found[node] = Drawn(node, tuple(direct), indirect, cut_off)
    return found


def _nearest(
    projection: Projection, start: int, selected: Set[int], floor: int, known: dict[int, frozenset[int]]
) -> frozenset[int]:
    """The selected ancestors of a commit that is not shown which a path leads to without passing another one."""
    dag = projection.dag
    stack = [start]
    while stack:
        node = stack[-1]
        if node in known:
            stack.pop()
            continue
        # Nothing at or below the lowest selected commit's generation has a selected ancestor.
        parents = dag.parents(node) if dag.generation(node) > floor else ()
        waiting = [parent for parent in parents if parent not in selected and parent not in known]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        sets = [frozenset((parent,)) if parent in selected else known[parent] for parent in parents]
        # Most commits have one parent and share its set.
        known[node] = sets[0] if len(sets) == 1 else frozenset().union(*sets)
    return known[start]
