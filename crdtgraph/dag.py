"""The shape of the graph: a real `networkx.DiGraph` whose storage is a handful of integer arrays.

A plain DiGraph keeps three dicts and an attribute dict per node: 510 bytes and several objects that the
cyclic garbage collector has to visit, so that one full collection of a large graph stops the program for a
good part of a second. Here nodes are dense integers and the adjacency is in flat arrays: compressed sparse
rows for the parents, as in git's commit-graph file (https://git-scm.com/docs/gitformat-commit-graph), and a
linked list per node for the children, which unlike rows can grow. That is 20 bytes for a commit with one
parent, nothing for the collector to visit, and networkx still runs every algorithm on it: it reads a graph
only through the mappings `_node`, `_succ` and `_pred`, which here are views of the arrays.

Assumes that parents are appended before their children, so nodes are 0, 1, 2... in order of insertion.
What always holds:

- An edge points from parent to child: `networkx.ancestors` are a commit's ancestors, `topological_sort` puts
  parents first, and every edge goes from a smaller number to a larger one.
- `generation(n)` is 1 for a root and otherwise one more than the largest among the parents: git's topological
  level (Stolee, "Supercharging the Git Commit Graph III: Generations and Graph Algorithms", 2018). It depends
  on the ancestors alone, so unlike a node's number it is the same on every replica.
- Only `append` changes the graph. What networkx derives from it (copies, sub-graphs, reversals, relabelled
  graphs) are ordinary DiGraphs: copies may be changed, views are read-only and follow the graph as it grows.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn, TypeVar

import networkx

from crdtgraph.errors import LocalError
from crdtgraph.trunk import Trunk

__all__ = ["Dag"]


def _refuse(*_: object, **__: object) -> NoReturn:
    """Refuse to change the graph: this stands in for every method that would.

    Raises:
        LocalError: always.
    """
    raise LocalError(
        "the commit graph is read-only",
        hint="write with Graph.commit; to experiment, change a copy: graph.dag.copy()",
    )


class Dag(networkx.DiGraph):  # type: ignore[misc]  # networkx has no annotations
    """A directed acyclic graph of commits, by node number; read-only for everyone but its owner.

    Starts empty. Costs 20 bytes for a node with one parent, 8 more for each further parent, and 8 to 16 more a node
    once ancestry was asked for (see `crdtgraph.trunk`). Every method of `networkx.DiGraph` that reads is
    available; every one that writes raises LocalError. The methods below are the fast way in: they skip the
    views. They do not check their argument, which must be a node of the graph.

    Attributes:
        generations: generation by node. This array and the next two are for loops that cannot afford a call a
            node; nobody but `append` may write to them.
        edge_starts: the edges that lead to node n are numbered edge_starts[n] up to (not including)
            edge_starts[n+1].
        edge_parents: the parent's node by edge number; the parents of a node stand in the commit's order.
        trunk: the reachability index over these arrays, which catches up whenever it is asked to.
        frozen: True, for `networkx.is_frozen`.
    """

    frozen = True
    add_node = add_nodes_from = remove_node = remove_nodes_from = _refuse
    add_edge = add_edges_from = add_weighted_edges_from = remove_edge = remove_edges_from = _refuse
    update = clear = clear_edges = _refuse

    def __init__(self) -> None:
        super().__init__()
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
        # The views hold the arrays, not the graph: with no reference cycle, a dropped graph is freed at once.
        self._children = _Children(self)
        self._node = _Attributes(self)
        self._adj = self._children
        self._pred = _Parents(self)
        # networkx may keep a converted copy of a graph for its backends, which an append would leave stale.
        self.__networkx_cache__ = None
        self.graph = _NO_ATTRIBUTES

    @property  # type: ignore[misc]  # read-only, unlike that of object
    def __class__(self) -> type[networkx.DiGraph]:
        """The class of what networkx derives from this graph: it calls `G.__class__()` for an empty one."""
        derived: type[networkx.DiGraph] = networkx.DiGraph
        return derived

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.edge_starts, self.edge_parents)

    def __copy__(self) -> networkx.DiGraph:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, object]) -> networkx.DiGraph:
        return self.to_directed()

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
        return tuple(self._children.of(node))

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

    def number_of_nodes(self) -> int:
        """Return how many nodes there are, in constant time (networkx's `order` and `len` do the same)."""
        return len(self.generations)

    def number_of_edges(self, u: int | None = None, v: int | None = None) -> int:
        """Return how many edges there are, in constant time, or how many lead from u to v (0 or 1)."""
        return len(self.edge_parents) if u is None or v is None else int(self.has_edge(u, v))

    def has_edge(self, u: int, v: int) -> bool:
        """Tell whether u is a parent of v. Looks at v's parents only, however many children u has."""
        return v in self._node and u in self.parents(v)

    has_successor = has_edge

    def has_predecessor(self, u: int, v: int) -> bool:
        """Tell whether v is a parent of u."""
        return self.has_edge(v, u)


def _no_such_parent(parent: int, nodes: int) -> LocalError:
    return LocalError(f"parent {parent} is not a node of this graph, which has {nodes}", hint="append it first")


def _rebuild(edge_starts: "array[int]", edge_parents: "array[int]") -> Dag:
    """Make a Dag out of what `Dag.__reduce__` put into a pickle."""
    dag = Dag()
    for node in range(len(edge_starts) - 1):
        dag.append(edge_parents[edge_starts[node] : edge_starts[node + 1]])
    return dag


class _NoAttributes(dict[str, object]):
    """The attributes of every node and every edge: empty, and shared by all. Copies of it are plain dicts."""

    __slots__ = ()
    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return dict, ()


_NO_ATTRIBUTES = _NoAttributes()
_Neighbours = dict[int, _NoAttributes]
_Value = TypeVar("_Value")


class _View(Mapping[int, _Value]):
    """A mapping whose keys are the nodes of a Dag, in place of the dict that networkx would keep."""

    __slots__ = ("_edge_parents", "_edge_starts", "_last_children", "_nodes", "_previous_children")

    def __init__(self, dag: Dag) -> None:
        self._nodes = dag.generations
        self._edge_starts = dag.edge_starts
        self._edge_parents = dag.edge_parents
        self._last_children = dag._last_children
        self._previous_children = dag._previous_children

    def __contains__(self, node: object) -> bool:
        if isinstance(node, int):
            return 0 <= node < len(self._nodes)
        # Nothing is in an empty dict, but what is not hashable is a TypeError: that is how networkx tells a list of
        # nodes from a node.
        return node in _NO_ATTRIBUTES

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._nodes)))

    def __len__(self) -> int:
        return len(self._nodes)

    def __repr__(self) -> str:
        return repr(dict(self))


