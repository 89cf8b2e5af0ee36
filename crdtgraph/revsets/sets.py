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

import heapq
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from crdtgraph import ancestry
from crdtgraph.canonical import INT64_MIN
from crdtgraph.contents import Contents
from crdtgraph.dates import newest_first, newest_first_key
from crdtgraph.errors import LocalError
from crdtgraph.projection import Projection
from crdtgraph.steps import Stepwise

STEP_NODES = 8_192
"""Nodes looked at in one step of a walk."""
STEP_READS = 256
"""Contents read in one step: few segments, each about 4 us a commit to unpack."""
BATCH_NODES_MIN = 64
"""The first batch of a listing is small, so that its first lines come at once; each is twice the one before."""
BATCH_NODES_MAX = 1_024
"""To find the next so many takes about 3 ms."""


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
        self._numbering = projection.renumbered

    def check_numbers(self) -> None:
        """Raise LocalError if the plane's nodes have got other numbers since, as happens in a search."""
        if self.projection.renumbered != self._numbering:
            raise LocalError("the search has let go of discarded commits while it was being listed", hint="ask again")

    # Listing

    def members(self, of: NodeSet) -> Stepwise[set[int]]:
        """All members, in no order."""
        base = of.base
        if isinstance(base, Whole):
            nodes: Collection[int] = range(len(self.projection))
        else:
            nodes = base.nodes if isinstance(base, Members) else (yield from self.reached(base.starts))
        if not of.tests:
            return nodes if isinstance(nodes, set) else set(nodes)
        found: set[int] = set()
        waiting = iter(nodes)
        while some := list(islice(waiting, STEP_NODES)):
            for passed in self._passing(some, of.tests):
                found.update(passed)
                yield
        return found

    def newest_first(self, of: NodeSet) -> Iterator[list[int]]:
        """All members, the latest first and children before parents, in batches, each of bounded work; some are empty.

        The first batch comes after a few milliseconds, but for explicit members (see there) and very many heads.
        """
        projection, base = self.projection, of.base
        dates = projection.dates.current()
        since = max([test.since_us for test in of.tests], default=INT64_MIN)
        if isinstance(base, Members):
            nodes = yield from self._ordered(base.nodes)
        else:
            nodes = newest_first(projection, self.dag.heads() if isinstance(base, Whole) else base.starts)
        size = BATCH_NODES_MIN
        while batch := list(islice(nodes, size)):
            if not of.tests:
                yield batch
                size = min(2 * size, BATCH_NODES_MAX)
                continue
            # Many at a time, so that commits that share a segment are read together.
            while len(batch) < size and (more := list(islice(nodes, BATCH_NODES_MAX))):
                yield []
                batch += more
            passed: set[int] = set()
            for some in self._passing(batch, of.tests):
                passed.update(some)
                yield []
            yield [node for node in batch if node in passed]
            if dates[batch[-1]] < since:
                break
            size = min(2 * size, STEP_NODES)

    def _ordered(self, nodes: Collection[int]) -> Generator[list[int], None, Iterator[int]]:
        """Explicit members in the order of listings; empty batches while many are being sorted, 1.5 us each."""
        key = newest_first_key(self.projection)
        waiting = iter(nodes)
        runs = []
        while some := list(islice(waiting, STEP_NODES // 2)):
            some.sort(key=key)
            runs.append(some)
            if len(some) < len(nodes):
                yield []
        return heapq.merge(*runs, key=key) if len(runs) > 1 else iter(runs[0] if runs else ())

    def _passing(self, nodes: list[int], tests: tuple[Test, ...]) -> Iterator[list[int]]:
        """Those of at most `STEP_NODES` nodes that pass, in bounded steps. Contents are read segment by segment."""
        quick = [test.passes for test in tests if not test.reads]
        reading = [test.passes for test in tests if test.reads]
        kept = [node for node in nodes if all(passes(node) for passes in quick)] if quick else nodes
        if not reading:
            yield kept
            return
        ordered = sorted(kept, key=self.projection.locations.__getitem__)
        for start in range(0, len(ordered), STEP_READS):
            some = ordered[start : start + STEP_READS]
            yield [node for node in some if all(passes(node) for passes in reading)]

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
            if isinstance(a.base, Whole):
                reached = yield from self.reached(b.base.starts)
                return a.narrowed(Test(lambda node: node not in reached))
            starts = a.base.starts if isinstance(a.base, Reach) else a.base.nodes
            beyond = yield from ancestry.only_steps(self.dag, starts, b.base.starts)
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
