"""Graphs with refs in conflict, for tests of merging."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import crdtgraph
from crdtgraph import CommitId, Graph, Host, Value
from crdtgraph.union import unite


def opened(seed: int) -> Graph:
    clock = itertools.count(1_700_000_000_000_000 + seed, 1_000)
    return crdtgraph.open("memory:", host=Host(lambda: next(clock), random.Random(seed).randbytes), author=str(seed))


def meet(one: Graph, two: Graph) -> None:
    """Both hold what either held."""
    for source, target in ((one, two), (two, one)):
        source.flush()
        unite(source, target)
    assert one.digest() == two.digest()


def conflicted(
    graph: Graph, base: Mapping[str, Value], *sides: Mapping[str, Value], name: str = "main"
) -> tuple[CommitId, ...]:
    """A ref whose targets have these changes; the times, and so the winner, are those of the sides in order."""
    root = graph.commit(parents=[], author="a", time=0, changes=base, message=name)
    heads = []
    for number, changes in enumerate(sides):
        heads.append(graph.commit(parents=[root], author="a", time=100 - number, changes=changes))
        graph.set_ref(name, heads[-1], keep_others=True)
    assert graph.refs[name].targets == tuple(heads)
    return tuple(heads)
