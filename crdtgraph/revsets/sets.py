"""Sets of commits that are worked out as late as possible.

A set is a *base*, everything, all that some commits reach, or explicit members, and *tests* that a member has to pass.
So `::main & author("w3")` costs nothing until it is listed, a listing that is cut off at ten commits reads little more
than these, and what is asked of ancestry goes to `crdtgraph.ancestry`, which stops at the trunk. Only where neither
helps are members collected.

Nodes are the numbers of a replica's index. Whatever looks at many of them is a generator that yields after a bounded
step of about a millisecond, and then a node serves others. The
graph may grow between two steps; a set then may or may not have the new commits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from crdtgraph import ancestry
from crdtgraph.canonical import INT64_MIN
from crdtgraph.contents import Contents
from crdtgraph.dates import newest_first, newest_first_key
from crdtgraph.projection import Projection
from crdtgraph.steps import Stepwise

STEP_NODES = 8_192
"""Nodes looked at in one step of a walk."""
STEP_READS = 256
"""Contents read in one step: few segments, each about 4 us a commit to unpack."""
BATCH_NODES_MIN = 64
"""The first batch of a listing is small, so that its first lines come at once; each is twice the one before."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All commits."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Some commits and all their ancestors."""

    starts: frozenset[int]


@dataclass(frozen=True, slots=True)
class Members:
    """These commits."""

    nodes: frozenset[int] | set[int]


@dataclass(frozen=True, slots=True)
class Test:
    """What a member has to pass.

    `reads` says that it looks into the contents of commits, and `since_us` that no commit whose corrected date
    (`crdtgraph.dates`) is before that passes, so that a listing may end there.
    """

    passes: Callable[[int], bool]
    reads: bool = False
    since_us: int = INT64_MIN

    def negated(self) -> Test:
        """The opposite."""
        return Test(lambda node: not self.passes(node), self.reads)


@dataclass(frozen=True, slots=True)
class NodeSet:
    """A base, and tests of which every member passes all. Tests that read stand last."""

    base: Whole | Reach | Members
    tests: tuple[Test, ...] = ()

    def narrowed(self, *tests: Test) -> NodeSet:
        """The members that pass these tests, too."""
        return NodeSet(self.base, tuple(sorted((*self.tests, *tests), key=lambda test: test.reads)))


EVERYTHING = NodeSet(Whole())
NOTHING = NodeSet(Members(frozenset()))


class Algebra:
    """Union, intersection and difference over the index and the contents of one plane."""

    def __init__(self, projection: Projection, contents: Contents) -> None:
        self.projection = projection
        self.contents = contents
        self.dag = projection.dag

    # Listing

    def members(self, of: NodeSet) -> Stepwise[set[int]]:
        """All members, in no order."""
        base = of.base
        if isinstance(base, Members):
            found = set(base.nodes)
        elif isinstance(base, Whole):
            found = set(range(len(self.projection)))
        else:
            found = yield from self.reached(base.starts)
        if of.tests:
            kept: set[int] = set()
            for passed in self._passing(found, of.tests):
                kept.update(passed)
                yield
            return kept
        return found

    def newest_first(self, of: NodeSet) -> Iterator[list[int]]:
        """All members, the latest first and children before parents, in batches; some may be empty.

        The first batch comes after a few milliseconds' work, unless the members are explicit and many.
        """
        base, projection = of.base, self.projection
        if isinstance(base, Members):
            nodes: Iterator[int] = iter(sorted(base.nodes, key=newest_first_key(projection)))
        else:
            starts = self.dag.heads() if isinstance(base, Whole) else base.starts
            nodes = newest_first(projection, starts)
        size = BATCH_NODES_MIN
        since, dates = max([test.since_us for test in of.tests], default=INT64_MIN), projection.dates.current()
        while batch := list(islice(nodes, size)):
            size = min(2 * size, STEP_NODES)
            if not of.tests:
                yield batch
                continue
            yield from self._passing_in_order(batch, of.tests)
            if dates[batch[-1]] < since:
                break

    def _passing_in_order(self, batch: list[int], tests: tuple[Test, ...]) -> Iterator[list[int]]:
        passed: set[int] = set()
        for some in self._passing(batch, tests):
            passed.update(some)
            yield []
        yield [node for node in batch if node in passed]

    def _passing(self, nodes: Collection[int], tests: tuple[Test, ...]) -> Iterator[list[int]]:
        """Those nodes that pass, in bounded steps. Contents are read segment by segment."""
        left: Collection[int] = nodes
        for reads in (False, True):
            checks = [test.passes for test in tests if test.reads is reads]
            if not checks:
                continue
            ordered = sorted(left, key=self.projection.locations.__getitem__) if reads else left
            waiting = iter(ordered)
            kept: list[int] = []
            while some := list(islice(waiting, STEP_READS if reads else STEP_NODES)):
                for passes in checks:
                    some = [node for node in some if passes(node)]
                kept += some
                yield []
            left = kept
        yield list(left)

    # Combining

    def intersection(self, a: NodeSet, b: NodeSet) -> Stepwise[NodeSet]:
        """What both have."""
        left, right = a.base, b.base
        if isinstance(left, Whole):
            return b.narrowed(*a.tests)
        if isinstance(right, Whole):
            return a.narrowed(*b.tests)
        tests = (*a.tests, *b.tests)
        if isinstance(right, Members) and (not isinstance(left, Members) or len(right.nodes) < len(left.nodes)):
            left, right = right, left
        within = yield from self._membership(left, right)
        if isinstance(left, Members):
            return NodeSet(Members(set(filter(within.passes, left.nodes)))).narrowed(*tests)
        return NodeSet(left).narrowed(within, *tests)

    def difference(self, a: NodeSet, b: NodeSet) -> Stepwise[NodeSet]:
        """What only the first has."""
        if b.tests:
            if isinstance(b.base, Whole):
                return a.narrowed(_not_all(b.tests))
            b = NodeSet(Members((yield from self.members(b))))
        if isinstance(b.base, Whole):
            return NOTHING
        if isinstance(b.base, Reach):
            starts: Iterable[int]
            if isinstance(a.base, Whole):
                starts = self.dag.heads()
            else:
                starts = a.base.starts if isinstance(a.base, Reach) else a.base.nodes
            beyond = ancestry.only(self.dag, starts, b.base.starts)
            yield
            if isinstance(a.base, Members):
                beyond &= a.base.nodes
            return NodeSet(Members(beyond), a.tests)
        taken = b.base.nodes
        if isinstance(a.base, Members):
            return NodeSet(Members(a.base.nodes - taken), a.tests)
        return a.narrowed(Test(lambda node: node not in taken)) if taken else a

    def union(self, terms: list[NodeSet]) -> Stepwise[NodeSet]:
        """What any of them has."""
        if any(term == EVERYTHING for term in terms):
            return EVERYTHING
        if all(isinstance(term.base, Whole) for term in terms):
            # Every term has tests: of any one of them all have to pass.
            failing = [_not_all(term.tests) for term in terms]
            return EVERYTHING.narrowed(_not_all(tuple(failing)))
        starts: set[int] = set()
        found: set[int] = set()
        for term in terms:
            if isinstance(term.base, Reach) and not term.tests:
                starts |= term.base.starts
            else:
                found |= yield from self.members(term)
        if not starts:
            return NodeSet(Members(found))
        if found:
            found |= yield from self.reached(starts)
            return NodeSet(Members(found))
        return NodeSet(Reach(frozenset(starts)))

    def _membership(self, of: Reach | Members, base: Reach | Members) -> Stepwise[Test]:
        """Whether a node (of the first base) lies in the second one."""
        if isinstance(base, Members):
            return Test(base.nodes.__contains__)
        if isinstance(of, Members) and len(of.nodes) * len(base.starts) <= BATCH_NODES_MIN:
            dag, starts = self.dag, base.starts
            return Test(lambda node: any(ancestry.is_ancestor(dag, node, start) for start in starts))
        return Test((yield from self.reached(base.starts)).__contains__)

    # Walks

    def reached(self, starts: Iterable[int]) -> Stepwise[set[int]]:
        """These nodes and all their ancestors."""
        begins, parents = self.dag.edge_starts, self.dag.edge_parents
        found = set(starts)
        stack = list(found)
        steps = 0
        while stack:
            node = stack.pop()
            for parent in parents[begins[node] : begins[node + 1]]:
                if parent not in found:
                    found.add(parent)
                    stack.append(parent)
            steps += 1
            if steps % STEP_NODES == 0:
                yield
        return found

    def followed(self, starts: Iterable[int]) -> Stepwise[set[int]]:
        """These nodes and all their descendants."""
        children = self.dag.children
        found = set(starts)
        stack = list(found)
        steps = 0
        while stack:
            for child in children(stack.pop()):
                if child not in found:
                    found.add(child)
                    stack.append(child)
            steps += 1
            if steps % STEP_NODES == 0:
                yield
        return found

    def stepped(self, nodes: set[int], step: str) -> set[int]:
        """All parents (`-`) or children (`+`) of nodes."""
        neighbours = self.dag.parents if step == "-" else self.dag.children
        return {other for node in nodes for other in neighbours(node)}

    def within(self, starts: set[int], step: str, steps: int) -> Stepwise[set[int]]:
        """These nodes and what is at most so many steps before (`-`) or behind (`+`) one of them."""
        found, edge = set(starts), starts
        for _ in range(steps):
            edge = self.stepped(edge, step) - found
            if not edge:
                break
            found |= edge
            yield
        return found

    def marked_above(self, lows: set[int], region: Collection[int]) -> Stepwise[set[int]]:
        """Of a region, which holds the nodes on all paths between its members, those that a `low` is an ancestor of."""
        begins, parents = self.dag.edge_starts, self.dag.edge_parents
        marked: set[int] = set()
        for steps, node in enumerate(sorted(region), 1):
            for parent in parents[begins[node] : begins[node + 1]]:
                if parent in marked or parent in lows:
                    marked.add(node)
                    break
            if steps % STEP_NODES == 0:
                yield
        return marked

    def parents_of(self, nodes: Collection[int]) -> Stepwise[set[int]]:
        """All parents of many nodes."""
        begins, parents = self.dag.edge_starts, self.dag.edge_parents
        found: set[int] = set()
        for steps, node in enumerate(nodes, 1):
            found.update(parents[begins[node] : begins[node + 1]])
            if steps % STEP_NODES == 0:
                yield
        return found

    def down_to(self, starts: Iterable[int], floor: int) -> Stepwise[set[int]]:
        """These nodes and their ancestors, as far as their generation is at least `floor`."""
        generations, begins, parents = self.dag.generations, self.dag.edge_starts, self.dag.edge_parents
        found = {node for node in starts if generations[node] >= floor}
        stack = list(found)
        steps = 0
        while stack:
            node = stack.pop()
            for parent in parents[begins[node] : begins[node + 1]]:
                if parent not in found and generations[parent] >= floor:
                    found.add(parent)
                    stack.append(parent)
            steps += 1
            if steps % STEP_NODES == 0:
                yield
        return found


def _not_all(tests: tuple[Test, ...]) -> Test:
    checks = [test.passes for test in tests]
    return Test(lambda node: not all(passes(node) for passes in checks), any(test.reads for test in tests))
