"""The shape of the graph: parents, children and generations in a handful of integer arrays.

Nodes are dense integers. The parents are in compressed sparse rows, as in git's commit-graph file
(https://git-scm.com/docs/gitformat-commit-graph), and the children in a linked list per node, which unlike rows can
grow. That is 20 bytes for a commit with one parent, and nothing that the cyclic garbage collector has to visit: with
objects for nodes, one full collection of a large graph stops the program for a good part of a second.

All that crdtgraph does itself goes by this index. `crdtgraph.dag` shows it to networkx, for programs that ask for that.

Assumes that parents are appended before their children, so nodes are 0, 1, 2... in order of insertion.
What always holds:

- An edge points from parent to child and goes from a smaller number to a larger one.
- `generation(n)` is 1 for a root and otherwise one more than the largest among the parents: git's topological
  level (Stolee, "Supercharging the Git Commit Graph III: Generations and Graph Algorithms", 2018). It depends
  on the ancestors alone, so unlike a node's number it is the same on every replica.
- Only `append` changes it.
"""

from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain, islice, repeat
from operator import sub

from crdtgraph.errors import LocalError
from crdtgraph.trunk import Trunk

__all__ = ["Index"]


class Index:
    """A directed acyclic graph of commits, by node number.

    Starts empty. Costs 20 bytes for a node with one parent, 8 more for each further parent, and 8 to 16 more a node
    once ancestry was asked for (see `crdtgraph.trunk`). Methods do not check their argument, which must be a node of
    the graph.

    Attributes:
        generations: generation by node. This array and the next two are for loops that cannot afford a call a
            node; nobody but `append` may write to them.
        edge_starts: the edges that lead to node n are numbered edge_starts[n] up to (not including)
            edge_starts[n+1].
        edge_parents: the parent's node by edge number; the parents of a node stand in the commit's order.
        trunk: the reachability index over these arrays, which catches up whenever it is asked to.
    """

    __slots__ = (
        "_heads", "_heads_seen", "_last_children", "_previous_children", "_roots", "edge_parents", "edge_starts",
        "generations", "trunk",
    )  # fmt: skip

    def __init__(self) -> None:
        # 32 bits a number: 4 billion nodes, whose ids alone would take some 300 GB. Beyond, OverflowError.
        self.generations = array("I")
        self.edge_starts = array("I", [0])
        self.edge_parents = array("I")
        # The children of a node form a linked list from the latest to the earliest. Its head stands here; the
        # entry after child c is kept with the edge from the node to c. Node 0 is a root and nobody's child: 0
        # ends a list.
        self._last_children = array("I")
        self._previous_children = array("I")
        self._roots = array("I")
        # What `heads` found among the first `_heads_seen` nodes. Some of these may have got children since.
        self._heads = array("I")
        self._heads_seen = 0
        self.trunk = Trunk(self.generations, self.edge_starts, self.edge_parents)

    def __len__(self) -> int:
        return len(self.generations)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.generations)))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.edge_starts, self.edge_parents)

    def previous_children(self, start: int, end: int) -> "array[int]":
        """By edge, from number `start` up to `end`: the child before this one, of the same parent. Never changes."""
        return self._previous_children[start:end]

    def restore(
        self,
        generations: "array[int]",
        edge_starts: "array[int]",
        edge_parents: "array[int]",
        previous_children: "array[int]",
    ) -> None:
        """Become the index that had these; only for one that is empty. The rest follows, about 0.1 us a node."""
        # In place, as others hold them, too.
        self.generations[:], self.edge_starts[:], self.edge_parents[:] = generations, edge_starts, edge_parents
        self._previous_children[:] = previous_children
        last = self._last_children
        last.frombytes(bytes(last.itemsize * len(generations)))
        counts = map(sub, islice(edge_starts, 1, None), edge_starts)
        children = chain.from_iterable(map(repeat, range(len(generations)), counts))
        for parent, child in zip(edge_parents, children, strict=True):
            last[parent] = child
        with suppress(ValueError):
            root = -1
            while True:
                root = generations.index(1, root + 1)
                self._roots.append(root)

    def append(self, parents: Sequence[int]) -> int:
        """Add a node below the given parents.

        Args:
            parents: nodes of the graph in the commit's order; empty for a root. One that is listed twice
                (real git histories have such commits) counts once, where it stands first.

        Returns:
            The new node, which is the number of nodes before the call. Takes about 0.4 us for one parent.

        Raises:
            LocalError: a parent is not in the graph, which stays as it was.
        """
        generations, edge_parents, last_children = self.generations, self.edge_parents, self._last_children
        node = len(generations)
        if len(parents) == 1:
            parent = parents[0]
            if not -1 < parent < node:
                raise _no_such_parent(parent, node)
            generations.append(generations[parent] + 1)
            edge_parents.append(parent)
            self._previous_children.append(last_children[parent])
            last_children[parent] = node
        elif parents:
            if len(set(parents)) < len(parents):
                return self.append(list(dict.fromkeys(parents)))
            if not -1 < min(parents) <= max(parents) < node:
                raise _no_such_parent(next(parent for parent in parents if not -1 < parent < node), node)
            generations.append(1 + max([generations[parent] for parent in parents]))
            for parent in parents:
                edge_parents.append(parent)
                self._previous_children.append(last_children[parent])
                last_children[parent] = node
        else:
            generations.append(1)
            self._roots.append(node)
        last_children.append(0)
        self.edge_starts.append(len(edge_parents))
        return node

    def parents(self, node: int) -> tuple[int, ...]:
        """Return the parents of a node in the commit's order."""
        return tuple(self.edge_parents[self.edge_starts[node] : self.edge_starts[node + 1]])

    def first_parent(self, node: int) -> int | None:
        """Return the first parent, or None for a root."""
        edge = self.edge_starts[node]
        return self.edge_parents[edge] if edge < self.edge_starts[node + 1] else None

    def children(self, node: int) -> tuple[int, ...]:
        """Return the children of a node in order of insertion. Takes time proportional to their number."""
        child = self._last_children[node]
        if not child:
            return ()
        starts, parents, previous = self.edge_starts, self.edge_parents, self._previous_children
        children = []
        while child:
            children.append(child)
            edge = starts[child]
            while parents[edge] != node:
                edge += 1
            child = previous[edge]
        children.reverse()
        return tuple(children)

    def descend(self, root: int, marks: bytearray) -> list[int]:
        """Return a node and those of its descendants that `marks` does not have at 1, and mark them.

        Does not go on below a marked node. About 0.1 us for each node returned, as nobody else's call is in between.
        """
        last, previous = self._last_children, self._previous_children
        starts, parents = self.edge_starts, self.edge_parents
        found = [root]
        for node in found:
            child = last[node]
            while child:
                edge = starts[child]
                if not marks[child]:
                    marks[child] = 1
                    found.append(child)
                while parents[edge] != node:
                    edge += 1
                child = previous[edge]
        return found

    def generation(self, node: int) -> int:
        """Return the generation of a node: 1 for a root, otherwise one more than its parents' largest."""
        return self.generations[node]

    def roots(self) -> tuple[int, ...]:
        """Return the nodes without parents, ascending. Takes time proportional to their number."""
        return tuple(self._roots)

    def heads(self) -> tuple[int, ...]:
        """Return the nodes without children, ascending.

        Incremental: takes time proportional to the heads of the last call plus the nodes added since.
        """
        last_children, seen = self._last_children, self._heads_seen
        heads = array("I", [node for node in self._heads if not last_children[node]])
        # `index` looks for the next 0 several times faster than a loop of ours would.
        with suppress(ValueError):
            while True:
                seen = last_children.index(0, seen) + 1
                heads.append(seen - 1)
        self._heads, self._heads_seen = heads, len(last_children)
        return tuple(heads)


def _no_such_parent(parent: int, nodes: int) -> LocalError:
    return LocalError(f"parent {parent} is not a node of this graph, which has {nodes}", hint="append it first")


def _rebuild(edge_starts: "array[int]", edge_parents: "array[int]") -> Index:
    """Make an index out of what `Index.__reduce__` put into a pickle."""
    index = Index()
    for node in range(len(edge_starts) - 1):
        index.append(edge_parents[edge_starts[node] : edge_starts[node + 1]])
    return index
