"""Questions about ancestry: who descends from whom, where two histories last met, what only one of them has.

The merge bases come from git's `paint_down_to_common` (commit-reach.c): paint the ancestors of either side in
its own colour, visiting descendants before ancestors; what gets both colours is common, and what lies below
something common is dominated by it. Generation numbers bound the search for one ancestor (Stolee,
"Supercharging the Git Commit Graph III", 2018). Both walk thousands of commits when the two ends are far
apart, so here a search also stops at the trunk (`crdtgraph.trunk`): below a trunk node, one comparison
answers what git has to walk for.

Nodes are visited by descending generation. Descending number would be a reverse topological order too, and a
fifth faster, but it is the order of arrival: after a partition heals, one side's history has all the high
numbers, and a search would go through all of it before it looks at what matters (measured: 8 ms instead of 8 us).

"Ancestors" and "descendants" exclude the node itself, as in networkx; `is_ancestor` holds for a node and
itself, as in `git merge-base --is-ancestor`. Functions take any nodes of the graph and do not check them.
They return sets or ascending lists of node numbers, whose order means nothing outside this replica:
`topological` gives one that does.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush

from crdtgraph.index import Index
from crdtgraph.steps import Stepwise, run

__all__ = [
    "ancestors", "between", "descendants", "independent", "is_ancestor", "merge_bases", "only", "only_steps",
    "topological",
]  # fmt: skip

# The colours of `merge_bases`: on the first side, on the second, on both, below something that is on both. A
# node that gets two of them has their bitwise or.
_FIRST, _SECOND, _COMMON, _DOMINATED = 1, 2, 3, 7
# An entry of a search's queue is one integer, generation and node: it compares faster than a tuple and is
# invisible to the garbage collector. Entries are negative because a heap gives its smallest first.
_NODE_BITS = 32
_NODE_MASK = 2**_NODE_BITS - 1
# Nodes visited in one step of a search that can be cut into steps: some 4 ms.
_VISITS_A_STEP = 4_096


def is_ancestor(dag: Index, ancestor: int, descendant: int) -> bool:
    """Tell whether one node is an ancestor of another, or the same node.

    Takes constant time for a parent and its child, and otherwise time proportional to what `descendant` has
    beside the trunk and above the generation of `ancestor`.
    """
    if ancestor >= descendant:
        return ancestor == descendant
    generations, starts, parents = dag.generations, dag.edge_starts, dag.edge_parents
    floor = generations[ancestor]
    if generations[descendant] <= floor:
        return False
    if ancestor in parents[starts[descendant] : starts[descendant + 1]]:
        return True
    dag.trunk.advance()
    trunk, landed = dag.trunk.nodes, dag.trunk.landed
    size, sought = len(trunk), landed[ancestor]
    seen: set[int] = set()
    stack = [descendant]
    while stack:
        node = stack.pop()
        # Down the line of first parents; the others wait on the stack. A root never gets past the floor.
        while node != ancestor:
            if generations[node] <= floor or node in seen:
                break
            seen.add(node)
            position = landed[node]
            if position < size:
                if position < sought:
                    break  # all of the node's ancestors landed before the one sought
                if trunk[position] == node:
                    return True
            edge, end = starts[node], starts[node + 1]
            node = parents[edge]
            if end - edge > 1:
                stack.extend(parents[edge + 1 : end])
        else:
            return True
    return False


def ancestors(dag: Index, node: int) -> set[int]:
    """Return the ancestors of a node, without the node. Takes time proportional to the edges among them."""
    starts, parents = dag.edge_starts, dag.edge_parents
    found: set[int] = set()
    stack = [node]
    while stack:
        below = stack.pop()
        for parent in parents[starts[below] : starts[below + 1]]:
            if parent not in found:
                found.add(parent)
                stack.append(parent)
    return found


def descendants(dag: Index, node: int) -> set[int]:
    """Return the descendants of a node, without the node. Takes time proportional to the edges among them."""
    children = dag.children
    found: set[int] = set()
    stack = [node]
    while stack:
        for child in children(stack.pop()):
            if child not in found:
                found.add(child)
                stack.append(child)
    return found


def merge_bases(dag: Index, first: Iterable[int], second: Iterable[int]) -> list[int]:
    """Return all best common ancestors of two sides, as `git merge-base --all` does for one node a side.

    A common ancestor is an ancestor of, or is, a node of `first` and also of `second`. It is a best one if no
    other common ancestor has it as an ancestor. Criss-cross merges have several, unrelated roots none.

    Args:
        dag: the graph.
        first: nodes of the one side; several count as if they were merged.
        second: nodes of the other side.

    Returns:
        The best common ancestors, ascending by node number.
    """
    generations, starts, parents = dag.generations, dag.edge_starts, dag.edge_parents
    dag.trunk.advance()
    trunk, landed = dag.trunk.nodes, dag.trunk.landed
    size = len(trunk)
    colours = dict.fromkeys(first, _FIRST)
    for node in second:
        colours[node] = colours.get(node, 0) | _SECOND
    queue = _queue(dag, colours)
    undecided = len(queue)  # how many in the queue are not known to be dominated
    # How far up the trunk each colour is known to reach: a node that landed up to there has that colour too.
    reach = [-1] * (_DOMINATED + 1)
    bases = []
    while undecided:
        node = -heappop(queue) & _NODE_MASK
        colour = colours.pop(node)
        undecided -= colour != _DOMINATED
        while True:
            position = landed[node]
            if position <= reach[_DOMINATED]:
                break
            if colour < _COMMON:
                if position <= reach[_COMMON - colour]:
                    colour = _COMMON
                elif position <= reach[colour]:
                    break
            if colour == _COMMON:
                bases.append(node)
                colour = _DOMINATED
            if position < size and trunk[position] == node:
                reach[colour] = position
                break
            edge, end = starts[node], starts[node + 1]
            if end - edge == 1 and (undecided or colour != _DOMINATED):
                # Down a line of single parents without the queue, while nothing that waits in it comes first.
                node = parents[edge]
                if not queue or -(generations[node] << _NODE_BITS | node) < queue[0]:
                    continue
            for parent in parents[edge:end]:
                known = colours.get(parent)
                if known is None:
                    colours[parent] = colour
                    undecided += colour != _DOMINATED
                    heappush(queue, -(generations[parent] << _NODE_BITS | parent))
                elif known != colour:
                    colours[parent] = known | colour
                    undecided -= colour == _DOMINATED
            break
    return sorted(bases)


def between(dag: Index, excluded: int, included: int) -> set[int]:
    """Return what `git rev-list excluded..included` lists: what `included` has and `excluded` has not.

    Takes time proportional to the answer, to what `excluded` has beyond it, and to the edges among both.
    """
    return only(dag, [included], [excluded])


def only(dag: Index, included: Iterable[int], excluded: Iterable[int]) -> set[int]:
    """Return what only one side has: `included` and all ancestors, without `excluded` and all its ancestors.

    Calling it both ways gives how far two replicas, or two branches, are ahead of and behind each other.

    Args:
        dag: the graph.
        included: nodes of the one side.
        excluded: nodes of the other side; if empty, the answer is `included` with all ancestors.

    Returns:
        The nodes that only the one side has.
    """
    return run(only_steps(dag, included, excluded))


def only_steps(dag: Index, included: Iterable[int], excluded: Iterable[int]) -> Stepwise[set[int]]:
    """`only` in bounded steps, of a few milliseconds each."""
    generations, starts, parents = dag.generations, dag.edge_starts, dag.edge_parents
    dag.trunk.advance()
    trunk, landed = dag.trunk.nodes, dag.trunk.landed
    size, excluded_reach = len(trunk), -1
    is_included = dict.fromkeys(included, True)
    is_included.update(dict.fromkeys(excluded, False))
    queue = _queue(dag, is_included)
    undecided = sum(is_included.values())
    found = set()
    visits = 0
    while undecided:
        visits += 1
        if not visits % _VISITS_A_STEP:
            yield
        node = -heappop(queue) & _NODE_MASK
        wanted = is_included.pop(node)
        undecided -= wanted
        position = landed[node]
        if position <= excluded_reach:
            continue
        if wanted:
            found.add(node)
        elif position < size and trunk[position] == node:
            excluded_reach = position
            continue
        for edge in range(starts[node], starts[node + 1]):
            parent = parents[edge]
            known = is_included.get(parent)
            if known is None:
                heappush(queue, -(generations[parent] << _NODE_BITS | parent))
                is_included[parent] = wanted
                undecided += wanted
            elif known and not wanted:
                is_included[parent] = False
                undecided -= 1
    return found


def independent(dag: Index, nodes: Iterable[int]) -> list[int]:
    """Drop the nodes that are ancestors of another one, as `git merge-base --independent` does; ascending.

    One node takes constant time, two take what `is_ancestor` takes, and more of them one walk down to the
    lowest.
    """
    members = sorted(set(nodes))
    if len(members) < 2:
        return members
    if len(members) == 2:
        return members[1:] if is_ancestor(dag, *members) else members
    generations, starts, parents = dag.generations, dag.edge_starts, dag.edge_parents
    floor = min([generations[node] for node in members])
    dag.trunk.advance()
    trunk, landed = dag.trunk.nodes, dag.trunk.landed
    size, reach = len(trunk), -1
    undecided = len(members)
    wanted = set(members)
    reached: set[int] = set()
    queue = _queue(dag, members)
    found = []
    while undecided:
        node = -heappop(queue) & _NODE_MASK
        position = landed[node]
        if node in wanted:
            undecided -= 1
            if node not in reached and position > reach:
                found.append(node)
        if position <= reach:
            continue
        if position < size and trunk[position] == node:
            reach = position
            continue
        for parent in parents[starts[node] : starts[node + 1]]:
            if parent not in reached and generations[parent] >= floor:
                reached.add(parent)
                if parent not in wanted:
                    heappush(queue, -(generations[parent] << _NODE_BITS | parent))
    return sorted(found)


def topological(dag: Index, nodes: Iterable[int], key: Callable[[int], bytes]) -> list[int]:
    """Put nodes into an order with ancestors first that is the same on every replica.

    The order is by generation, then by `key`. An ancestor's generation is always smaller, so this is a
    topological order, and as both depend on nothing but the commits, so does the order.

    Args:
        dag: the graph.
        nodes: the nodes to order, each once.
        key: what tells nodes of a generation apart; the commit id.

    Returns:
        The nodes, in O(n log n).
    """
    generations = dag.generations
    return sorted(nodes, key=lambda node: (generations[node], key(node)))


def _queue(dag: Index, nodes: Iterable[int]) -> list[int]:
    """Make the queue of a search: a heap of entries from the nodes where it starts, descendants first."""
    generations = dag.generations
    return sorted([-(generations[node] << _NODE_BITS | node) for node in nodes])
