"""Ancestry against networkx, against brute force over sets, and against answers recorded from git."""

import hashlib
import random
from pathlib import Path

import networkx
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.ancestry import (
    ancestors,
    between,
    descendants,
    independent,
    is_ancestor,
    merge_bases,
    only,
    topological,
)
from crdtgraph.dag import Dag
from crdtgraph.index import Index
from crdtgraph.trunk import Trunk

# A recorded history and what `git merge-base --all` says of 200 pairs in it; it lies beside the repository.
RECORDED = Path(__file__).parents[2].parent / "shared" / "data"
recorded = pytest.mark.skipif(
    not (RECORDED / "ipython.dag.tsv.zst").exists(), reason="the recorded history is not beside the repository"
)

# Each node's parents as distances back; most are near, so that long histories with branches come about.
distances = st.one_of(st.integers(1, 3), st.integers(1, 40))
shapes = st.lists(st.lists(distances, max_size=4, unique=True), min_size=1, max_size=50)


class IdleTrunk(Trunk):
    """An index that works only when the test says so, to stand where it likes when a question comes."""

    def advance(self, steps=0):
        super().advance(0)

    def work(self, steps):
        super().advance(steps)


def build(parents):
    dag = Index()
    for row in parents:
        dag.append(row)
    return dag


@st.composite
def dags(draw):
    """Any graph, with an index that is at rest, half-way, or not begun."""
    shape = draw(shapes)
    works = draw(st.lists(st.integers(0, 5), min_size=len(shape), max_size=len(shape)))
    dag = Index()
    dag.trunk = IdleTrunk(dag.generations, dag.edge_starts, dag.edge_parents)
    for backs, steps in zip(shape, works, strict=True):
        dag.append([len(dag) - back for back in backs if back <= len(dag)])
        dag.trunk.work(steps)
    dag.trunk.work(draw(st.sampled_from([0, 3, 10**9])))
    return dag


def below(dag):
    """For each node, itself and its ancestors."""
    found = []
    for node in dag:
        found.append({node}.union(*(found[parent] for parent in dag.parents(node))))
    return found


def maximal(nodes, reach):
    return sorted(node for node in nodes if not any(node in reach[other] for other in nodes - {node}))


def some_of(dag):
    return st.lists(st.integers(0, len(dag) - 1), max_size=6)


@given(dags())
def test_every_pair_agrees_with_brute_force(dag):
    reach = below(dag)
    for a in dag:
        for b in dag:
            assert is_ancestor(dag, a, b) == (a in reach[b])
            assert merge_bases(dag, [a], [b]) == maximal(reach[a] & reach[b], reach)
            assert between(dag, a, b) == reach[b] - reach[a]
            assert independent(dag, [a, b]) == maximal({a, b}, reach)


@given(dags(), st.data())
def test_sides_of_several_nodes_agree_with_brute_force(dag, data):
    reach = below(dag)
    first, second = data.draw(some_of(dag)), data.draw(some_of(dag))
    under = [set().union(*(reach[node] for node in side)) for side in (first, second)]
    assert merge_bases(dag, first, second) == maximal(under[0] & under[1], reach)
    assert only(dag, first, second) == under[0] - under[1]
    assert independent(dag, first) == maximal(set(first), reach)


@given(dags())
def test_ancestors_and_descendants_agree_with_networkx(dag):
    graph = Dag(dag)
    for node in dag:
        assert ancestors(dag, node) == networkx.ancestors(graph, node)
        assert descendants(dag, node) == networkx.descendants(graph, node)


@given(shapes, st.randoms(use_true_random=False))
def test_another_order_of_arrival_changes_no_answer(shape, rng):
    parents = [[node - back for back in backs if back <= node] for node, backs in enumerate(shape)]
    order = arrival(parents, rng)
    new = {old: number for number, old in enumerate(order)}
    here, there = build(parents), build([[new[parent] for parent in parents[old]] for old in order])

    def identify(old):
        return hashlib.sha256(b"%d" % old).digest()

    assert topological(here, here, identify) == [
        order[number] for number in topological(there, there, lambda number: identify(order[number]))
    ]
    for _ in range(20):
        a, b = rng.randrange(len(here)), rng.randrange(len(here))
        assert is_ancestor(here, a, b) == is_ancestor(there, new[a], new[b])
        assert merge_bases(here, [a], [b]) == sorted(order[n] for n in merge_bases(there, [new[a]], [new[b]]))
        assert between(here, a, b) == {order[n] for n in between(there, new[a], new[b])}


def arrival(parents, rng):
    """A random order in which parents come before children."""
    waiting = {node: len(set(row)) for node, row in enumerate(parents)}
    ready, order = [node for node, count in waiting.items() if not count], []
    while ready:
        node = ready.pop(rng.randrange(len(ready)))
        order.append(node)
        for child, row in enumerate(parents):
            if node in row:
                waiting[child] -= 1
                if not waiting[child]:
                    ready.append(child)
    return order