class _Attributes(_View[_NoAttributes]):
    """`_node`: node -> its attributes."""

    __slots__ = ()

    def __getitem__(self, node: int) -> _NoAttributes:
        if node not in self:
            raise KeyError(node)
        return _NO_ATTRIBUTES


class _Parents(_View[_Neighbours]):
    """`_pred`: node -> {parent: attributes of the edge}. The inner dict is made at each look-up."""

    __slots__ = ()

    def __getitem__(self, node: int) -> _Neighbours:
        if node not in self:
            raise KeyError(node)
        starts = self._edge_starts
        return dict.fromkeys(self._edge_parents[starts[node] : starts[node + 1]], _NO_ATTRIBUTES)


class _Children(_View[_Neighbours]):
    """`_succ` and `_adj`: node -> {child: attributes of the edge}. The inner dict is made at each look-up."""

    __slots__ = ()

    def __getitem__(self, node: int) -> _Neighbours:
        if node not in self:
            raise KeyError(node)
        return dict.fromkeys(self.of(node), _NO_ATTRIBUTES)

    def of(self, node: int) -> list[int]:
        """Return the children of a node, which must be one of the graph, in order of insertion."""
        child = self._last_children[node]
        if not child:
            return []
        starts, parents, previous = self._edge_starts, self._edge_parents, self._previous_children
        children = []
        while child:
            children.append(child)
            edge = starts[child]
            while parents[edge] != node:
                edge += 1
            child = previous[edge]
        children.reverse()
        return children
