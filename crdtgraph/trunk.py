"""A reachability index: one long path through the graph, and for every node where it joined that path.

The *trunk* is a sequence of nodes, each an ancestor of the next, that follows the longest history. A node x
*landed* at position i when trunk[i] is the first trunk node that has x as an ancestor or is x. Then for every
position i

    x is an ancestor of trunk[i], or trunk[i] itself,  if and only if  landed[x] <= i

so one comparison answers for the whole history below a trunk node, and a search that meets the trunk need not
go on. What remains to be walked is what lies beside the trunk: the few commits of a branch, and not the
thousands of the main line below it. This is one chain of a chain cover (Jagadish, "A compression technique to
materialize transitive closure", 1990), the one that pays; all chains would cost memory quadratic in the
number of branches.

Assumes the arrays of `crdtgraph.index`, which only grow. What always holds:

- The equivalence above, for every position up to the end of `nodes`. A label at or beyond `len(nodes)` (work
  in progress) or `NOT_LANDED` says only that the node is not below the trunk as it stands.
- Any trunk gives the same answers, a bad one only more slowly: without one, a search is what git does.
- Appending to the graph costs nothing here. `advance` catches up when a question is asked, in bounded steps,
  so no question waits for the whole index. Each node costs about 0.5 us once, and 8 bytes; 8 more if it is on
  the trunk.
- When another path becomes clearly longer than the trunk, the trunk moves to it. The work for that is repaid
  by the growth that led to it, as in a doubling array.
"""

from array import array

__all__ = ["NOT_LANDED", "STEPS_MAX", "Trunk"]

# The label of a node that is not below the trunk; larger than any position.
NOT_LANDED = 0xFFFF_FFFF
# How many nodes one call of `advance` may handle: about 1 ms of work.
STEPS_MAX = 2048
# New nodes are looked through this many at a time for the one with the longest history; 16,384 take 0.2 ms.
_SCAN_NODES = 16_384
# The trunk moves when the other path is at least 3/2 as long, counted from the fork. Less makes two branches
# of about equal length take turns; more leaves queries on the longer one unaided for longer.
_MOVE_NUMERATOR, _MOVE_DENOMINATOR = 3, 2
# After a path turned out too short, wait until it may have grown by this share before it is walked again.
_RETRY_DIVISOR = 8


