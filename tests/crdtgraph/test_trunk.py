"""The reachability index says what is below its trunk and nothing else, whatever it is in the middle of."""

from hypothesis import given
from hypothesis import strategies as st

from crdtgraph.index import Index
from crdtgraph.trunk import NOT_LANDED

# How many steps of work the index may do after an append, and the new node's parents as distances back. Most
# parents are near, so that long histories with branches come about.
distances = st.one_of(st.integers(1, 3), st.integers(1, 40))
growth = st.lists(st.tuples(st.integers(0, 4), st.lists(distances, max_size=3, unique=True)), max_size=80)


def grow(dag, backs):
    node = len(dag)
    return dag.append([node - back for back in backs if back <= node])


def below(dag):
    """For each node, itself and its ancestors."""
    found = []
    for node in range(len(dag)):
        found.append({node}.union(*(found[parent] for parent in dag.parents(node))))
    return found


def finish(dag):
    dag.trunk.advance(steps=10**9)


def chain(dag, node, length):
    nodes = [node]
    for _ in range(length):
        nodes.append(dag.append([nodes[-1]]))
    return nodes


@given(growth)
def test_a_label_tells_exactly_what_is_below_the_trunk_at_every_moment(history):
    dag = Index()
    for steps, backs in history:
        grow(dag, backs)
        dag.trunk.advance(steps)
        reach = below(dag)
        trunk, landed = dag.trunk.nodes, dag.trunk.landed
        assert len(landed) == len(dag)
        for position, node in enumerate(trunk):
            assert reach[node] == {other for other in dag if landed[other] <= position}
            assert landed[node] == position


@given(growth)
def test_at_rest_every_label_is_a_position_and_what_is_beside_the_trunk_has_none(history):
    dag = Index()
    for _, backs in history:
        grow(dag, backs)
    finish(dag)
    reach = below(dag)
    under = reach[dag.trunk.nodes[-1]] if history else set()
    assert [label == NOT_LANDED for label in dag.trunk.landed] == [node not in under for node in dag]


@given(growth)
def test_the_trunk_is_at_least_two_thirds_of_the_longest_history(history):
    dag = Index()
    for steps, backs in history:
        grow(dag, backs)
        dag.trunk.advance(steps)
    finish(dag)
    if history:
        assert 3 * dag.generation(dag.trunk.nodes[-1]) >= 2 * (max(dag.generations) - 1)


def test_the_trunk_follows_a_growing_line_without_a_break():
    dag = Index()
    root = dag.append(())
    for tip in range(root, 50):
        dag.trunk.advance()
        assert list(dag.trunk.nodes) == list(range(tip + 1))
        dag.append([tip])


def test_the_trunk_moves_to_a_branch_that_has_become_clearly_longer():
    dag = Index()
    stem = chain(dag, dag.append(()), 10)
    short = chain(dag, stem[-1], 20)
    finish(dag)
    assert list(dag.trunk.nodes) == stem + short[1:]
    long = chain(dag, stem[-1], 25)
    finish(dag)
    assert dag.trunk.nodes[-1] == short[-1]
    long += chain(dag, long[-1], 10)[1:]
    finish(dag)
    assert list(dag.trunk.nodes) == stem + long[1:]
    assert all(dag.trunk.landed[node] == NOT_LANDED for node in short[1:])


def test_one_call_does_no_more_than_the_steps_it_is_given():
    dag = Index()
    stem = chain(dag, dag.append(()), 100)
    finish(dag)
    side = chain(dag, stem[10], 3_000)  # the walk along this, the move to it and the landing all take many calls
    landed, calls = list(dag.trunk.landed), 0
    while len(dag.trunk.nodes) < 3_011:
        dag.trunk.advance(steps=50)
        new = list(dag.trunk.landed)
        assert sum(a != b for a, b in zip(landed, new, strict=False)) <= 60
        landed, calls = new, calls + 1
        assert calls < 300
    assert dag.trunk.nodes[-1] == side[-1]
    assert calls > 100


def test_two_branches_that_grow_in_turns_do_not_make_the_trunk_move_each_time():
    dag = Index()
    root = dag.append(())
    tips, moves, last = [dag.append([root]), dag.append([root])], 0, None
    for turn in range(2_000):
        tips[turn % 2] = dag.append([tips[turn % 2]])
        dag.trunk.advance()
        side = dag.trunk.nodes[1]
        moves += side != last
        last = side
    assert moves <= 3