@given(dags(), st.data())
def test_a_topological_order_puts_ancestors_first(dag, data):
    nodes = set(data.draw(some_of(dag)))
    order = topological(dag, nodes, lambda node: b"%d" % (node * 7919 % 101))
    assert set(order) == nodes
    assert len(order) == len(nodes)
    for place, node in enumerate(order):
        assert not any(is_ancestor(dag, later, node) for later in order[place + 1 :])


def test_a_criss_cross_has_two_merge_bases():
    dag = build([(), (0,), (0,), (1, 2), (2, 1)])
    assert merge_bases(dag, [3], [4]) == [1, 2]


def test_an_octopus_and_its_parents():
    dag = build([(), (0,), (0,), (0,), (1, 2, 3), (2,)])
    assert merge_bases(dag, [4], [5]) == [2]
    assert independent(dag, [1, 2, 3, 4]) == [4]
    assert between(dag, 2, 4) == {1, 3, 4}


def test_unrelated_roots_have_no_merge_base():
    dag = build([(), (), (0,), (1,), (2, 3)])
    assert merge_bases(dag, [2], [3]) == []
    assert merge_bases(dag, [2], [4]) == [2]
    assert not is_ancestor(dag, 0, 3)


def test_no_nodes_are_a_side_too():
    dag = build([(), (0,)])
    assert merge_bases(dag, [], [1]) == []
    assert only(dag, [1], []) == {0, 1}
    assert only(dag, [], [1]) == set()
    assert independent(dag, []) == []
    assert topological(dag, [], lambda _: b"") == []


def test_a_healed_partition_does_not_walk_the_history_that_arrived_last():
    """A search by order of arrival goes through all that came from the other side before it sees the fork."""
    dag = build([()])
    here = chain(dag, 0, 2_050)
    dag.trunk.advance(10**9)
    there = chain(dag, 0, 2_000)
    joined = dag.append([here[1_990], there[-1]])
    mine, yours = dag.append([joined]), dag.append([joined, here[-1]])
    dag.generations = visits = Counting(dag.generations)
    assert merge_bases(dag, [mine], [yours]) == [joined]
    assert visits.reads < 200


def test_a_parent_and_its_child_need_no_index():
    dag = build([(), (0,), (1,)])
    assert is_ancestor(dag, 1, 2)
    assert not dag.trunk.landed


def test_nothing_below_the_last_merge_base_is_walked_even_without_an_index():
    dag = build([()])
    dag.trunk = IdleTrunk(dag.generations, dag.edge_starts, dag.edge_parents)
    line = chain(dag, 0, 5_000)
    mine, yours = dag.append([line[-1]]), dag.append([line[-1]])
    dag.edge_starts = visits = Counting(dag.edge_starts)
    assert merge_bases(dag, [mine], [yours]) == [line[-1]]
    assert visits.reads < 20


def test_ends_far_apart_are_not_walked_between():
    dag = build([()])
    line = chain(dag, 0, 20_000)
    side = dag.append([line[10]])
    dag.trunk.advance(10**9)
    dag.edge_starts = visits = Counting(dag.edge_starts)
    assert merge_bases(dag, [side], [line[-1]]) == [line[10]]
    assert is_ancestor(dag, line[3], line[-2])
    assert not is_ancestor(dag, side, line[-1])
    assert independent(dag, [side, line[5], line[-1]]) == [line[-1], side]
    assert between(dag, line[-1], side) == {side}
    assert visits.reads < 40


class Counting:
    """An array that counts how often it is read."""

    def __init__(self, values):
        self.values, self.reads = values, 0

    def __getitem__(self, index):
        self.reads += 1
        return self.values[index]

    def __len__(self):
        return len(self.values)


def chain(dag, node, length):
    nodes = [node]
    for _ in range(length):
        nodes.append(dag.append([nodes[-1]]))
    return nodes


@recorded
@pytest.mark.parametrize("seed", [None, 1, 2])
def test_two_hundred_recorded_pairs_have_the_merge_bases_that_git_found(seed):
    rows = zstandard.ZstdDecompressor().decompressobj().decompress((RECORDED / "ipython.dag.tsv.zst").read_bytes())
    table = [line.split("\t") for line in rows.decode().splitlines()]
    if seed is not None:
        table = shuffled(table, random.Random(seed))
    nodes, dag = {}, Index()
    for name, parents, *_ in table:
        nodes[name] = dag.append([nodes[parent] for parent in parents.split()])
    pairs = [line.split("\t") for line in (RECORDED / "ipython.merge-bases.tsv").read_text().splitlines()]
    assert len(pairs) == 200
    for a, b, bases in pairs:
        a, b, expected = nodes[a], nodes[b], sorted(nodes[name] for name in bases.split())
        assert merge_bases(dag, [a], [b]) == expected
        assert merge_bases(dag, [b], [a]) == expected
        assert is_ancestor(dag, a, b) == (expected == [a])
        assert is_ancestor(dag, b, a) == (expected == [b])


def shuffled(table, rng):
    """The same commits in another order, parents first: by generation, and at random within one."""
    generations = {}
    for name, parents, *_ in table:
        generations[name] = 1 + max((generations[parent] for parent in parents.split()), default=0)
    return sorted(table, key=lambda row: (generations[row[0]], rng.random()))