class Trunk:
    """The index over a graph's arrays. Reading is by `nodes` and `landed`, after a call of `advance`.

    Args:
        generations: generation by node.
        edge_starts: number of the first edge that leads to a node, by node; one entry more than nodes.
        edge_parents: the parent's node by edge number.

    Attributes:
        nodes: the trunk, from the oldest node to the latest, by position.
        landed: position by node, or NOT_LANDED. As long as the graph was at the last call of `advance`.
    """

    __slots__ = (
        "_best", "_cursor", "_edge_parents", "_edge_starts", "_frontier", "_generations", "_landing_starts",
        "_landings", "_path", "_retry_above", "_scanned", "_surplus", "landed", "nodes",
    )  # fmt: skip

    def __init__(self, generations: "array[int]", edge_starts: "array[int]", edge_parents: "array[int]") -> None:
        self.nodes = array("I")
        self.landed = array("I")
        self._generations, self._edge_starts, self._edge_parents = generations, edge_starts, edge_parents
        # All labelled nodes in order of labelling, and where each position's begin: a move undoes the last.
        self._landings = array("I")
        self._landing_starts = array("I")
        # Of the nodes scanned so far, the first with the largest generation: where the trunk should lead.
        self._scanned = 0
        self._best = 0
        self._retry_above = 0
        # What is being done, in this order; see `advance`.
        self._cursor = -1  # the node from which the walk from `_best` down to the trunk goes on, or -1
        self._path = array("I")  # the nodes above the trunk that this walk met, the lowest last
        self._surplus = 0  # how many landings at the end a move of the trunk has made void
        self._frontier: list[int] = []  # nodes just labelled whose parents are still to be looked at

    def advance(self, steps: int = STEPS_MAX) -> None:
        """Bring the index nearer to the graph as it is now, and `landed` to its length.

        Args:
            steps: about how many nodes may be handled.
        """
        landed = self.landed
        missing = len(self._generations) - len(landed)
        if missing:
            landed.frombytes(b"\xff" * (landed.itemsize * missing))
        while steps > 0:
            if self._cursor >= 0:
                steps -= self._walk(steps)
            elif self._surplus:
                steps -= self._forget(steps)
            elif self._path:
                steps -= self._land(steps)
            elif self._scanned < len(landed):
                steps -= self._scan()
            else:
                return

    def _scan(self) -> int:
        """Look for a longer history among nodes not looked at yet, and start a walk if there is one."""
        generations = self._generations
        chunk = generations[self._scanned : self._scanned + _SCAN_NODES]
        longest = max(chunk)
        if longest > generations[self._best] or not self._scanned:
            self._best = self._scanned + chunk.index(longest)
        self._scanned += len(chunk)
        if generations[self._best] > self._retry_above:
            self._cursor = self._best
        return 1 + len(chunk) // 16

    def _walk(self, steps: int) -> int:
        """Follow the longest history from `_best` down to the trunk, then decide where the trunk goes."""
        generations, starts, parents = self._generations, self._edge_starts, self._edge_parents
        nodes, landed, path = self.nodes, self.landed, self._path
        size, node, fork = len(nodes), self._cursor, -1
        for _ in range(steps):
            position = landed[node]
            if position < size and nodes[position] == node:
                fork = position
                break
            path.append(node)
            first, end = starts[node], starts[node + 1]
            if first == end:
                break
            node = parents[first]
            for edge in range(first + 1, end):
                if generations[parents[edge]] > generations[node]:
                    node = parents[edge]
        else:
            self._cursor = node
            return steps
        self._cursor = -1
        self._turn_to(fork)
        return 1 + len(path)

    def _turn_to(self, fork: int) -> None:
        """Let the trunk go on with `_path` after position `fork` (-1: from a root), if that is worth it."""
        generations, nodes, path = self._generations, self.nodes, self._path
        base = generations[nodes[fork]] if fork >= 0 else 0
        old = generations[nodes[-1]] - base if nodes else 0
        new = generations[self._best] - base
        self._retry_above = generations[self._best]
        if new * _MOVE_DENOMINATOR < old * _MOVE_NUMERATOR:
            self._retry_above += len(path) // _RETRY_DIVISOR
            del path[:]
        elif fork + 1 < len(nodes):
            self._surplus = len(self._landings) - self._landing_starts[fork + 1]
            del nodes[fork + 1 :]
            del self._landing_starts[fork + 1 :]

    def _forget(self, steps: int) -> int:
        """Take back labels that a move of the trunk has made void."""
        landings, landed = self._landings, self.landed
        count = min(steps, self._surplus)
        for node in landings[-count:]:
            landed[node] = NOT_LANDED
        del landings[-count:]
        self._surplus -= count
        return count

    def _land(self, steps: int) -> int:
        """Label what is newly below the next node of `_path`, which joins the trunk when all that is done."""
        starts, parents = self._edge_starts, self._edge_parents
        nodes, landed, landings = self.nodes, self.landed, self._landings
        frontier, path = self._frontier, self._path
        begun = len(landings)
        while path:
            position = len(nodes)
            if not frontier:
                self._landing_starts.append(len(landings))
                landed[path[-1]] = position
                landings.append(path[-1])
                frontier.append(path[-1])
            while frontier:
                if len(landings) - begun >= steps:
                    return len(landings) - begun
                node = frontier.pop()
                for edge in range(starts[node], starts[node + 1]):
                    parent = parents[edge]
                    if landed[parent] == NOT_LANDED:
                        landed[parent] = position
                        landings.append(parent)
                        frontier.append(parent)
            nodes.append(path.pop())
        return len(landings) - begun
