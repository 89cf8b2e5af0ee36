"""The graph as networkx sees it: a real `networkx.DiGraph` that keeps nothing of its own.

A plain DiGraph keeps three dicts and an attribute dict per node: 510 bytes and several objects. But networkx reads a
graph only through the mappings `_node`, `_succ` and `_pred`, and here these are views of the arrays of an index
(`crdtgraph.index`), so that every algorithm runs on those. An edge points from parent to child: `networkx.ancestors`
are a commit's ancestors, and `topological_sort` puts parents first.

Nothing else in crdtgraph needs networkx, and importing it takes longer than most commands: only who asks for
`graph.dag` imports this module. What always holds:

- Nobody can change the graph through it. It follows the index as that grows.
- What networkx derives from it (copies, sub-graphs, reversals, relabelled graphs) are ordinary DiGraphs: copies may be
  changed, views are read-only and follow the graph as it grows.
"""

from collections.abc import Iterator, Mapping
from typing import NoReturn, TypeVar

import networkx

from crdtgraph.errors import LocalError
from crdtgraph.index import Index

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
    """A directed acyclic graph of commits, by node number; read-only.

    Every method of `networkx.DiGraph` that reads is available; every one that writes raises LocalError. The methods
    below are the fast way in: they skip the views. They do not check their argument, which must be a node of the graph.

    Attributes:
        index: the arrays that it shows.
        frozen: True, for `networkx.is_frozen`.
    """

    frozen = True
    add_node = add_nodes_from = remove_node = remove_nodes_from = _refuse
    add_edge = add_edges_from = add_weighted_edges_from = remove_edge = remove_edges_from = _refuse
    update = clear = clear_edges = _refuse

    def __init__(self, index: Index) -> None:
        super().__init__()
        self.index = index
        # The views hold the index, not the graph: with no reference cycle, a dropped graph is freed at once.
        self._node = _Attributes(index)
        self._adj = _Children(index)
        self._pred = _Parents(index)
        # networkx may keep a converted copy of a graph for its backends, which an append would leave stale.
        self.__networkx_cache__ = None
        self.graph = _NO_ATTRIBUTES

    @property  # type: ignore[misc]  # read-only, unlike that of object
    def __class__(self) -> type[networkx.DiGraph]:
        """The class of what networkx derives from this graph: it calls `G.__class__()` for an empty one."""
        derived: type[networkx.DiGraph] = networkx.DiGraph
        return derived

    def __reduce__(self) -> tuple[object, ...]:
        return Dag, (self.index,)

    def __copy__(self) -> networkx.DiGraph:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, object]) -> networkx.DiGraph:
        return self.to_directed()

    def parents(self, node: int) -> tuple[int, ...]:
        """Return the parents of a node in the commit's order."""
        return self.index.parents(node)

    def first_parent(self, node: int) -> int | None:
        """Return the first parent, or None for a root."""
        return self.index.first_parent(node)

    def children(self, node: int) -> tuple[int, ...]:
        """Return the children of a node in order of insertion. Takes time proportional to their number."""
        return self.index.children(node)

    def generation(self, node: int) -> int:
        """Return the generation of a node: 1 for a root, otherwise one more than its parents' largest."""
        return self.index.generation(node)

    def roots(self) -> tuple[int, ...]:
        """Return the nodes without parents, ascending. Takes time proportional to their number."""
        return self.index.roots()

    def heads(self) -> tuple[int, ...]:
        """Return the nodes without children, ascending, incrementally (see `Index.heads`)."""
        return self.index.heads()

    def number_of_nodes(self) -> int:
        """Return how many nodes there are, in constant time (networkx's `order` and `len` do the same)."""
        return len(self.index)

    def number_of_edges(self, u: int | None = None, v: int | None = None) -> int:
        """Return how many edges there are, in constant time, or how many lead from u to v (0 or 1)."""
        return len(self.index.edge_parents) if u is None or v is None else int(self.has_edge(u, v))

    def has_edge(self, u: int, v: int) -> bool:
        """Tell whether u is a parent of v. Looks at v's parents only, however many children u has."""
        return v in self._node and u in self.index.parents(v)

    has_successor = has_edge

    def has_predecessor(self, u: int, v: int) -> bool:
        """Tell whether v is a parent of u."""
        return self.has_edge(v, u)


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
    """A mapping whose keys are the nodes of an index, in place of the dict that networkx would keep."""

    __slots__ = ("_index",)

    def __init__(self, index: Index) -> None:
        self._index = index

    def __contains__(self, node: object) -> bool:
        if isinstance(node, int):
            return 0 <= node < len(self._index)
        # Nothing is in an empty dict, but what is not hashable is a TypeError: that is how networkx tells a list of
        # nodes from a node.
        return node in _NO_ATTRIBUTES

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self._index)))

    def __len__(self) -> int:
        return len(self._index)

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
        return dict.fromkeys(self._index.parents(node), _NO_ATTRIBUTES)


class _Children(_View[_Neighbours]):
    """`_succ` and `_adj`: node -> {child: attributes of the edge}. The inner dict is made at each look-up."""

    __slots__ = ()

    def __getitem__(self, node: int) -> _Neighbours:
        if node not in self:
            raise KeyError(node)
        return dict.fromkeys(self._index.children(node), _NO_ATTRIBUTES)
