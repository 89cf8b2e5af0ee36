"""What was thrown away: a grow-only set of roots, and a mark on everything that follows from them.

A commit is *live* when it is visible and neither it nor an ancestor was discarded in this plane. Marks follow the graph
in both directions of arrival: a discard marks the descendants that are there, a commit that arrives later takes the
mark of its parents.
"""

from __future__ import annotations

from collections.abc import Iterable

from crdtgraph.growing import GrowingSet
from crdtgraph.ids import CommitId
from crdtgraph.index import Index


class Discards:
    """The discarded roots of one plane, and for each node of its graph a mark: 1 if it is discarded, else 0."""

    __slots__ = ("marks", "roots")

    def __init__(self) -> None:
        self.roots: GrowingSet[CommitId] = GrowingSet()
        self.marks = bytearray()

    def append(self, parents: Iterable[int]) -> bool:
        """Note a new node; True when it is discarded because a parent is. O(parents)."""
        marks = self.marks
        for parent in parents:
            if marks[parent]:
                marks.append(1)
                return True
        marks.append(0)
        return False

    def __contains__(self, node: int) -> bool:
        return self.marks[node] == 1

    def __len__(self) -> int:
        return self.marks.count(1)

    def mark(self, dag: Index, root: int) -> list[int]:
        """Mark a node and all its descendants; returns those that were live until now. O(their number)."""
        marks = self.marks
        if marks[root]:
            return []
        marks[root] = 1
        return dag.descend(root, marks)
